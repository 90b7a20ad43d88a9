"""SuperGLUE: counts of the official files, metrics beside scikit-learn, what networks read, and malformed files."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score

from bench.inputs import Batch
from bench.plugins.registry import find, load
from bench.sources import DataError, Source
from bench.tasks._superglue import credit, marked
from tests.factories.commands import bench, refused
from tests.factories.data import real_data

Superglue = load(find("task", "superglue"))
COUNTS = {"boolq": 3270, "cb": 56, "copa": 100, "multirc": 953, "rte": 277, "wic": 638, "wsc": 104}
EXAMPLES = {
    "BoolQ": {"question": "is it", "passage": "It is.", "label": True},
    "CB": {"premise": "He may go.", "hypothesis": "he goes", "label": "neutral"},
    "COPA": {"premise": "It rained.", "choice1": "Roads dried.", "choice2": "Roads got wet.", "question": "effect",
             "label": 1},
    "MultiRC": {"passage": {"text": "A text.", "questions": [
        {"question": "Why?", "answers": [{"text": "So", "label": 1}, {"text": "No", "label": 0}]},
        {"question": "Who?", "answers": [{"text": "Ann", "label": 0}]}]}},
    "ReCoRD": {"passage": {"text": "Ann met Bob Lee.\n@highlight\nBob left", "entities": [
        {"start": 0, "end": 2}, {"start": 8, "end": 14}, {"start": 28, "end": 30}]},
        "qas": [{"query": "@placeholder went home", "answers": [{"text": "Bob"}]}]},
    "RTE": {"premise": "A cat sat.", "hypothesis": "It sat.", "label": "entailment"},
    "WiC": {"word": "bank", "sentence1": "A bank.", "sentence2": "The bank.", "label": False},
    "WSC": {"text": "Ann saw Eve, and she waved.", "label": True,
            "target": {"span1_index": 0, "span1_text": "Ann", "span2_index": 4, "span2_text": "she"}},
}  # fmt: skip
READ = {
    "BoolQ": [("is it", "It is.")], "CB": [("He may go.", "he goes")],
    "COPA": [("It rained. so", "Roads dried."), ("It rained. so", "Roads got wet.")],
    "MultiRC": [("A text.", "Why? So"), ("A text.", "Why? No"), ("A text.", "Who? Ann")],
    "ReCoRD": [("Ann met Bob Lee. Bob left", f"{name} went home") for name in ("Ann", "Bob Lee", "Bob")],
    "RTE": [("A cat sat.", "It sat.")], "WiC": [("bank: A bank.", "bank: The bank.")],
    "WSC": [("Ann saw Eve, and *she* waved.", "Ann")],
}  # fmt: skip


def varied(folder, n):
    """The n-th row, which ends otherwise than the first."""
    row = copy.deepcopy(EXAMPLES[folder]) | {"idx": n}
    inside = row["passage"] if folder in ("MultiRC", "ReCoRD") else row
    field = {"BoolQ": "passage", "WiC": "sentence2"}.get(folder, "premise" if "premise" in row else "text")
    inside[field] += f" {n}" if n else ""
    return row


def write(root, folder, *, line=None, name="val", count=30):
    """A data set of `count` rows that differ; `line`: what stands in the second line of the file `name`."""
    place = root / folder
    place.mkdir(parents=True, exist_ok=True)
    for split in ("train", "val"):
        rows = [json.dumps(varied(folder, n)) for n in range(count if split == "train" else 3)]
        if line is not None and split == name:
            rows[1] = line
        (place / f"{split}.jsonl").write_text("\n".join(rows) + "\n")
    return root


def opened(root, dataset):
    task = Superglue(Source("directory", root), "lite", dataset)
    task.name = f"superglue/{dataset}"
    task.unseal()
    return task


def outputs(task, split="test", seed=0):
    return np.random.default_rng(seed).normal(size=(len(task.inputs(split)), task.outputs)).astype(np.float32)


@pytest.mark.parametrize("dataset", COUNTS)
def test_every_official_example_is_there(dataset):
    task = opened(real_data("superglue"), dataset)
    sizes = task.card().sizes
    assert sizes["test"] == COUNTS[dataset] and sizes["dev"] == 32
    lines = real_data("superglue") / "superglue" / task.form.folder
    assert sum(1 for _ in (lines / "train.jsonl").open()) == 32
    if dataset == "multirc":
        assert (sizes["test candidates"], sizes["train"]) == (4848, 154)
        assert sum(1 for _ in (lines / "val.jsonl").open()) == 83
    else:
        assert sizes["train"] == 32


def raw(dataset):
    folder = real_data("superglue") / "superglue" / Superglue(Source("directory"), "lite", dataset).form.folder
    return [json.loads(line) for line in (folder / "val.jsonl").open()]


def test_cb_is_accuracy_and_macro_f1_as_scikit_learn_has_them():
    task = opened(real_data("superglue"), "cb")
    said = outputs(task).argmax(1)
    gold = [("entailment", "contradiction", "neutral").index(row["label"]) for row in raw("cb")]
    found = task.score(task.predict(outputs(task), "test"))["cb"]
    assert found["accuracy"] == pytest.approx(accuracy_score(gold, said))
    assert found["macro_f1"] == pytest.approx(f1_score(gold, said, average="macro"))


def test_multirc_is_f1_over_answers_and_questions_that_are_all_right():
    task = opened(real_data("superglue"), "multirc")
    logits = outputs(task)
    said, at, exact, gold = logits.argmax(1), 0, [], []
    for row in raw("multirc"):
        for question in row["passage"]["questions"]:
            labels = [answer["label"] for answer in question["answers"]]
            exact.append(said[at : at + len(labels)].tolist() == labels)
            gold += labels
            at += len(labels)
    found = task.score(task.predict(logits, "test"))["multirc"]
    assert at == len(said) and found["f1a"] == pytest.approx(f1_score(gold, said))
    assert found["question_em"] == pytest.approx(np.mean(exact))


def test_copa_is_the_choice_with_the_higher_score():
    task = opened(real_data("superglue"), "copa")
    logits = outputs(task)
    gold = [row["label"] for row in raw("copa")]
    found = task.score(task.predict(logits, "test"))["copa"]["accuracy"]
    assert found == pytest.approx(accuracy_score(gold, logits.reshape(-1, 2).argmax(1)))
    examples = task.examples("supervised")
    assert examples.groups.shape == (32, 2)
    firsts = Batch(torch.arange(32), 2).split(torch.from_numpy(examples.groups.T.reshape(-1, 1)))[0]
    assert firsts.flatten().tolist() == list(range(0, 64, 2))


@pytest.mark.parametrize("dataset", ["boolq", "rte", "wic", "wsc"])
def test_the_others_are_accuracy(dataset):
    task = opened(real_data("superglue"), dataset)
    names = [*task.classes]
    gold = [names.index(str(row["label"]).lower()) for row in raw(dataset)]
    found = task.score(task.predict(outputs(task), "test"))[dataset]
    assert found["accuracy"] == pytest.approx(accuracy_score(gold, outputs(task).argmax(1)))


def test_small_test_sets_say_what_they_cannot_separate():
    notes = {d: opened(real_data("superglue"), d).card().notes[0] for d in ("cb", "copa", "boolq")}
    assert "13.4 points" in notes["cb"] and "10.0 points" in notes["copa"] and "1.7 points" in notes["boolq"]


@pytest.mark.parametrize("folder", EXAMPLES)
def test_what_a_network_reads(tmp_path, folder):
    task = opened(write(tmp_path, folder), folder.lower())
    expected = READ[folder]
    assert [tuple(pair) for pair in task.inputs("test")][: len(expected)] == expected


def test_record_is_scored_by_the_words_and_the_string_of_the_best_entity(tmp_path):
    task = opened(write(tmp_path, "ReCoRD"), "record")
    logits = np.tile(np.array([[0, 1], [0, 3], [0, 2]], np.float32), (3, 1))  # Ann, Bob Lee, Bob
    found = task.score(task.predict(logits, "test"))["record"]
    assert found == pytest.approx({"entity_choice_f1": 2 / 3, "entity_choice_em": 0})
    logits[:, 1] = np.tile([0, 1, 2], 3)
    assert task.score(task.predict(logits, "test"))["record"]["entity_choice_em"] == 1
    assert credit("The Bob, Lee!", ["bob lee", "x"]) == (1, 1) and credit("Ann", ["Bob"]) == (0, 0)


def test_dev_is_cut_from_train_with_passages_whole(tmp_path):
    task = opened(write(tmp_path, "MultiRC"), "multirc")
    dev, train = ({first for first, _ in inputs} for inputs in (task.inputs("dev"), task.examples("distil").inputs))
    assert dev and train and not dev & train
    assert "FewGLUE" not in task.card().splits["dev"]
    assert len(opened(write(tmp_path, "RTE", count=50), "rte").inputs("dev")) == 5


def test_the_pronoun_that_is_nearest_to_its_number_is_marked():
    assert marked("he says he is, he", "he", 3, "here") == "he says *he* is, he"
    assert marked("Is it? It is.", "it", 1, "here") == "Is *it*? It is."
    assert marked("So she, Ann, left", "She", 1, "here") == "So *she*, Ann, left"


@pytest.mark.parametrize(
    ("folder", "line", "words"),
    [
        ("RTE", "{", "not valid JSON"), ("RTE", "[1]", "no JSON object"),
        ("RTE", '{"premise": "a", "label": "entailment"}', "the field hypothesis is missing"),
        ("RTE", '{"premise": "a", "hypothesis": " ", "label": "entailment"}', "the field hypothesis is empty"),
        ("RTE", '{"premise": 3, "hypothesis": "b", "label": "entailment"}', "the field premise holds '3'"),
        ("RTE", '{"premise": "a", "hypothesis": "b", "label": "maybe"}', "'maybe' is no label"),
        ("RTE", '{"premise": "a", "hypothesis": "b", "label": 2}', "2 is no label"),
        ("BoolQ", '{"question": "a", "passage": "b", "label": [1]}', "[1] is no label"),
        ("COPA", json.dumps({**EXAMPLES["COPA"], "question": "why"}), "'why' is none of cause, effect"),
        ("COPA", json.dumps({**EXAMPLES["COPA"], "label": 2}), "2 is no label"),
        ("MultiRC", '{"passage": {"text": "a", "questions": []}}', "the field questions is no list of objects"),
        ("MultiRC", '{"passage": "a"}', "the field passage holds 'a'"),
        ("WSC", json.dumps({**EXAMPLES["WSC"], "text": "Nobody is here."}), "the text has no word 'she'"),
        ("ReCoRD", json.dumps({**EXAMPLES["ReCoRD"], "qas": [{"query": "x", "answers": [{"text": "y"}]}]}),
         "has no @placeholder"),
        ("ReCoRD", json.dumps({**EXAMPLES["ReCoRD"], "passage": {"text": "a", "entities": [{"start": 5, "end": 9}]}}),
         "holds no text"),
    ],
)  # fmt: skip
def test_a_malformed_line_is_named_with_its_file(tmp_path, folder, line, words):
    with pytest.raises(DataError) as caught:
        opened(write(tmp_path, folder, line=line), folder.lower()).identity()
    assert f"{folder}/val.jsonl, line 2: " in str(caught.value) and words in str(caught.value)


def test_a_missing_file_is_told_by_the_command(tmp_path):
    asked = ("--task", "superglue/rte", "--method", "kd", "--track", "lite", "--results", tmp_path / "results")
    refused(bench("run", *asked, "--data-dir", tmp_path, check=None), "no SuperGLUE RTE", "val.jsonl")
    (write(tmp_path, "RTE") / "RTE/train.jsonl").unlink()
    refused(bench("run", *asked, "--data-dir", tmp_path, check=None), "no train.jsonl", "SuperGLUE download")
