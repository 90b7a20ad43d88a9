"""The committed records: every row has one that leads back to the run that it is of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.records import disk, together
from bench.records.arrays import unpack
from bench.records.schemas import Record
from bench.runs import replay
from bench.runs.gold import gold
from tests.factories.data import real_data
from tests.factories.runs import ROOT

FOLDERS = {
    "glue": "glue",
    "graphs": "hetgraph",
    "text": "textcls",
    "images": "image",
    "sts": "sts",
    "speech": "oracle",
    "translation": "oracle",
    "biomed": "biomed",
    "itr": "itr",
    "superglue": "superglue",
    "mlm/biomed": "biomed",
    "mlm/indonlu": "indonlu",
    "as2": "as2",
    "retrieval": "retrieval",
    "scene_text": "oracle",
    "indonlu": "indonlu",
}  # where the data of a family, or of one of its data sets, lie


def data_of(record: Record) -> Path:
    task = record.spec["task"]
    return real_data(FOLDERS.get(task) or FOLDERS[task.partition("/")[0]])


def chosen() -> Iterator[Path]:
    """A record of each task, method and student that are together on a board, of those that read no text of ours."""
    seen: set[tuple[str, ...]] = set()
    for path in sorted((ROOT / "results").glob("lite/**/*.json")):
        spec = disk.read(path).spec
        if (cell := (spec["task"], spec["method"], spec["student"])) not in seen and not spec["versions"].get("files"):
            seen.add(cell)
            yield path


@pytest.mark.parametrize("path", chosen(), ids=lambda path: path.stem)
def test_a_committed_run_is_resolved_again(path: Path) -> None:
    record: Record = disk.read(path)
    assert replay.spec_of(record, data_of(record)).run_id == record.run_id


def boards() -> Iterator[Path]:
    """A record of each data identity."""
    seen: set[str] = set()
    for path in sorted((ROOT / "results").glob("lite/**/*.json")):
        if (identity := disk.read(path).data.identity) not in seen:
            seen.add(identity)
            yield path


@pytest.mark.parametrize("path", boards(), ids=lambda path: path.stem)
def test_gold_answers_of_a_committed_board_are_those_of_the_data(path: Path) -> None:
    record = disk.read(path)
    found = gold(record, data_of(record))
    if found is None:  # what was hidden in a text is told in a network's own pieces
        assert record.spec["task"].startswith("mlm/")
        return
    assert together.answers(found) == together.answers(unpack(path.with_suffix(".npz")))
