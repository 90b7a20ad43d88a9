"""A plug-in given by path as Python reads it, with the modules that lie beside it."""

from __future__ import annotations

import ast
import builtins
import hashlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

PREFIX = "bench_file_"  # of the module names of such files
NEVER = sys.stdlib_module_names | {"bench"}  # what no file beside a plug-in takes the place of
authors: set[str] = set()  # modules of plug-ins that came as packages


def name_of(path: Path) -> str:
    """What the module of a file is called: an edited file is another one."""
    return f"{PREFIX}{path.stem}_{digest(path)}"


def digest(path: Path) -> str:
    """Hash of the source, and of the files beside it that it imports."""
    found = hashlib.sha256(path.read_bytes())
    for helper in helpers(path):
        found.update(f"\0{helper.stem}\0".encode() + helper.read_bytes())
    return found.hexdigest()[:16]


def helpers(path: Path) -> list[Path]:
    """The files beside a plug-in that it imports, and that these import in turn."""
    found, reading = {path}, [path]
    while reading:
        new = {file for name in imported(reading.pop()) if (file := beside(path.parent, name))} - found
        reading += new
        found |= new
    return sorted(found - {path})


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports, at its top or inside a function; of one that is not Python none."""
    with suppress(SyntaxError, ValueError, RecursionError):
        for node in ast.walk(ast.parse(importlib.util.decode_source(path.read_bytes()))):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level <= 1 and node.module:
                yield node.module


def beside(folder: Path, name: str) -> Path | None:
    """The file of this module in the folder; None: there is none, or it is not for it to give."""
    path = folder / f"{name}.py"
    return path if name.isidentifier() and name not in NEVER and path.is_file() else None


def load(path: Path) -> ModuleType:
    """The file as a module, once. Raises what the file raises."""
    name = name_of(path)
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    module.__dict__["__builtins__"] = vars(builtins) | {"__import__": importer(path.parent)}
    guard()
    try:  # from the source itself: cached bytecode may be that of an edit less than a second older
        exec(compile(path.read_bytes(), path, "exec"), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def guard() -> None:
    """`os._exit` in an author's file ends what it is called from as `sys.exit` does, and not the process without a
    word."""
    real = os._exit
    if real.__module__ == __name__:
        return

    def ending(status: int) -> NoReturn:
        if str(sys._getframe(1).f_globals.get("__name__")).startswith(PREFIX):
            raise SystemExit(status)
        real(status)

    os._exit = ending


def importer(folder: Path) -> Callable[..., Any]:
    """What `import` does in a file of this folder. Other files keep their own: two folders may have a `losses.py`."""

    def found(name: str, scope: Any = None, local: Any = None, wanted: Any = (), level: int = 0) -> Any:
        path = beside(folder, name) if level <= 1 else None
        return load(path) if path else builtins.__import__(name, scope, local, wanted, level)

    return found


def blamed(error: BaseException) -> str:
    """`mine.py, line 12`: where an author's code raised it, or called what did; empty: none of it was running."""
    places = [
        f"{frame.f_code.co_filename}, line {line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if (name := str(frame.f_globals.get("__name__"))).startswith(PREFIX) or name in authors
    ]
    return places[-1] if places else ""
