"""Tagged words of the user's own as a task: files and folders, splits, a run from command to check, wrong files."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import RequestError
from bench.records import disk
from bench.runs.spec import Request, resolve
from bench.task import Task
from tests.factories.commands import bench
from tests.factories.runs import save_teacher

PLACES = ("Rome", "Oslo", "Bonn", "Lima")
SPLIT = ("dev", "test")
SMALL = ("updates=3", "teach=3", "batch_size=8", "evaluations=1", "max_length=16")


def tagged(path: Path, count: int, first: int = 0, tag: str = "B-PLACE") -> Path:
    """Sentences such as `they saw Rome 7`, whose third word is an entity."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        (("they", "O"), ("saw", "O"), (PLACES[n % len(PLACES)], tag), (str(n), "O"))
        for n in range(first, first + count)
    ]
    path.write_text("\n".join("".join(f"{word}\t{own}\n" for word, own in row) for row in rows), encoding="utf-8")
    return path


def opened(place: Path) -> Task:
    (spec,) = resolve(Request([str(place)], ["finetune"], ["bilstm:1x8"], "bert:1x24x2"))
    spec.task.unseal()
    return spec.task


def test_a_file_is_cut(tmp_path: Path) -> None:
    task = opened(tagged(tmp_path / "my places.conll", 60))
    assert (task.name, task.kind, task.classes) == ("tags/my-places", "tag", ("O", "B-PLACE"))
    parts = [{tuple(words) for words in pool} for pool in (task.examples("distil").inputs, *map(task.inputs, SPLIT))]
    assert [len(part) for part in parts] == [48, 6, 6] and len(set.union(*parts)) == 60
    assert task.card().splits["dev"].startswith("a tenth of my places.conll")


@pytest.mark.parametrize(("tag", "classes"), [("B", ("O", "B-ENTITY")), ("I-PLACE", ("O", "B-PLACE"))])
def test_a_folder_with_tags_of_other_forms(tmp_path: Path, tag: str, classes: tuple[str, ...]) -> None:
    """Without types, and IOB1, where an entity may begin with I."""
    for name, count, first in (("train.txt", 20, 0), ("devel.txt", 4, 20), ("test.txt", 6, 30)):
        tagged(tmp_path / "places" / name, count, first, tag)
    task = opened(tmp_path / "places")
    assert task.card().sizes == {"train": 20, "dev": 4, "test": 6, "places": 6} and task.classes == classes
    assert task.card().splits["dev"] == "the sentences of devel.txt"


def test_a_run_of_ones_own_files(tmp_path: Path) -> None:
    tagged(tmp_path / "places.conll", 60)
    teacher = save_teacher(tmp_path / "teacher")
    bench(
        "run", "--task", "./places.conll", "--teacher", teacher, "--method", "kd", "--student", "bert:1",
        *(word for setting in SMALL for word in ("--set", setting)), cache=tmp_path / "store", cwd=tmp_path,
    )  # fmt: skip
    (record,) = disk.read_all(tmp_path / "results")
    assert (record.spec["task"], record.metrics.main.name) == ("tags/places", "entity_f1")
    bench("check", cwd=tmp_path)
    assert "kd bert:1" in bench("board", "--task", "./places.conll", cwd=tmp_path).out


def test_what_is_no_file_of_tagged_words(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "squad.json").touch()
    wrong = {
        tmp_path / "empty": r"tags: no file of tagged words is in it \(\.conll, \.bio, \.iob, \.iob2 or \.txt\)",
        tmp_path / "squad.json": r"no task reads .*squad\.json: there are .*\.conll.* \(tags\)",
        tagged(tmp_path / "words.tsv", 8): r"words\.tsv: tagged words, and no table: give the file the ending \.conll",
        tagged(tmp_path / "odd.conll", 8, tag="E-PLACE"): r"odd\.conll, line 3: 'E-PLACE' is no tag",
    }
    for place, said in wrong.items():
        with pytest.raises(RequestError, match=said):
            opened(place).identity()
