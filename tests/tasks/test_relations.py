"""Relations and questions in biomedical texts: official files whole, what is test, what a wrong file gets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

from bench.plugins.registry import find, load
from bench.sources import DataError, Source
from tests.factories.data import real_data

Biomed = load(find("task", "biomed"))
COUNTS = {"gad": (4261, 535, 534), "chemprot": (4169, 2427, 3469), "pubmedqa": (450, 50, 500), "bioasq": (670, 75, 140)}


def opened(folder: Path, name: str):
    task = Biomed(Source("directory", folder), "lite", name)
    task.unseal()
    return task


@pytest.mark.parametrize("name", COUNTS)
def test_official_files_are_read_whole_and_kept_apart(name):
    task = opened(real_data("biomed"), name)
    sizes = task.card().sizes
    assert (sizes["train"], sizes["dev"], sizes["test"]) == COUNTS[name]
    train, dev, test = (set(pool) for pool in (task.splits.train.inputs, task.inputs("dev"), task.inputs("test")))
    if name == "pubmedqa":  # cut here; what the official files of others share is theirs
        assert not train & dev
        assert not (train | dev) & test


def test_test_of_pubmedqa_are_the_official_ids():
    folder = real_data("biomed") / "biomed/QAdata/pubmedqa/data"
    rows, gold = (json.loads((folder / f).read_text()) for f in ("ori_pqal.json", "test_ground_truth.json"))
    task = opened(real_data("biomed"), "pubmedqa")
    assert [question for question, _ in task.inputs("test")] == [rows[key]["QUESTION"] for key in gold]
    names = [task.classes[n] for n in task.splits.test["pubmedqa"].labels]
    assert names == list(gold.values())


@pytest.mark.parametrize(("name", "average"), [("gad", "binary"), ("chemprot", "macro"), ("bioasq", "macro")])
def test_scores_are_those_of_scikit_learn(name, average):
    task = opened(real_data("biomed"), name)
    gold = task.splits.test[name].labels
    logits = np.random.default_rng(1).normal(size=(len(gold), len(task.classes))).astype(np.float32)
    (scores,) = task.score(task.predict(logits, "test")).values()
    metric = "f1" if average == "binary" else "macro_f1"
    assert scores[metric] == pytest.approx(f1_score(gold, logits.argmax(1), average=average))
    assert scores["accuracy"] == pytest.approx((gold == logits.argmax(1)).mean())


def files(folder: Path, ending: str, text: str) -> Path:
    for part in ("train", "dev", "test"):
        (folder / f"{part}.{ending}").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("name", "ending", "text", "said"),
    [
        ("gad", "tsv", "index\tsentence\tlabel\n0\tx\t2\n", "train.tsv, line 2: '2' is no label"),
        ("gad", "tsv", "a\tb\tc\n0\tx\t1\n", "line 1: no column index, sentence, label"),
        ("gad", "tsv", "index\tsentence\tlabel\n0\tx\n", "line 2: 2 tab-separated columns, expected 3"),
        ("gad", "tsv", "index\tsentence\tlabel\n0\t \t1\n", "line 2: a text is missing"),
        ("chemprot", "txt", '{"text": "x", "label": "FRIEND"}\n', "line 1: 'FRIEND' is no label"),
        ("chemprot", "txt", '{"text": "x"}\n', "line 1: no object with a text and a label"),
        ("chemprot", "txt", "{\n", "line 1: not valid JSON"),
        ("bioasq", "tsv", "1\t\tabstract\tyes\n", "line 1: a text is missing"),  # an empty question
        ("bioasq", "tsv", "1\tq\tabstract\tmaybe\n", "line 1: 'maybe' is no label"),
    ],
)
def test_what_a_wrong_file_gets(tmp_path, name, ending, text, said):
    with pytest.raises(DataError, match=said):
        opened(files(tmp_path, ending, text), name).identity()


@pytest.mark.parametrize(
    ("rows", "gold", "said"),
    [
        ({"1": {}}, {"1": "yes"}, "ori_pqal.json, 1: no CONTEXTS"),
        ({"1": {"CONTEXTS": ["x"], "QUESTION": "", "final_decision": "yes"}}, {"1": "yes"}, "1: a text is missing"),
        ({"1": {"CONTEXTS": ["x"], "QUESTION": "q", "final_decision": "no"}}, {"1": "yes"}, "another one than in"),
        ({"1": {"CONTEXTS": ["x"], "QUESTION": "q", "final_decision": "no"}}, {"2": "yes"}, "2 is not in ori_pqal"),
        ([], {"2": "yes"}, "not a JSON object"),
    ],
)
def test_what_wrong_questions_get(tmp_path, rows, gold, said):
    (tmp_path / "ori_pqal.json").write_text(json.dumps(rows))
    (tmp_path / "test_ground_truth.json").write_text(json.dumps(gold))
    with pytest.raises(DataError, match=said):
        opened(tmp_path, "pubmedqa").identity()
