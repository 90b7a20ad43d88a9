"""Plug-ins: found by file name, by path and by entry point; what they declare is read without importing them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.errors import RequestError
from bench.plugins import registry
from bench.plugins.registry import declared, find, found, load
from tests.factories.runs import ROOT, command

METHOD = '''"""Mine, in one line.

And more."""
from bench.method import Method


class Mine(Method):
    title = "Mine"
    needs = frozenset({"embedding"})
'''


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    registry.found.cache_clear()
    yield
    registry.found.cache_clear()


def entry_point(folder: Path, package: str, group: str, line: str) -> None:
    """What pip leaves behind for an installed distribution."""
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{line}\n")


def listed(folder: Path, check: int = 0) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    child = subprocess.run(
        command("list", "--json"), cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )
    assert child.returncode == check, child.stderr
    return child


def test_another_process_is_sent_files_that_are_still_there(tmp_path: Path) -> None:
    """The measuring process loads them all: one that has gone since would end the measuring of any other run."""
    for name in ("kept_here", "gone_since"):
        (tmp_path / f"{name}.py").write_text(METHOD.replace("Mine", name.title().replace("_", "")))
        registry.load(find("method", str(tmp_path / f"{name}.py")))
    (tmp_path / "gone_since.py").unlink()
    sent = {plugin.path.name for plugin in registry.loaded_files() if plugin.path.parent == tmp_path}
    assert sent == {"kept_here.py"}


def test_every_file_of_a_room_is_one() -> None:
    for kind, room in registry.ROOMS.items():
        files = {p.stem for p in (ROOT / room).glob("*.py") if not p.stem.startswith("_")}
        assert files <= set(found(kind))
        for name in files:
            plugin = find(kind, name)
            assert plugin.path == ROOT / room / f"{name}.py" and plugin.digest == ""
            assert load(plugin).__module__ == f"bench.{room}.{name}"


def test_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(METHOD)
    plugin = find("method", "./mine.py")
    assert (plugin.name, plugin.path, plugin.summary) == ("mine", tmp_path / "mine.py", "Mine, in one line.")
    assert plugin.declares["needs"] == {"embedding"}
    assert load(plugin).__name__ == "Mine" and load(plugin) is load(find("method", str(tmp_path / "mine.py")))
    assert "mine" not in found("method")
    digest = plugin.digest
    (tmp_path / "mine.py").write_text(METHOD + "\n")
    assert find("method", "mine.py").digest != digest


def test_by_entry_point_without_importing_it(tmp_path: Path) -> None:
    """A module that would raise at import is still listed, and torch stays out."""
    (tmp_path / "their_methods.py").write_text("raise RuntimeError('imported')\n" + METHOD)
    entry_point(tmp_path, "theirs", "bench.methods", "theirs = their_methods:Mine")
    rows = json.loads(listed(tmp_path).stdout)["methods"]
    (row,) = [r for r in rows if r["name"] == "theirs"]
    assert row["title"] == "Mine" and row["needs"] == ["embedding"] and "sts" in row["fits"]


def test_an_entry_point_that_cannot_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "their_broken.py").write_text("raise RuntimeError('imported')\n" + METHOD)
    entry_point(tmp_path, "theirs", "bench.methods", "theirs = their_broken:Mine")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RequestError, match=r"their_broken\.py cannot be imported: RuntimeError: imported"):
        load(find("method", "theirs"))


@pytest.mark.parametrize("value", ["gone:Mine", "gone.away:Mine", "json.gone:Mine"])
def test_an_entry_point_to_nowhere(tmp_path: Path, value: str) -> None:
    entry_point(tmp_path, "theirs", "bench.methods", f"theirs = {value}")
    child = listed(tmp_path, check=2)
    assert child.stderr == f"bench: the entry point theirs = {value} names a module that is not there\n"


def test_two_of_one_name_shows_both(tmp_path: Path) -> None:
    (tmp_path / "their_methods.py").write_text(METHOD)
    entry_point(tmp_path, "theirs", "bench.methods", "kd = their_methods:Mine")
    child = listed(tmp_path, check=2)
    assert child.stdout == "" and child.stderr.startswith("bench: two methods are named 'kd': ")
    assert str(ROOT / "baselines/kd.py") in child.stderr and str(tmp_path / "their_methods.py") in child.stderr


def test_modules_of_the_users_folder_shadow_nothing(tmp_path: Path) -> None:
    for name in ("tasks", "baselines", "students", "site"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('shadowed')\n")
    assert "sts" in listed(tmp_path).stdout


def test_literals(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        '''
from bench.method import Method
from bench import method
raise RuntimeError("imported")

class Helper:
    title = "not this one"

class Mine(method.Method):
    """Of the class."""
    title: str = "A" "B"
    needs = frozenset({"logits", "hidden"})
    kinds = frozenset(["embed"])
    empty = frozenset()
    datasets = ("a", "b")
    teachers = {"x": "y"}
    computed = max(1, 2)
    unhashable = {[]: 1}
    bare: int

    def stages(self):
        title = "nor this"
'''
    )
    assert declared(path, "Method") == {
        "summary": "", "title": "AB", "needs": {"logits", "hidden"}, "kinds": ["embed"], "datasets": ("a", "b"),
        "teachers": {"x": "y"},
    }  # fmt: skip
    assert declared(path, "Student") == {"summary": ""}


def test_a_task_must_say_its_kind(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    for kind in ("'embedding'", "{}"):
        path.write_text(f"from bench.task import Task\n\n\nclass Mine(Task):\n    kind = {kind}\n")
        with pytest.raises(RequestError, match=r"a literal kind: one of .*classify, .*embed"):
            find("task", str(path))


def test_a_file_with_a_helper_class_of_its_own(tmp_path: Path) -> None:
    """Imported methods and classes that are none do not count."""
    path = tmp_path / "mine.py"
    path.write_text("from bench.baselines.kd import Kd\n\n\nclass Helper:\n    pass\n\n\nclass Mine(Kd):\n    pass\n")
    assert load(find("method", str(path))).__name__ == "Mine"


def test_an_import_that_failed_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("import gone_gone\n" + METHOD)
    for _ in range(2):
        with pytest.raises(RequestError, match="gone_gone"):
            load(find("method", str(path)))
    assert not any(name.startswith("bench_file_mine") for name in sys.modules if sys.modules[name] is None)


def test_an_error_that_says_what_to_do_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("from bench.errors import RequestError\nraise RequestError('pip install this')\n" + METHOD)
    with pytest.raises(RequestError, match=r"^pip install this$"):
        load(find("method", str(path)))


def test_a_byte_order_mark_is_python(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(METHOD, encoding="utf-8-sig")
    assert load(find("method", str(path))).title == "Mine"


def test_modules_beside_a_file_are_imported_and_part_of_its_digest(tmp_path: Path) -> None:
    """Two folders may have a module of one name; what lies beside a file and is not imported is no part of it."""
    for folder, title in (("a", "first"), ("b", "second")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "words.py").write_text("from deep import TITLE\n")
        (tmp_path / folder / "deep.py").write_text(f"TITLE = {title!r}\n")
        (tmp_path / folder / "other.py").write_text("raise RuntimeError('imported')\n")
        (tmp_path / folder / "json.py").write_text("raise RuntimeError('shadowed')\n")
        text = METHOD.replace('title = "Mine"', "import json\n    from words import TITLE as title")
        (tmp_path / folder / f"mine_{folder}.py").write_text(text)
    paths = [tmp_path / folder / f"mine_{folder}.py" for folder in "ab"]
    assert [load(find("method", str(path))).title for path in paths] == ["first", "second"]
    assert not {"words", "deep"} & sys.modules.keys()
    before = find("method", str(paths[0])).digest
    (tmp_path / "a" / "other.py").write_text("")
    assert find("method", str(paths[0])).digest == before
    (tmp_path / "a" / "deep.py").write_text("TITLE = 'third'\n")
    assert find("method", str(paths[0])).digest != before and load(find("method", str(paths[0]))).title == "third"


def test_what_was_refused_is_loaded_by_no_other_process(tmp_path):
    """Networks are timed in a process of its own, which loads all files that this one has loaded."""
    path = tmp_path / "unfinished.py"
    path.write_text('from bench.task import Task\n\n\nclass Unfinished(Task):\n    kind = "classify"\n')
    with pytest.raises(RequestError, match="is no whole Task"):
        registry.load(registry.find("task", str(path)))
    assert path not in [plugin.path for plugin in registry.loaded_files()]
