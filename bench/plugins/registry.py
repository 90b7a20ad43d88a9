"""Plug-ins: the files in `tasks/`, `baselines/`, `students/` and `bench/kinds/`, entry points, files given by path.

What a plug-in declares is read from its source without importing it, so that listing needs no torch.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from bench.errors import BenchError, RequestError, unknown
from bench.plugins import beside, contract

ROOMS = {"task": "tasks", "method": "baselines", "student": "students", "kind": "kinds"}
ON_HUB = "hf:"  # before a data set of the Hub that is a task
NAME = re.compile(r"\w[\w-]{0,99}")  # what a file given by path may be called: a folder of records gets its name


@dataclass(frozen=True)
class Plugin:
    """One plug-in file: how to import it, and what its class declares."""

    kind: str  # task | method | student | kind
    name: str  # of the module, which is its name on the command line
    path: Path
    module: str  # import name; empty for a file given by path
    declares: dict[str, Any] = field(compare=False, hash=False, default_factory=dict)
    kind_file: Path | None = None  # of a task given by path: the file of its kind, which lies beside it

    @property
    def summary(self) -> str:
        return str(self.declares.get("summary", ""))

    @property
    def digest(self) -> str:
        """Hash of the source of a file given by path, and of what it imports from beside it (an edited file is another
        method); empty for installed ones."""
        return "" if self.module else digest_of(*filter(None, (self.path, self.kind_file)))

    def version(self, name: str = "") -> Any:
        """As records have it: the digest of a file given by path, else the number that the class declares, of a task's
        data set (`glue/mrpc`) its own where it has one."""
        dataset = name.partition("/")[2]
        return self.digest or self.declares.get("versions", {}).get(dataset, self.declares.get("version", 1))


def digest_of(*files: Path) -> str:
    """The version of a file given by path, or of two that belong together."""
    first, *others = [beside.digest(path) for path in files]
    return hashlib.sha256("".join([first, *others]).encode()).hexdigest()[:16] if others else first


def room(kind: str) -> Path:
    """The folder of this kind of plug-in: inside the package in a wheel, beside it in a checkout."""
    return folder(ROOMS[kind])


def folder(name: str) -> Path:
    """A top-level folder of the project that the package carries (`tasks`, `site` ...)."""
    package = Path(__file__).resolve().parent.parent
    return package / name if (package / name).is_dir() else package.parent / name


@cache
def found(kind: str) -> dict[str, Plugin]:
    """All installed plug-ins of a kind by name. Two of one name is an error that shows both."""
    from importlib.metadata import entry_points

    plugins = {}
    for path in sorted(room(kind).glob("*.py")):
        if not path.stem.startswith("_"):
            plugins[path.stem] = _plugin(kind, path.stem, path, f"bench.{ROOMS[kind]}.{path.stem}")
    for entry in entry_points(group=f"bench.{kind}s"):
        try:
            spec = importlib.util.find_spec(entry.module)  # imports the packages around the module
        except Exception:
            spec = None
        if spec is None or spec.origin is None:
            raise RequestError(f"the entry point {entry.name} = {entry.value} names a module that is not there")
        plugin = _plugin(kind, entry.name, Path(spec.origin), entry.module)
        if entry.name in plugins and plugins[entry.name].path != plugin.path:
            raise RequestError(f"two {kind}s are named '{entry.name}': {plugins[entry.name].path} and {plugin.path}")
        plugins[entry.name] = plugin
    return plugins


_trusted: ContextVar[frozenset[Path] | None] = ContextVar("trusted", default=None)  # None: all that is asked for


@contextmanager
def trusting(files: Iterable[Path]) -> Iterator[None]:
    """Inside, names come from a record: of plug-ins given by path only these are found, which the user has named."""
    token = _trusted.set(frozenset(path.expanduser().resolve() for path in files))
    try:
        yield
    finally:
        _trusted.reset(token)


def trusted() -> frozenset[Path]:
    """The files that the user has named."""
    return _trusted.get() or frozenset()


def find(kind: str, name: str) -> Plugin:
    """A plug-in by name, or by path (`./mine.py`)."""
    if name.endswith(".py"):
        path = Path(name).expanduser().resolve()
        if not path.is_file():
            raise RequestError(f"no such {kind} file: {name}")
        if (trusted := _trusted.get()) is not None and path not in trusted:
            raise RequestError(
                f"the record names the {kind} file {name}, and no file that a record names is run: read it, then say "
                f"--file {name}"
            )
        if not NAME.fullmatch(path.stem):
            raise RequestError(f"{path.name}: the file's name is the {kind}'s name, so letters, digits, - and _ alone")
        if path.stem in found(kind) and found(kind)[path.stem].path != path:
            raise RequestError(
                f"{name} has the name of the installed {kind} {found(kind)[path.stem].path}: give the file another name"
            )
        return _plugin(kind, path.stem, path, "")
    return installed(kind, name)


def known(kind: str) -> dict[str, Plugin]:
    """The installed ones, and those of the files that the user has named (`trusting`), by name."""
    files = [path for path in sorted(trusted()) if path.is_file() and defines(path, kind.capitalize())]
    return found(kind) | {path.stem: find(kind, str(path)) for path in files}


def openers(name: str) -> list[Plugin]:
    """Tasks that data of the user's own may be: `./data.csv`, `./folder`, `hf:owner/name`; none: it names no data."""
    suffix = ON_HUB if name.startswith(ON_HUB) else Path(name).suffix.lower()
    folder = name.startswith((".", "/", "~")) and not suffix
    if not (suffix or folder):  # a task's name: to ask every task what it opens takes a tenth of a second
        return []
    families = [plugin for plugin in found("task").values() if plugin.declares.get("opens")]
    return [plugin for plugin in families if folder or suffix in plugin.declares["opens"]]


