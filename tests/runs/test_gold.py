"""`bench check --data-dir`: the gold answers of records beside those of the data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench.kinds.span import Span
from bench.kinds.tag import Tag
from bench.scoring.scores import Ragged
from tests.factories.answers import write_wikiqa
from tests.factories.commands import bench

RUN = ("run", "--task", "as2/wikiqa", "--method", "finetune", "--student", "bow:4", "--teacher", "bow:8")
BRIEF = ("--set", "updates=1", "--set", "teach=1", "--set", "evaluations=1", "--track", "lite", "--no-measure")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a small WikiQA, and its data."""
    place = tmp_path_factory.mktemp("gold")
    write_wikiqa(place / "data")
    bench(*RUN, *BRIEF, "--data-dir", place / "data", "--results", place / "results")
    return place


def checked(folder: Path, data: Path, status: int) -> dict[str, object]:
    found: dict[str, object] = json.loads(
        bench("check", folder / "results", "--data-dir", data, "--json", check=status).out
    )
    return found


def test_gold_answers_are_those_of_the_data(folder: Path) -> None:
    found = checked(folder, folder / "data", 0)
    assert found["data"] == {"boards": 1, "left_out": {}}
    assert (
        "gold answers of 1 data sets compared" in bench("check", folder / "results", "--data-dir", folder / "data").out
    )
    assert "data" not in json.loads(bench("check", folder / "results", "--json").out)


def test_other_data_are_told(folder: Path, tmp_path: Path) -> None:
    write_wikiqa(tmp_path)
    for path in tmp_path.rglob("*.tsv"):
        header, rows = path.read_text(encoding="utf-8").split("\n", 1)
        path.write_text(header + "\n" + rows.replace("e", "o"), encoding="utf-8")
    (problem,) = checked(folder, tmp_path, 1)["problems"]  # type: ignore[misc]
    assert "the data: " in problem["problem"] and "data.identity" in problem["problem"]


def test_data_that_are_not_there_are_left_out_and_told(folder: Path, tmp_path: Path) -> None:
    found = checked(folder, tmp_path, 0)
    assert found["data"]["boards"] == 0 and "as2/wikiqa" in found["data"]["left_out"]  # type: ignore[index]


def test_outputs_that_say_nothing_are_what_each_kind_takes() -> None:
    tag = Tag.of(3, ("O", "B-x", "I-x"), None)
    gold = Ragged.of([[0, 1], [2]], np.int64)
    told = tag.predictions(tag.checked(tag.blank(2), 2), gold)
    assert told["gold"].flat.tolist() == ["O", "B-x", "I-x"] and set(told["prediction"].flat.tolist()) == {"O"}
    assert Span.of(0, (), None).blank(2).lengths.tolist() == [1, 1]
