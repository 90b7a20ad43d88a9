"""What `lint-imports` cannot say: which rooms are light, and that plug-ins are found and never imported by name."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LIGHT = ("base", "board", "plugins", "records", "scoring", "store", "web")
PLUGINS = ("bench.tasks", "bench.baselines", "bench.students")


def modules(*rooms: str) -> list[str]:
    paths = [path for room in rooms for path in (ROOT / "bench" / room).rglob("*.py")]
    return sorted(".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths)


def imported(path: Path) -> Iterator[str]:
    """The names of all modules that a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_light_rooms_import_no_torch():
    """Each after the others in one process: who brings torch in is named."""
    code = "import importlib, sys\nfor name in sys.argv[1:]:\n    importlib.import_module(name)\n"
    code += "    assert 'torch' not in sys.modules, f'{name} imports torch'\n"
    done = subprocess.run([sys.executable, "-c", code, *modules(*LIGHT)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("room", PLUGINS)
def test_plugins_are_found_and_never_imported_by_name(room: str):
    """They lie beside the package in a checkout, where `lint-imports` does not see them."""
    paths = sorted((ROOT / "bench").rglob("*.py"))
    assert not [path for path in paths for name in imported(path) if name.startswith(f"{room}.") or name == room]
