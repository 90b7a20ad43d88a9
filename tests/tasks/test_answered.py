"""SQuAD and BioASQ's factoids: files as they are written, answers as they are merged, a run, what a wrong file gets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench.plugins.registry import find, load
from bench.records import disk
from bench.scoring.scores import Ragged
from bench.sources import DataError, Source
from tests.factories.runs import bench, save_teacher

Squad, Factoid = (load(find("task", name)) for name in ("squad", "factoid"))
CITIES = ("Paris", "Rome", "Oslo", "Bonn")


def paragraph(number: int, impossible: bool = False) -> dict:
    city = CITIES[number % len(CITIES)]
    text = f"In year {number} the fair was held in {city} by the river."
    answer = {"text": city, "answer_start": text.index(city)}
    more = {"text": f"in {city}", "answer_start": text.index(f"in {city}")}
    row = {
        "id": f"q{number}",
        "question": f" Where was fair {number}?",
        "answers": [] if impossible else [answer, more],
    }
    return {
        "context": text,
        "qas": [row | ({"is_impossible": True, "plausible_answers": [answer]} if impossible else {})],
    }


def squad(folder: Path, version: str = "1.1", **changed) -> Path:
    for part, articles in (("train", 6), ("dev", 2)):
        data = [
            {
                "title": f"{part} {a}",
                "paragraphs": [paragraph(4 * a + n, version == "2.0" and n == 3) for n in range(4)],
            }
            for a in range(articles)
        ]
        data[0]["paragraphs"][0]["qas"][0] |= changed
        (folder / f"{part}-v{version}.json").write_text(json.dumps({"version": version, "data": data}))
    return folder


def opened(cls, folder: Path, name: str):
    task = cls(Source("directory", folder), "lite", name)
    task.unseal()
    return task


def test_questions_answers_and_places(tmp_path):
    task = opened(Squad, squad(tmp_path), "1.1")
    assert task.card().sizes == {"train": 20, "dev": 4, "test": 8, "1.1": 8}
    train = task.splits.train
    for (_, text), (first, behind), answers in zip(train.inputs, train.labels, train.answers, strict=True):
        assert text[first:behind] == answers[0] in CITIES
    assert task.inputs("test")[0][0] == "Where was fair 0?"
    titles = [set(part.keys) for part in (train, task.splits.dev)]
    assert not titles[0] & titles[1]


def test_questions_without_an_answer(tmp_path):
    task = opened(Squad, squad(tmp_path, "2.0"), "2.0")
    test = task.splits.test["2.0"]
    assert test.labels[3].tolist() == [-1, -1]
    assert [len(row) for row in test.answers] == [2, 2, 2, 0] * 2
    no, texts = [-1.0, -1, 5.0], [text for _, text in task.inputs("test")]
    paris, rome = texts[0].index("Paris"), texts[1].index("Rome")
    outputs = Ragged.of(
        [[no, [paris, paris + 5, 4.0]], [no, [rome, rome + 4, 6.0], [0, 2, 1.0]], *[[no]] * 6], np.float32
    )
    found = task.predict(outputs, "test")["2.0"]
    assert found["prediction"].tolist() == ["", "Rome", *[""] * 6]
    assert task.score({"2.0": found})["2.0"]["exact_match"] == pytest.approx(3 / 8)  # and of the two that have none
    plain = opened(Squad, squad(tmp_path), "1.1").predict(outputs, "test")["1.1"]
    assert plain["prediction"].tolist()[0] == "Paris"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"question": " "}, "train 0, question q0: question is empty"),
        ({"answers": [{"text": "Paris", "answer_start": 3}]}, "'Paris' does not stand at 3 of its text"),
        ({"answers": [{"text": "Paris"}]}, "question q0: no answer_start"),
        ({"answers": None}, "question q0: no answers"),
    ],
)
def test_what_a_wrong_question_gets(tmp_path, changed, said):
    with pytest.raises(DataError, match=said):
        opened(Squad, squad(tmp_path, **changed), "1.1").identity()


def test_blanks_at_the_ends_of_an_answer_are_no_part_of_its_place(tmp_path):
    text = paragraph(0)["context"]
    wide = {"text": " Paris ", "answer_start": text.index(" Paris ")}
    train = opened(Squad, squad(tmp_path, answers=[wide]), "1.1").splits.train
    found = {text[first:behind] for (_, text), (first, behind) in zip(train.inputs, train.labels, strict=True)}
    assert found == set(CITIES) and " Paris " in {answer for row in train.answers.tolist() for answer in row}


def test_what_a_wrong_file_gets(tmp_path):
    with pytest.raises(DataError, match=r"looked for train-v1\.1\.json"):
        opened(Squad, tmp_path, "1.1").identity()
    (tmp_path / "train-v1.1.json").write_text("{")
    with pytest.raises(DataError, match="not valid JSON"):
        opened(Squad, tmp_path, "1.1").identity()


def bioasq(folder: Path, **changed) -> Path:
    rows = [
        {
            "type": "factoid", "id": f"f{n}", "body": f"Which gene causes disease {n}?",
            "exact_answer": [[f"GEN{n}", f"gene {n}"]],
            "snippets": [{"text": f"The gen{n} causes it."}, {"text": "Nothing is known."}],
        }
        for n in range(12)
    ]  # fmt: skip
    other = {"type": "yesno", "id": "y", "body": "Is it?", "exact_answer": "yes", "snippets": []}
    rows[0] |= changed
    (folder / "training.json").write_text(json.dumps({"questions": [other, *rows]}))
    (folder / "test.json").write_text(
        json.dumps({"questions": [other, *(row | {"id": f"g{row['id']}"} for row in rows)]})
    )
    return folder


def test_snippets_with_the_answer_are_taught_and_all_are_read(tmp_path):
    task = opened(Factoid, bioasq(tmp_path), "bioasq")
    assert task.card().sizes == {
        "train": 11, "dev": 1, "test": 12, "bioasq": 12, "dev snippets": 2, "test snippets": 24,
    }  # fmt: skip
    for (_, text), (first, behind) in zip(task.splits.train.inputs, task.splits.train.labels, strict=True):
        assert text[first:behind].startswith("gen")


def test_a_name_is_looked_for_as_a_word_before_it_is_looked_for_in_words(tmp_path):
    text = "Early partial response of the androgen receptor."
    changed = {"exact_answer": [["AR", "androgen receptor "]], "snippets": [{"text": text}, {"text": "Early on."}]}
    task = opened(Factoid, bioasq(tmp_path, **changed), "bioasq")
    places = task.splits.test["bioasq"].labels[:2].tolist()
    assert [text[a:b] for a, b in places[:1]] == ["androgen receptor"] and places[1] == [1, 3]


def test_a_question_without_snippets_counts(tmp_path):
    task = opened(Factoid, bioasq(tmp_path, snippets=[]), "bioasq")
    no, gene = [-1, -1, 9.0], [4, 8, 2.0]
    assert task.inputs("test")[0] == ("Which gene causes disease 0?", "")
    found = task.predict(Ragged.of([[no], *[[no, gene], [no]] * 11], np.float32), "test")["bioasq"]
    assert found["prediction"].tolist()[:2] == [[], ["gen1"]]
    assert task.score({"bioasq": found})["bioasq"]["strict_accuracy"] == pytest.approx(
        9 / 12
    )  # gen10 and gen11 are cut


def test_questions_of_test_are_not_taught(tmp_path):
    """Training files of later years hold the golden files of earlier ones."""
    bioasq(tmp_path)
    parts = {name: json.loads((tmp_path / f"{name}.json").read_text()) for name in ("training", "test")}
    (tmp_path / "training.json").write_text(
        json.dumps({"questions": [q for p in parts.values() for q in p["questions"]]})
    )
    task = opened(Factoid, tmp_path, "bioasq")
    assert task.card().sizes["train"] == 11 and task.card().sizes["test"] == 12
    assert not any(key.startswith("g") for part in (task.splits.train, task.splits.dev) for key in part.keys)
    (tmp_path / "training.json").write_text(json.dumps(parts["test"]))
    with pytest.raises(DataError, match=r"every question of training\.json is one of test\.json"):
        opened(Factoid, tmp_path, "bioasq").identity()


def test_snippets_of_a_question_are_merged_by_score(tmp_path):
    task = opened(Factoid, bioasq(tmp_path), "bioasq")
    no, gene, it = [-1, -1, 9.0], [4, 8, 2.0], [16, 18, 3.0]
    outputs = Ragged.of([[no, gene, [*it[:2], 1.0]], [no, [0, 7, 2.5], [0, 7, 2.4]], *[[no]] * 22], np.float32)
    found = task.predict(outputs, "test")["bioasq"]
    assert found["prediction"].tolist()[0] == ["Nothing", "gen0", "it"]
    assert found["gold"].tolist()[0] == ["GEN0", "gene 0"]
    scores = task.score({"bioasq": found})["bioasq"]
    assert scores == pytest.approx({"factoid_mrr": 0.5 / 12, "strict_accuracy": 0, "lenient_accuracy": 1 / 12})


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"body": ""}, "question f0: body is empty"),
        ({"exact_answer": []}, "question f0: no exact_answer"),
        ({"snippets": [{"text": " "}]}, "question f0, a snippet: text is empty"),
        ({"snippets": None}, "question f0: no snippets"),
    ],
)
def test_what_a_wrong_factoid_gets(tmp_path, changed, said):
    with pytest.raises(DataError, match=said):
        opened(Factoid, bioasq(tmp_path, **changed), "bioasq").identity()


def test_a_run(tmp_path):
    folder, results, cache = squad(tmp_path), tmp_path / "results", tmp_path / "store"
    teacher = save_teacher(tmp_path / "teacher")
    small = ["updates=3", "teach=3", "batch_size=8", "evaluations=1", "max_length=24"]
    bench(
        "run", "--task", "squad/1.1", "--track", "lite", "--data-dir", folder, "--teacher", teacher, "--method", "kd",
        "--student", "bert:1", *(w for s in small for w in ("--set", s)), "--results", results, cache=cache,
    )  # fmt: skip
    (record,) = disk.read_all(results)
    assert record.metrics.main.name == "answer_f1"
    bench("check", results, cache=cache)
