"""Every architecture that people bring: what it says is what its library says, and a copy of it starts where it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from bench.base.console import Console
from bench.errors import RequestError
from bench.export import hf
from bench.inputs import Words
from bench.kinds.classify import Classify
from bench.kinds.tag import Tag
from bench.measuring import cache as timings
from bench.measuring.clock import Effort
from bench.measuring.counting import parameters
from bench.networks.architectures import lists
from bench.networks.fingerprints import fingerprint
from bench.networks.fingerprints import settings as settings_of
from bench.networks.inference import outputs
from bench.networks.places import Place
from bench.networks.transformer import load, load_classifier
from bench.runs import protocol, teach
from bench.runs.spec import Request, resolve
from bench.sources import Source
from bench.students.bert import Bert
from bench.tasks.sts import Sts
from bench.teachers.teacher import Teacher
from tests.factories.runs import ROOT
from tests.factories.zoo import LAYERS, REFUSED, WIDTH, ZOO, save, save_sentences

TOY = str(ROOT / "tests/factories/toy.py")
EFFORT = Effort(inputs=4, rounds=5, seconds=0.1, most=10, limit=1.0)
TEXTS = ["Rain", "A man plays the guitar", "Two dogs run through a field", "to"]
EMBEDDING = frozenset({"embedding"})
ATTENTION = frozenset({"attention_scores", "queries", "keys", "values"})
GOALS = {"classify": Classify(3, ("a", "b", "c")), "tag": Tag(3, ("O", "B-D", "I-D"))}
WITHOUT = {"mpnet", "deberta", "longformer", "falcon", "bloom", "xlnet"}  # whose attention is their own
UNFIT = {  # (name, kind) of which the library has no such model, or one that reads padding
    ("t5", "classify"): "holds no weights of decoder", ("xlnet", "classify"): "depends on the padding behind it",
    ("gemma3", "tag"): "has no model ForTokenClassification", ("opt", "tag"): "has no model ForTokenClassification",
}  # fmt: skip


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("zoo")
    for name in ZOO:
        save(name, folder / name)
    return folder


def task(goal: Any = None) -> Any:
    """All that a student asks of a task."""
    return type("Asked", (), {"goal": goal})() if goal else Sts(Source("packaged"), "mini")


def student(teacher: Any, size: int, goal: Any = None, **settings: Any) -> Any:
    torch.manual_seed(1)
    return Bert(Bert.Settings(**settings)).build(str(size), task(goal), teacher).eval()


def said(network: Any, inputs: Any, want: frozenset[str], grad: bool = False) -> Any:
    """Of all inputs in one batch. With `grad`, as in training, but for dropout."""
    with torch.set_grad_enabled(grad):
        return network.eval()(network.encode(inputs).batch(np.arange(len(inputs))), want)


@pytest.mark.parametrize("name", ZOO)
def test_embeddings_are_the_librarys_and_a_copy_starts_at_them(zoo, name):
    from sentence_transformers import SentenceTransformer

    teacher = load(zoo / name)
    own = SentenceTransformer(str(zoo / name), device="cpu")
    if own.tokenizer.pad_token is None:
        own.tokenizer.pad_token = own.tokenizer.eos_token
    found = said(teacher, TEXTS, EMBEDDING).embedding
    torch.testing.assert_close(found, torch.tensor(own.encode(TEXTS)), atol=1e-5, rtol=1e-5)
    want = EMBEDDING | {"hidden"} | (ATTENTION & teacher.offers)
    assert (teacher.offers >= ATTENTION) == (name not in WITHOUT)
    copy, theirs = said(student(teacher, LAYERS), TEXTS, want, grad=True), said(teacher, TEXTS, want)
    for signal in want:
        for ours, other in zip(rows(copy[signal]), rows(theirs[signal]), strict=True):
            torch.testing.assert_close(ours, other, atol=1e-5, rtol=1e-4)
    assert 0 < parameters(teacher)["embedding"] < parameters(teacher)["total"]


@pytest.mark.parametrize("name", ZOO)
def test_the_layers_that_a_student_starts_from_are_the_chosen_ones(zoo, name):
    teacher = load(zoo / name)
    if name == "albert":  # has one layer, which is run through four times
        assert student(teacher, 2).backbone.config.num_hidden_layers == 2
        return
    row, theirs = next((n, m) for n, m in lists(teacher.backbone) if len(m) == LAYERS)
    for init, chosen in (("first", [0, 1]), ("last", [2, 3]), ("gap", [1, 3])):
        ours = student(teacher, 2, init=init).backbone.get_submodule(row)
        assert len(ours) == 2
        for layer, n in zip(ours, chosen, strict=True):
            weights = theirs[n].state_dict()
            known = [k for k in layer.state_dict() if k in weights]
            assert len(known) >= len(weights) - 2
            assert all(torch.equal(layer.state_dict()[k], weights[k]) for k in known)


@pytest.mark.parametrize("kind", GOALS)
@pytest.mark.parametrize("name", ZOO)
def test_logits_are_those_of_a_text_alone_and_a_copy_starts_at_them(zoo, name, kind):
    goal, inputs = GOALS[kind], TEXTS if kind == "classify" else Words([tuple(text.split()) for text in TEXTS])
    torch.manual_seed(0)
    if (name, kind) in UNFIT:
        with pytest.raises(RequestError, match=UNFIT[name, kind]):
            load_classifier(zoo / name, goal, new_head=True)
        return
    teacher = load_classifier(zoo / name, goal, new_head=True)
    want = frozenset({"logits", goal.feature})
    together = said(teacher, inputs, want)
    for n in range(len(inputs)):
        alone = said(teacher, inputs[n : n + 1], want).logits[0]
        torch.testing.assert_close(together.logits[n][: len(alone)], alone, atol=1e-4, rtol=1e-4)
    assert together[goal.feature].ndim == (2 if kind == "classify" else 3)
    copy = said(student(teacher, LAYERS, goal), inputs, want, grad=True)
    real = together.words.bool() if kind == "tag" else slice(None)
    torch.testing.assert_close(copy.logits[real], together.logits[real], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ZOO)
def test_students_are_exported_as_the_library_reads_them(zoo, name, tmp_path):
    network = student(load(zoo / name), 2)
    hf.write(network, "embedding", tmp_path)
    expected = outputs(network, network.encode(TEXTS), EMBEDDING)["embedding"]
    np.testing.assert_allclose(hf.read(tmp_path)(TEXTS), expected, atol=1e-5)


def test_half_precision_is_trained_in_float32(zoo, tmp_path):
    folder = save("bert", tmp_path / "half", lambda model: model.half())
    teacher = load(folder)
    assert {p.dtype for n in (teacher, student(teacher, 2)) for p in n.parameters()} == {torch.float32}
    (copy, theirs) = (said(n, TEXTS, EMBEDDING, grad=True).embedding for n in (student(teacher, LAYERS), teacher))
    torch.testing.assert_close(copy, theirs)


@pytest.mark.parametrize("settings", [
    {"prompts": {"query": "query: "}, "default_prompt_name": "query"},
    {"prompts": {"query": "query: "}, "default_prompt_name": "query", "limit": 63},  # it is left out of the mean
    {"truncate_dim": 6},
    {"limit": 16},
])  # fmt: skip
def test_what_lies_outside_of_modules_is_respected_in_teacher_student_and_export(zoo, tmp_path, settings):
    from sentence_transformers import SentenceTransformer

    teacher = load(save_sentences(zoo / "bert", tmp_path / "model", **settings))
    texts = [*TEXTS, "a text that is a good deal longer than sixteen letters"]
    theirs = SentenceTransformer(str(tmp_path / "model"), device="cpu").encode(texts)
    copy = student(teacher, LAYERS)
    for network in (teacher, copy):
        found = outputs(network, network.encode(texts), EMBEDDING)["embedding"]
        np.testing.assert_allclose(found, theirs, atol=1e-5)
    hf.write(copy, "embedding", tmp_path / "out")
    np.testing.assert_allclose(hf.read(tmp_path / "out")(texts), theirs, atol=1e-5)


def test_positions_behind_the_number_of_padding_are_tokens(zoo):
    """RoBERTa's and MPNet's 34 rows are 32 tokens."""
    for name in ("roberta", "mpnet"):
        teacher = load(zoo / name)
        assert teacher.max_length == 32 and teacher.encode(["a" * 100]).lengths.tolist() == [32]
        assert said(teacher, ["a" * 100, "b"], EMBEDDING).embedding.isfinite().all()


def test_a_text_without_a_token_is_read(zoo):
    for name in ("gpt2", "qwen3", "t5"):
        found = said(load(zoo / name), ["", "some text"], EMBEDDING).embedding
        assert found.isfinite().all() and found[0].abs().sum() > 0


@pytest.mark.parametrize("settings", [{"limit": 16}, {"prompts": {"q": "q: "}, "default_prompt_name": "q"}])
def test_the_store_and_the_timings_tell_models_of_equal_weights_apart(zoo, tmp_path, settings):
    plain = load(save_sentences(zoo / "bert", tmp_path / "plain"))
    other = load(save_sentences(zoo / "bert", tmp_path / "other", **settings))
    assert fingerprint(plain) == fingerprint(other) and str(plain) == str(other)
    teachers = [
        Teacher(Place("t", "t", "", tmp_path), torch.device("cpu"), Console(quiet=True), task().goal, lambda *_, n=n: n)
        for n in (plain, other)
    ]
    found = [teacher.outputs([*TEXTS, "a text of more than sixteen letters"]) for teacher in teachers]
    assert not np.allclose(found[0], found[1], atol=1e-3)
    keys = [timings.key_of({"teacher": n}, TEXTS, EFFORT, (8,)) for n in (plain, other)]
    assert keys[0] != keys[1] == timings.key_of({"teacher": other}, TEXTS, EFFORT, (8,))


def test_configurations_and_precision_are_settings(zoo, tmp_path):
    heads = load(save("bert", tmp_path / "heads", num_attention_heads=2))
    assert str(heads) == str(load(zoo / "bert")) and settings_of(heads) != settings_of(load(zoo / "bert"))
    assert settings_of(heads) != settings_of(heads.half())


@pytest.mark.parametrize(("name", "method", "says"), [
    ("mpnet", "tinybert", "tinybert reads the signal attention_scores, which the teacher"),
    ("deberta", "minilm", "minilm reads the signal keys, queries, values, which the teacher"),
])  # fmt: skip
def test_signals_that_an_architecture_does_not_give_are_refused_before_a_teacher_is_taught(
    zoo, tmp_path, monkeypatch, name, method, says
):
    monkeypatch.setattr(teach, "ensure", lambda *_: pytest.fail("taught"))
    (spec,) = resolve(Request([TOY], [method], ["bert:2"], str(zoo / name), settings=["updates=1"]))
    with pytest.raises(RequestError, match=says):
        protocol.distil(spec, tmp_path, torch.device("cpu"), Console(quiet=True))


@pytest.mark.parametrize("name", REFUSED)
def test_a_model_that_padding_changes_is_refused(name, tmp_path):
    with pytest.raises(RequestError, match="depends on the padding behind it"):
        load(save(name, tmp_path))


def saved(zoo: Path, folder: Path, *names: str) -> Any:
    """A model of sentence-transformers with these modules behind the transformer."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules as known

    torch.manual_seed(0)
    made = {
        "Pooling": lambda: known.Pooling(WIDTH), "Normalize": known.Normalize, "Dense": lambda: known.Dense(WIDTH, 6),
        "LayerNorm": lambda: known.LayerNorm(6), "CNN": lambda: known.CNN(WIDTH, 16),
        "WeightedLayerPooling": lambda: known.WeightedLayerPooling(WIDTH, num_hidden_layers=LAYERS, layer_start=1),
        "Static": lambda: known.StaticEmbedding(AutoTokenizer.from_pretrained(zoo / "bert"), embedding_dim=8),
    }  # fmt: skip
    backbone = known.Transformer(str(zoo / "bert"), config_kwargs={"output_hidden_states": "Weighted" in names[0]})
    modules = [] if names == ("Static",) else [backbone]
    model = SentenceTransformer(modules=[*modules, *(made[name]() for name in names)], device="cpu")
    model.save(str(folder), create_model_card=False)
    return model


@pytest.mark.parametrize(("names", "says"), [
    (("WeightedLayerPooling", "Pooling"), "has the module WeightedLayerPooling, and only Pooling, Dense"),
    (("CNN", "Pooling"), "has the module CNN, and only"), (("Static",), "is not a text encoder with a transformers"),
])  # fmt: skip
def test_modules_that_read_more_than_token_vectors_are_refused(zoo, tmp_path, names, says):
    saved(zoo, tmp_path, *names)
    with pytest.raises(RequestError, match=says):
        load(tmp_path)


def test_modules_behind_the_pooling_are_the_teachers_and_the_students(zoo, tmp_path):
    own = saved(zoo, tmp_path, "Pooling", "Dense", "LayerNorm", "Normalize")
    teacher = load(tmp_path)
    expected = torch.tensor(own.encode(TEXTS))
    for network in (teacher, student(teacher, LAYERS)):
        torch.testing.assert_close(said(network, TEXTS, EMBEDDING).embedding, expected, atol=1e-5, rtol=1e-5)
    assert teacher.width == 6 and expected.shape == (4, 6)


def rows(signal: Any) -> tuple[torch.Tensor, ...]:
    return signal if isinstance(signal, tuple) else (signal,)