def data_name(place: str | Path) -> str:
    """What the task of such data is called: a file or folder by its name without the ending, a data set of the Hub by
    its owner, name and configuration."""
    if str(place).startswith(ON_HUB):
        return re.sub(r"[^\w-]+", "-", str(place).removeprefix(ON_HUB).partition("@")[0]).strip("-")
    return re.sub(r"[^\w-]+", "-", Path(place).expanduser().resolve().stem).strip("-")


def installed(kind: str, name: str) -> Plugin:
    """A plug-in by name alone: what a record names is not to choose a file that is run."""
    if kind == "kind" and name in _beside and name not in found(kind):
        return _beside[name]
    if name not in found(kind):
        if "," in name:
            raise RequestError(f"'{name}' names several: give each an option of its own, --{kind} ONE --{kind} OTHER")
        raise unknown(kind, name, found(kind))
    return found(kind)[name]


def load(plugin: Plugin) -> type[Any]:
    """Import the plug-in and return its one class."""
    try:
        module = importlib.import_module(plugin.module) if plugin.module else beside.load(plugin.path)
    except BenchError:
        raise  # says what to do, as for an extra that is not installed
    except (Exception, SystemExit) as error:
        where = beside.blamed(error) or plugin.path
        raise RequestError(f"{where} cannot be imported: {type(error).__name__}: {error}") from error
    base = getattr(importlib.import_module(f"bench.{plugin.kind}"), plugin.kind.capitalize())
    classes = [
        c
        for c in vars(module).values()
        if isinstance(c, type) and issubclass(c, base) and c.__module__ == module.__name__
    ]
    if len(classes) != 1:
        names = ", ".join(c.__name__ for c in classes) or "none"
        raise RequestError(f"{plugin.path} must define one subclass of {plugin.kind.capitalize()}; it defines {names}")
    if plugin.module and not plugin.module.startswith("bench."):
        beside.authors.add(plugin.module)
    contract.check(classes[0], base)
    if not plugin.module:  # only now: another process is to load what has been found right
        _files[module.__name__] = plugin
    return classes[0]


def loaded_files() -> list[Plugin]:
    """The plug-ins given by path that this process has loaded and that are still there: another one needs them to know
    their classes."""
    return [plugin for plugin in _files.values() if plugin.path.is_file()]


_files: dict[str, Plugin] = {}


def _plugin(kind: str, name: str, path: Path, module: str) -> Plugin:
    declares, kind_file = declared(path, kind.capitalize()), None
    if kind == "task" and (own := declares.get("kind")) not in [*found("kind")]:  # whatever it is, a list too
        kind_file = path.with_name(f"{own}.py")
        if module or not kind_file.is_file() or not defines(kind_file, "Kind"):
            known = ", ".join(found("kind"))
            raise RequestError(
                f"{path} must define a subclass of Task with a literal kind: one of {known}, or the name of a file "
                "beside it"
            )
        _beside[str(own)] = Plugin("kind", str(own), kind_file, "", declared(kind_file, "Kind"))
    return Plugin(kind, name, path, module, declares, kind_file)


_beside: dict[str, Plugin] = {}  # kinds of tasks given by path, as the last of them has it


def declared(path: Path, contract: str) -> dict[str, Any]:
    """The literal class attributes of the file's subclass of `contract`, and the first line of its docstring.

    RequestError: the file is not Python, or an attribute that listing needs is not a literal.
    """
    try:
        tree = ast.parse(importlib.util.decode_source(path.read_bytes()), path.name)
    except (SyntaxError, ValueError, RecursionError) as error:  # ValueError: not UTF-8, or null bytes
        raise RequestError(f"{path} is not valid Python: {error}") from None
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror}") from None
    values: dict[str, Any] = {"summary": (ast.get_docstring(tree) or "").split("\n")[0]}
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and any(_last_name(b).endswith(contract) for b in node.bases):
            values |= _literals(node)
    return values


def defines(path: Path, contract: str) -> bool:
    """Whether the file has a subclass of `contract`. RequestError: it is not Python."""
    declared(path, contract)
    body = ast.parse(path.read_text(encoding="utf-8"), path.name).body
    classes = (node for node in body if isinstance(node, ast.ClassDef))
    return any(_last_name(base).endswith(contract) for node in classes for base in node.bases)


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _literals(node: ast.ClassDef) -> dict[str, Any]:
    values = {}
    for item in node.body:
        target = item.targets[0] if isinstance(item, ast.Assign) else getattr(item, "target", None)
        value = getattr(item, "value", None)
        if isinstance(target, ast.Name) and isinstance(value, ast.expr):
            if isinstance(value, ast.Call) and _last_name(value.func) == "frozenset" and value.args:
                value = value.args[0]
            try:
                values[target.id] = ast.literal_eval(value)
            except (ValueError, TypeError):
                continue  # a computed attribute: nothing that listing reads
    return values
