"""The bert family: which teacher layers it starts from, and what it refuses."""

import pickle

import numpy as np
import pytest
import torch

from bench.errors import RequestError
from bench.networks.transformer import load
from bench.sources import Source
from bench.students.bert import MATCHES, Bert, default_heads
from bench.tasks.sts import Sts
from tests.factories.runs import save_teacher


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_teacher(tmp_path_factory.mktemp("teacher") / "model", layers=6)


@pytest.fixture(scope="module")
def teacher(folder):
    return load(folder)


@pytest.fixture(scope="module")
def task():
    return Sts(Source("packaged"), "mini")


def build(size, task, teacher, **settings):
    torch.manual_seed(0)
    return Bert(Bert.Settings(**settings)).build(size, task, teacher)


def test_matches_are_those_of_the_specification():
    """KD Revisited: T=12, S=4 gives 2, 5, 8, 11; 8..11; 0..3."""
    assert MATCHES["gap"](4, 12) == [2, 5, 8, 11]
    assert MATCHES["last"](4, 12) == [8, 9, 10, 11]
    assert MATCHES["first"](4, 12) == [0, 1, 2, 3]
    assert MATCHES["gap"](3, 6) == [1, 3, 5] and MATCHES["gap"](4, 6) == [0, 2, 3, 5]
    assert MATCHES["even"](6, 12) == [0, 2, 4, 6, 8, 10]  # DistilBioBERT's


@pytest.mark.parametrize(
    ("init", "chosen"),
    [("first", [0, 1, 2]), ("last", [3, 4, 5]), ("gap", [1, 3, 5]), ("auto", [1, 3, 5]), ("even", [0, 2, 4])],
)
def test_layers_are_copied_from_the_chosen_ones(init, chosen, task, teacher):
    student = build("3", task, teacher, init=init)
    for mine, theirs in enumerate(chosen):
        own, source = student.backbone.encoder.layer[mine], teacher.backbone.encoder.layer[theirs]
        assert all(torch.equal(a, b) for a, b in zip(own.parameters(), source.parameters(), strict=True))
    assert torch.equal(student.word_embeddings.weight, teacher.word_embeddings.weight)
    assert student.word_embeddings.weight.data_ptr() != teacher.word_embeddings.weight.data_ptr()
    assert student.origin == f"teacher layers ({'gap' if init == 'auto' else init})"


def test_all_layers_make_the_teacher_again(task, teacher):
    student, texts = build("6", task, teacher).eval(), ["two dogs", "a much longer sentence about nothing"]
    batch = teacher.encode(texts).batch([0, 1])
    with torch.no_grad():
        ours, theirs = (n.eval()(batch, frozenset({"embedding"})).embedding for n in (student, teacher))
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_random_start_follows_the_seed_and_nothing_of_the_teacher(task, teacher):
    one, two = build("2", task, teacher, init="random"), build("2", task, teacher, init="random")
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not torch.equal(one.word_embeddings.weight, teacher.word_embeddings.weight) and one.origin == "random"


def test_another_width_starts_at_random_and_says_so(task, teacher):
    student = build("2x24x2", task, teacher)
    assert (student.width, student.origin, student.backbone.config.intermediate_size) == (24, "random", 96)
    with pytest.raises(RequestError, match="needs the teacher's width"):
        build("2x24x2", task, teacher, init="gap")


def test_a_checkpoint_is_a_start(task, teacher, folder):
    student = build("6", task, teacher, init=str(folder))
    assert torch.equal(student.word_embeddings.weight, teacher.word_embeddings.weight)
    with pytest.raises(RequestError, match="has 6 layers"):
        build("3", task, teacher, init=str(folder))


def test_a_checkpoints_content_is_in_the_run_id(task, folder, tmp_path):
    assert Bert(Bert.Settings()).initial(task) == ""
    other = save_teacher(tmp_path / "model", layers=6, seed=1)
    keys = [Bert(Bert.Settings(init=str(f))).initial(task) for f in (folder, other)]
    assert all(keys) and keys[0] != keys[1]
    with pytest.raises(RequestError, match="did you mean gap"):
        Bert(Bert.Settings(init="gapp")).initial(task)


@pytest.mark.parametrize("size", ["0", "03", "x3", "3x", "3x100x7", "99999", "-1", "3.5", "\uff13", "3x384x12x1x1"])
def test_malformed_sizes(size):
    with pytest.raises(RequestError, match="is no size"):
        Bert.check(size)


def test_more_layers_than_the_teacher_has(task, teacher):
    with pytest.raises(RequestError, match="copies 7 layers of a teacher that has 6"):
        build("7", task, teacher)


def test_heads():
    assert [default_heads(w) for w in (312, 384, 768, 128, 256, 512)] == [12, 12, 12, 2, 4, 8]


def test_a_network_travels_after_its_hidden_states_were_read(task, teacher):
    """And still gives them: the closures that transformers hooks in are left behind and installed again."""
    network = build("1x24x2", task, teacher).eval()
    batch, want = network.encode(["some words"]).batch(np.array([0])), frozenset({"hidden", "embedding"})
    before = network(batch, want)
    for one in (pickle.loads(pickle.dumps(network)), network):  # noqa: S301 - our own
        after = one(batch, want)
        assert len(after.hidden) == 2 and torch.equal(after.hidden[1], before.hidden[1])
