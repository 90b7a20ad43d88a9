"""A table of the user's own as a task: columns, classes or values, splits, and a run of it from command to check."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from bench.errors import RequestError
from bench.runs.spec import Request, Spec, resolve
from bench.task import Task
from tests.factories.commands import bench, refused, runs_of

GOOD, BAD, REST = (
    ("great", "lovely", "fine"),
    ("awful", "dull", "poor"),
    ("film", "book", "plot", "cast", "scene", "it"),
)
SMALL = ("--set", "updates=60", "--set", "batch_size=16", "--set", "evaluations=2", "--set", "bow.dropout=0")


def table(path: Path, header: str, rows: Iterable[Iterable[Any]]) -> Path:
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header.split(","), *rows])
    return path


def reviews(n: int, seed: int = 0) -> list[tuple[str, str]]:
    """Texts whose one telling word is their class."""
    rng = random.Random(seed)
    labels = [rng.choice(("pos", "neg")) for _ in range(n)]
    words = [[*rng.choices(REST, k=6), rng.choice(GOOD if label == "pos" else BAD)] for label in labels]
    return [(" ".join(rng.sample(own, len(own))), label) for own, label in zip(words, labels, strict=True)]


def opened(place: Path, *settings: str) -> Task:
    (spec,) = planned(place, *settings)
    return spec.task


def planned(place: Path, *settings: str) -> list[Spec]:
    return resolve(Request([str(place)], ["kd"], ["bow:8"], "bow:16", settings=settings))


def test_classes_with_a_stratified_cut(tmp_path: Path) -> None:
    rows = [(f"text {n}", "ab"[n < 150]) for n in range(200)]
    task = opened(table(tmp_path / "my data (1).csv", "text,label", rows))
    assert (task.name, task.kind, task.classes) == ("classes/my-data-1", "classify", ("a", "b"))
    task.unseal()
    dev, test, train = task.answers(), task.splits.test["my-data-1"].labels, task.examples("supervised")
    assert [len(part) for part in (train, dev, test)] == [160, 20, 20]
    assert [float(part.mean()) for part in (dev, test)] == [0.75, 0.75]
    assert len({*train.inputs, *task.inputs("dev"), *task.inputs("test")}) == 200
    assert task.card().splits["dev"].startswith("a tenth of each class of train")


def test_equal_texts_stay_on_one_side(tmp_path: Path) -> None:
    rows = [(f"text {n % 30}", "ab"[n % 2]) for n in range(120)]
    task = opened(table(tmp_path / "d.csv", "text,label", rows))
    task.unseal()
    sides = [set(task.splits.train.inputs), set(task.inputs("dev")), set(task.inputs("test"))]
    assert sum(map(len, sides)) == len(set.union(*sides)) == 30


def test_pairs_with_a_number(tmp_path: Path) -> None:
    rows = [(f"a {n}", f"b {n}", n / 20) for n in range(100)]
    task = opened(table(tmp_path / "d.csv", "Premise,hypothesis,label", rows))
    assert (task.name, task.kind, task.outputs) == ("values/d", "regress", 1)
    assert task.inputs("dev")[0][0].startswith("a ") and len(task.inputs("dev")) == 10


def test_named_columns_decide_what_is_read(tmp_path: Path) -> None:
    place = table(tmp_path / "d.csv", "title,stars,text", [(f"t {n}", 1 + n % 5, "same") for n in range(100)])
    classes = opened(place, "text=title", "label=stars")
    assert (classes.kind, classes.classes) == ("classify", ("1", "2", "3", "4", "5"))
    values = opened(place, "text=title,text", "track.score=stars")
    assert values.kind == "regress" and values.inputs("dev")[0][1] == "same"
    assert planned(place, "text=title", "label=stars")[0].values["settings"]["track"]["label"] == "stars"


def test_splits_that_are_given(tmp_path: Path) -> None:
    rows = reviews(60)
    for name, part in {"train": rows[:40], "test": rows[38:]}.items():
        table(tmp_path / f"{name}.csv", "text,label", part)
    task = opened(tmp_path)
    task.unseal()
    assert len(task.examples("distil")) == 36 and len(task.inputs("test")) == 22
    assert task.card().notes[0].startswith("2 of 22 test inputs are in train or dev too")
    by_column = table(
        tmp_path / "d.csv", "text,label,split", [(*row, ("train", "val")[n > 49]) for n, row in enumerate(rows)]
    )
    task = opened(by_column)
    task.unseal()
    assert len(task.inputs("test")) == 10  # dev that was given is what is judged, and another one is cut
    assert [len(task.examples("distil")), len(task.inputs("dev"))] == [45, 5]


def test_the_content_is_the_identity(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    one = table(tmp_path / "d.csv", "text,label", reviews(60))
    two = table(tmp_path / "other" / "d.csv", "id,label,text", [(n, y, x) for n, (x, y) in enumerate(reviews(60))])
    changed = table(tmp_path / "other" / "e.csv", "text,label", reviews(60, seed=1))
    ids = [spec.run_id for place in (one, two, changed) for spec in planned(place)]
    assert ids[0] == ids[1] != ids[2]
    lines = one.with_suffix(".jsonl")
    lines.write_text("".join(json.dumps({"text": x, "label": y}) + "\n" for x, y in reviews(60)))
    assert planned(lines)[0].run_id == ids[0]


WRONG = {
    "no text": ("words,label", [("x", "a")], (), "no column text or sentence1 and sentence2; there are words, label"),
    "no label": ("text,stars", [("x", "a")], (), "no column label or score; there are text, stars"),
    "semicolons": ("text;label", [("x;a",)], (), "the first line has semicolons and no comma: write it with commas"),
    "named": ("text,label", [("x", "a")], ("text=title",), "no column title; there are text, label"),
    "one class": ("text,label", [("x", "a"), ("y", "a")], (), "holds 1 classes in 2 rows"),
    "names of texts": ("text,label", [(f"{n}", f"n{n}") for n in range(50)], (), "holds 50 classes in 50 rows"),
    "no class": ("text,label", [("x", "a"), ("y", "")], (), "line 3: no class in the column label"),
    "no number": ("text,score", [("x", "0.5"), ("y", "good")], (), "line 3: 'good' is not a finite number"),
    "few": ("text,label", [("x", "a"), ("y", "b")], (), "too few training examples to cut a dev set from"),
    "no split": ("text,label,split", [("x", "a", "rest")], (), "line 2: 'rest' in the column split is none of"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_tables_are_refused_in_a_sentence(name: str, tmp_path: Path) -> None:
    header, rows, settings, why = WRONG[name]
    with pytest.raises(RequestError) as error:
        planned(table(tmp_path / "d.csv", header, rows), *settings)
    assert why in str(error.value)


def test_a_class_that_train_lacks(tmp_path: Path) -> None:
    table(tmp_path / "train.csv", "text,label", reviews(40))
    table(tmp_path / "test.csv", "text,label", [("x", "pos"), ("y", "mixed")])
    with pytest.raises(RequestError, match=r"test\.csv, line 3: no row of train is of the class 'mixed'"):
        planned(tmp_path)


def test_from_command_to_check_and_back(tmp_path: Path) -> None:
    """A teacher is taught, students are distilled and compared; the record leads back to its table."""
    table(tmp_path / "reviews.csv", "text,label", reviews(240))
    asked = ("run", "--task", "./reviews.csv", "--teacher", "bow:32", "--student", "bow:8", *SMALL)
    done = bench(*asked, "--method", "finetune", "--set", "lr=0.03", "--json", cwd=tmp_path)
    (run,) = runs_of(done)
    assert run["task"] == "classes/reviews" and run["metric"] == "accuracy" and run["value"] > 0.7
    assert bench("check", cwd=tmp_path).out == "1 records, 0 problems\n"
    assert "same: accuracy" in bench("verify", run["run_id"], cwd=tmp_path).out
    table(tmp_path / "other" / "reviews.csv", "text,label", reviews(60, 1))
    told = [bench("board", "--task", place, cwd=tmp_path) for place in ("./reviews.csv", "./other/reviews.csv")]
    assert ["same name" in board.err for board in told] == [False, True] and "finetune" in told[0].out
    (tmp_path / "reviews.csv").rename(tmp_path / "moved.csv")
    refused(bench("verify", run["run_id"], cwd=tmp_path, check=None), "./reviews.csv", "name it with --data-dir")


def test_what_is_no_table_and_what_is_said_twice(tmp_path: Path) -> None:
    run = ("run", "--method", "kd", "--dry-run", "--task")
    refused(bench(*run, "./gone.csv", cwd=tmp_path, check=None), "there is no data at", "gone.csv")
    refused(bench(*run, "classes", cwd=tmp_path, check=None), "say --task ./data.csv")
    table(tmp_path / "d.csv", "text,label", reviews(60))
    twice = bench(*run, "./d.csv", "--data-dir", ".", cwd=tmp_path, check=None)
    refused(twice, "--task ./d.csv says where its data is")
