"""What `lint-imports` cannot say: which rooms are light, and that plug-ins are found and never imported by name."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.plugins import registry

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


def test_nobody_compares_the_name_of_a_kind_or_of_what_is_read() -> None:
    """A kind is an object, and so are inputs: the engine asks them, and knows none by name."""
    tasks = registry.found("task").values()
    names = set(registry.found("kind")) | {str(p.declares.get("reads", "text")) for p in tasks}
    paths = [path for path in sorted((ROOT / "bench").rglob("*.py")) if path.parent.name != "kinds"]
    assert not [place for path in paths for place in comparisons(path, names)]


def comparisons(path: Path, names: set[str]) -> Iterator[str]:
    """Where a file compares something with one of the names, or with several values among which one is."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            values = [v for side in sides for v in (side.elts if isinstance(side, (ast.Tuple, ast.Set)) else [side])]
            if names & {v.value for v in values if isinstance(v, ast.Constant) and isinstance(v.value, str)}:
                yield f"{path.relative_to(ROOT)}, line {node.lineno}"
