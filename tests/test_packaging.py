"""The wheel holds what a checkout holds and minds no folder of the user's; the examples in docs/ run as they stand."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.factories.commands import bench, runs_of

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("tasks", "baselines", "students", "site")
MADE = ROOT / "docs/index.md"  # leads to pages that are made: tests/docs has its links
PAGES = sorted({*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")} - {MADE})
SMALL = ("--set", "updates=2", "--set", "batch_size=4", "--set", "examples=32", "--set", "evaluations=1")


def python(*arguments: object, cwd: Path, path: Path) -> str:
    """Standard output of a Python that finds `bench` in the folder `path`."""
    command = [sys.executable, *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(path)}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling", reason="building the wheel needs the 'dev' extra")
    folder = tmp_path_factory.mktemp("wheel")
    options = ("--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", folder)
    python("-m", "pip", "wheel", *options, ROOT, cwd=folder, path=folder)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    options = ("--no-deps", "--no-index", "--no-compile", "--quiet", "--target", folder)
    python("-m", "pip", "install", *options, wheel, cwd=folder, path=folder)
    return folder


@pytest.fixture
def busy(tmp_path: Path) -> Path:
    """A user's folder whose names are those of our rooms; whoever imports them is told."""
    (tmp_path / "tasks.py").write_text("raise RuntimeError('a file of the user was imported')\n")
    for name in ("students", "baselines", "site"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('a folder of the user was imported')\n")
    return tmp_path


def test_wheel_holds_every_room_inside_the_package(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].rpartition(".")[2] for name in names} == {"bench", "dist-info"}
    sources = {
        p.relative_to(ROOT).as_posix() for room in ("bench", *ROOMS) for p in (ROOT / room).rglob("*") if p.is_file()
    }
    expected = {s if s.startswith("bench/") else f"bench/{s}" for s in sources if "__pycache__" not in s}
    assert {name for name in names if name.startswith("bench/")} == expected


def test_wheel_lists_what_the_checkout_lists(installed: Path, busy: Path) -> None:
    found = [json.loads(python("-m", "bench", "list", "--json", cwd=busy, path=path)) for path in (installed, ROOT)]
    assert found[0] == found[1]
    assert set(found[0]) == {"tasks", "suites", "methods", "students", "teachers", "metrics"}
    assert all(entry["name"] for part in found[0].values() for entry in part)


def test_wheel_imports_its_own_plugins(installed: Path, busy: Path) -> None:
    code = (
        "import bench.tasks.sts, bench.baselines.kd, bench.students.bert, site; "
        "from bench.plugins.registry import folder; "
        "print(bench.tasks.sts.__file__, bench.baselines.kd.__file__, bench.students.bert.__file__, folder('site'))"
        "; print(site.__file__)"
    )
    ours, theirs = python("-c", code, cwd=busy, path=installed).splitlines()
    assert all(Path(path).is_relative_to(installed / "bench") for path in ours.split())
    assert Path(theirs).name == "site.py"


def test_wheel_runs_and_builds_the_page_as_the_checkout_does(installed: Path, busy: Path, teacher: Path) -> None:
    run = ("run", "--task", "sts", "--method", "disco", "--student", "bow:8", "--teacher", teacher, *SMALL, "--json")
    output = python("-m", "bench", *run, "--results", "wheel", cwd=busy, path=installed)
    python("-m", "bench", "site", "build", "--results", "wheel", "--out", "pages", cwd=busy, path=installed)
    (ours,) = json.loads(output)["runs"]
    (theirs,) = runs_of(bench(*run, "--results", "checkout", cwd=busy))
    assert (busy / f"pages/runs/{ours['run_id']}.html").is_file() and ours["status"] == "done"
    assert (ours["run_id"], ours["value"]) == (theirs["run_id"], theirs["value"])


def example(page: str) -> tuple[str, str]:
    """The file that a page of docs/ shows: (name, source) of the block whose first line is `# name.py`."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    (found,) = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", text, re.DOTALL)
    return found


@pytest.mark.parametrize(
    ("page", "options"),
    [
        ("add-a-method.md", ("--task", "sts", "--method", "{}", "--student", "bert:1")),
        ("add-a-task.md", ("--task", "{}", "--method", "finetune", "--student", "bert:1")),
        ("add-a-student.md", ("--task", "sts", "--method", "kd", "--student", "{}")),
    ],
)
def test_example_of_the_docs_runs(page: str, options: tuple[str, ...], teacher: Path, tmp_path: Path) -> None:
    name, source = example(page)
    (tmp_path / name).write_text(source, encoding="utf-8")
    options = tuple(option.format(f"./{name}") for option in options)
    asked = ("run", *options, "--teacher", teacher, *SMALL, "--results", "out", "--json")
    (run,) = runs_of(bench(*asked, cwd=tmp_path))
    assert run["status"] == "done"
    assert (tmp_path / run["record"]).is_file()
    bench("site", "build", "--results", "out", "--out", "pages", cwd=tmp_path)
    assert name.removesuffix(".py") in (tmp_path / "pages" / "index.html").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_page_names_no_missing_file(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = {link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link}
    paths = set(re.findall(r"`((?:bench|docs|tests|\.ci|" + "|".join(ROOMS) + r")/[\w./-]*)`", text))
    missing = [link for link in links if not (page.parent / link).exists()]
    assert missing + [path for path in paths if not (ROOT / path).exists()] == []
