"""Readers of words with a head give the student's logits in onnxruntime's and tokenizers' own hands."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from bench.errors import RequestError
from bench.export import runtime, word_heads
from bench.inputs import Texts, Words
from bench.kind import Kind
from bench.kinds.aspects import Aspects
from bench.kinds.classify import Classify
from bench.kinds.regress import Regress
from bench.kinds.tag import Tag
from bench.networks.words import WordNetwork
from bench.plugins.registry import find, load
from bench.student import Known

onnxruntime = pytest.importorskip("onnxruntime")
LONG = "the gene causes a rare disease , " * 60
ASPECTS = tuple(f"{a}: {v}" for a in ("price", "size") for v in ("good", "bad"))
CASES: dict[str, tuple[Kind, Texts]] = {
    "classify": (Classify(2, ("no", "yes")), Texts(["The gene.", LONG, "", "[PAD] caf\u00e9 U.S."])),
    "pair": (Classify(3), Texts(["Is it?", "", "why"], ["Yes, it is.", "why", LONG])),
    "regress": (Regress(1), Texts(["one two"], ["three"])),
    "aspects": (Aspects(4, ASPECTS), Texts(["cheap, and big", "dear"])),
    "tag": (Tag(3, ("O", "B-D", "I-D")), Words([("The", "U.S.", "gene"), ("No",), tuple(LONG.split())])),
}
SIZES = {"bow": "6", "bilstm": "2x3", "cnn": "2"}


def student(family: str, goal: Kind, inputs: Texts) -> WordNetwork:
    cls = load(find("student", family))
    torch.manual_seed(0)
    return cls(cls.Settings(max_length=24)).build(SIZES[family], Known(goal, 1.0).reading(inputs), None).eval()


@pytest.mark.parametrize(
    ("family", "case"), [*(("bilstm", case) for case in CASES), ("cnn", "tag"), ("cnn", "classify"), ("bow", "pair")]
)
def test_logits_are_those_of_the_student(family, case, tmp_path):
    goal, inputs = CASES[case]
    network = student(family, goal, inputs)
    read = word_heads.write(network, tmp_path)
    assert word_heads.difference(network, read, inputs) <= 1e-5
    config = json.loads((tmp_path / "config.json").read_text())
    assert list(config["inputs"]) == list(word_heads.names_of(network)) and config["classes"] == list(goal.classes)
    assert len(config["inputs"]) == 2 * len(inputs.columns)
    with torch.no_grad():
        network.classify.weight.add_(0.5)
    assert word_heads.difference(network, read, inputs) > 1e-3


@pytest.mark.parametrize("family", ["bilstm", "cnn"])
def test_a_word_has_the_logits_of_its_first_token(family, tmp_path):
    from tokenizers import Tokenizer

    network = student(family, *CASES["tag"])
    word_heads.write(network, tmp_path)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    sentence = ("The", "U.S.", "gene")  # U . S .
    encoded = tokenizer.encode(list(sentence), is_pretokenized=True)
    fed = {"input_ids": [encoded.ids], "attention_mask": [encoded.attention_mask]}
    (found,) = session.run(["logits"], {name: np.array(rows, np.int64) for name, rows in fed.items()})
    first = [encoded.word_ids.index(n) for n in range(3)]
    with torch.no_grad():
        expected = network(network.encode(Words([sentence])).batch(np.arange(1)), frozenset({"logits"})).logits
    assert found.shape[1] == 6 and first == [0, 1, 5]
    np.testing.assert_allclose(found[0, first], expected[0], atol=1e-6)


@pytest.mark.parametrize("case", ["pair", "tag"])
def test_the_runtime_is_a_network_of_the_kind(case):
    goal, inputs = CASES[case]
    network = student("bilstm", goal, inputs)
    made = runtime.of(network, "logits")
    batch, want = network.encode(inputs).batch(np.arange(len(inputs))), frozenset({"logits"})
    with torch.no_grad():
        ours, theirs = network(batch, want), made["onnx"](batch, want)
    torch.testing.assert_close(theirs.logits, ours.logits, atol=1e-5, rtol=1e-5)
    rounded = (made["int8"](batch, want).logits - ours.logits).abs().max()
    assert 0 < rounded < 0.2 * ours.logits.abs().max() + 0.05
    assert made["int8"].disk_bytes < made["onnx"].disk_bytes


def test_a_head_over_the_vocabulary_is_refused(tmp_path):
    network = student("bilstm", *CASES["tag"])
    network.goal = type(network.goal)(3)
    network.goal.feature = "pieces"
    with pytest.raises(RequestError, match="no graph holds a reader of words for tag tasks"):
        word_heads.write(network, tmp_path)
