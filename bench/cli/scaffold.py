"""`bench new`: files to begin from. They are `templates/` with another name, which run as they are."""

from __future__ import annotations

from pathlib import Path

from bench.errors import RequestError, unknown
from bench.plugins import registry

HERE = Path(__file__).with_name("templates")
# kind of plug-in -> {template: what its file is called}
FILES = {
    "method": {"method.py": "{}.py", "test_method.py": "test_{}.py"},
    "task": {"task.py": "{}.py", "test_task.py": "test_{}.py"},
    "student": {"student.py": "{}.py", "test_student.py": "test_{}.py"},
    "kind": {"kind.py": "{}.py", "task_of_kind.py": "{}_task.py", "test_kind.py": "test_{}.py"},
}


def write(what: str, name: str, out: Path) -> list[Path]:
    """The files that were written, the plug-in first. RequestError: no such template, a name that is no module's or is
    another plug-in's, or a file that is there."""
    if what not in FILES:
        raise unknown("template", what, FILES)
    if not name.isidentifier() or not name.isascii() or not name.islower():
        raise RequestError(f"'{name}' is no name of a file to import: write small letters, digits and _")
    if name in registry.found(what):
        raise RequestError(f"there is a {what} called {name} already: {registry.found(what)[name].path}")
    files = {out / called.format(name): source(template, name) for template, called in FILES[what].items()}
    if there := [path for path in files if path.exists()]:
        raise RequestError(f"{there[0]} is there already: give another name, or another folder with --out")
    out.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
    return list(files)


def source(template: str, name: str) -> str:
    """A template's text with the name in the place of its own."""
    text = (HERE / template).read_text(encoding="utf-8")
    return text.replace("Template", "".join(map(str.capitalize, name.split("_")))).replace("template", name)
