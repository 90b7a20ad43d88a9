"""LEAD: every term by plain loops in numpy, the draws, and real runs: who learns, what is exact, who may teach whom."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from bench.baselines.lead import Lead
from bench.errors import RequestError
from bench.plugins import registry
from bench.plugins.compatible import why_not
from bench.signals import Signals
from bench.store import folders
from tests.baselines.ranking import GROUPS, NARROW, RNG, UPDATES, WIDE, collection, made, of, planned, risen
from tests.baselines.tools import check, slope, tensor, total
from tests.factories.runs import save_teacher
from tests.worlds.tools import alike, interrupted, same, trained

OURS, THEIRS = RNG.normal(size=(4, 12, 3)), RNG.normal(size=(5, 12, 5))  # layers 1 to 3 and 1 to 4; 0 is no layer
FIRST = replace(GROUPS, labels=torch.eye(3)[:1].expand(3, 3).double())  # the first candidate of each is relevant


def both(x=NARROW, ours=OURS, z=WIDE, theirs=THEIRS):
    """Signals of student and teacher; the arguments may be leaves."""
    pair = ((x, ours), (z, theirs))
    return [Signals(embedding=torch.as_tensor(e), pooled=[torch.as_tensor(row) for row in p]) for e, p in pair]


def scores(x):
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    return np.array([[20 * unit[b] @ candidate for candidate in unit[3:]] for b in range(3)])


def nll(x):
    return -np.mean([log_softmax(scores(x)[b])[b] for b in range(3)])  # candidate 0 of query b is column b


def kl(x, z, tau=1.0):
    """mean_b KL(softmax(z / tau) || softmax(x))"""
    return np.mean(
        [
            np.sum(softmax(t / tau) * (log_softmax(t / tau) - log_softmax(s)))
            for s, t in zip(scores(x), scores(z), strict=True)
        ]
    )


def shares(theirs, pairs, tau):
    return softmax([-nll(theirs[a]) / tau for a, _ in pairs])


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_all_terms_by_hand(temperature):
    method = made(Lead, layers=2, temperature=temperature, layer_temperature=0.7)
    pairs = method.drawn(0)
    found = method.rankings(*both(), FIRST)
    weights = shares(THEIRS, pairs, 0.7)
    by_hand = {
        "student": nll(NARROW), "teacher": nll(WIDE), "output": kl(NARROW, WIDE, temperature),
        "output_back": kl(WIDE, NARROW, temperature),
        "layers": sum(w * kl(OURS[b], THEIRS[a], temperature) for w, (a, b) in zip(weights, pairs, strict=True)),
    }  # fmt: skip
    assert {name: value.item() for name, value in found.items()} == pytest.approx(by_hand, abs=1e-9)
    frozen = made(Lead, layers=2, temperature=temperature, layer_temperature=0.7, teacher="frozen")
    assert set(frozen.rankings(*both(), FIRST)) == {"student", "output", "layers"}


def test_gradients_reach_both_outputs():
    method = made(Lead, layers=2)
    value = lambda x, z: nll(x) + nll(z) + kl(x, z) + kl(z, x)  # noqa: E731
    found = lambda x, z: total(method.rankings(*both(x=x, z=z), FIRST)) - layers  # noqa: E731
    layers = method.rankings(*both(), FIRST)["layers"]
    check(lambda leaf: found(leaf, WIDE), NARROW, lambda x: value(x, WIDE))
    check(lambda leaf: found(NARROW, leaf), WIDE, lambda z: value(NARROW, z))


def test_gradients_reach_the_layers_of_both_but_not_through_the_weights():
    method = made(Lead, layers=2, layer_temperature=0.7)
    (a, b), (c, d) = pairs = method.drawn(0)
    first, second = shares(THEIRS, pairs, 0.7)  # as they are, whatever moves

    def found(ours=OURS[b], theirs=THEIRS[a]):
        student, teacher = both()
        student.pooled[b], teacher.pooled[a] = torch.as_tensor(ours), torch.as_tensor(theirs)
        return method.layers(student, teacher, FIRST, pairs)

    rest = second * kl(OURS[d], THEIRS[c])
    check(lambda leaf: found(ours=leaf), OURS[b], lambda x: first * kl(x, THEIRS[a]) + rest)
    # the value of the loss moves with the weights, and its gradient does not
    leaf = tensor(THEIRS[a])
    found(theirs=leaf).backward()
    assert np.allclose(leaf.grad, slope(lambda z: first * kl(OURS[b], z), THEIRS[a]), atol=1e-6) and leaf.grad.any()


def test_a_student_that_is_its_teacher_has_nothing_to_learn_from_it():
    """Sanity 1: all layers are drawn on both sides, so they are the same."""
    method = made(Lead, (3, 3))
    assert method.drawn(0) == [(1, 1), (2, 2), (3, 3)]
    found = method.rankings(*both(z=NARROW, theirs=OURS), FIRST)
    assert [found[name].item() for name in ("output", "output_back", "layers")] == pytest.approx([0, 0, 0], abs=1e-12)
    assert found["student"].item() == found["teacher"].item()


def test_weights_sum_to_one_and_prefer_layers_that_find_what_is_relevant():
    """Sanity 2: a layer whose queries are their relevant candidates, more so the lower tau is."""
    oracle = WIDE.copy()
    oracle[:3] = oracle[3:6]
    layers = [of(tensor(x)) for x in (WIDE, oracle, THEIRS[1])]
    found = [made(Lead, layer_temperature=tau).weights(layers, FIRST) for tau in (1e6, 10.0, 1.0, 0.1, 0.01)]
    assert all(w.sum().item() == pytest.approx(1) and not w.requires_grad for w in found)
    assert found[0].tolist() == pytest.approx([1 / 3] * 3, abs=1e-4)
    grown = [w[1].item() for w in found]
    assert grown == sorted(grown) and grown[-1] == pytest.approx(1)


def test_layers_are_drawn_every_ten_updates_from_seed_and_update_alone():
    method = made(Lead, (12, 6))
    draws = [method.drawn(update) for update in range(200)]
    assert all(draws[n] == draws[n - n % 10] for n in range(200))
    assert len({tuple(draw) for draw in draws}) > 15
    for draw in draws:
        for layers, depth in zip(zip(*draw, strict=True), (12, 6), strict=True):
            assert len(layers) == 5 and list(layers) == sorted(set(layers)) and set(layers) <= set(range(1, depth + 1))
    assert {a for draw in draws for a, _ in draw} == set(range(1, 13))
    torch.manual_seed(5)
    np.random.seed(5)
    assert draws[::-1] == [made(Lead, (12, 6)).drawn(update) for update in reversed(range(200))]
    assert draws != [made(Lead, (12, 6), seed=1).drawn(update) for update in range(200)]


def test_an_update_reads_its_own_draw():
    method = made(Lead, layers=1)
    seen = []
    method.layers = lambda student, teacher, batch, pairs: seen.append(pairs) or torch.zeros(())
    for update in range(UPDATES):
        method.rankings(*both(), replace(FIRST, progress=update / UPDATES))
    assert seen == [method.drawn(update) for update in range(UPDATES)] and len({str(pairs) for pairs in seen}) > 1


def test_more_layers_than_there_are_is_refused():
    with pytest.raises(RequestError, match="4 layers, and the teacher has 4, the student 3"):
        made(Lead, layers=4)


def test_it_ranks_and_asks_for_networks_with_layers():
    lead, students = (registry.found(kind) for kind in ("method", "student"))
    reasons = {name: why_not(lead["lead"].declares, "rank", students[name].declares) for name in ("bert", "bow")}
    assert reasons["bert"] == "" and "signal pooled, which that student does not expose" in reasons["bow"]
    assert "defined for rank tasks" in why_not(lead["lead"].declares, "embed")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return collection(tmp_path_factory.mktemp("judged"))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> Path:
    return save_teacher(tmp_path_factory.mktemp("teacher") / "deep", layers=3)


def run(data: Path, student: str, teacher: Path, *settings: str):
    spec = planned(data, "lead", student, teacher, *settings)
    return trained(spec, folders.make_folder(folders.root() / "runs" / spec.run_id))


@pytest.mark.parametrize("setting", ["mutual", "frozen"])
def test_the_student_learns_and_the_teacher_too_where_it_is_asked_to(data, teacher, setting):
    """A student with random weights and of another width. What learns of the teacher is a copy: the given one, whose
    row is on the board, stays as it is; and where it is frozen the store serves it."""
    found = run(data, "bert:2x32x4", teacher, f"lead.teacher={setting}", "lead.lr=3e-3", "lead.teacher_lr=1e-3")
    networks = found.trainer.networks
    assert found.student is networks["student"] and found.student.width == 32 and risen(found) > 0.1
    assert not any(p.requires_grad for p in found.teacher.network.parameters())
    if setting == "mutual":
        assert not same(found.teacher.network, networks["teacher"])
        losses = [point["losses"]["teacher"] for point in found.trainer.progress.curve if point["losses"]]
        assert np.mean(losses[-8:]) < np.mean(losses[:8])
        assert found.teacher.forwards == {"computed": 24 * 8 * 5, "reused": 0}
    else:
        assert set(networks) == {"student"}
        assert found.teacher.forwards["computed"] == len(found.trainer.method.run.task.examples("supervised").inputs)


def test_an_interrupted_run_ends_as_a_whole_one(data, teacher, monkeypatch, tmp_path):
    """Stopped at update 12, within the second draw."""
    spec = planned(data, "lead", "bert:2", teacher)
    whole = trained(spec, tmp_path / "whole")
    parts = interrupted(spec, tmp_path / "parts", monkeypatch)
    assert set(whole.trainer.networks) == {"student", "teacher"} and alike(whole, parts)


def test_teacher_and_student_may_share_nothing(data, tmp_path):
    """Sanity 3: another tokenizer, width, depth and pooling."""
    deep = save_teacher(tmp_path / "deep", layers=5, width=64, pooling="cls")
    student = other_words(tmp_path / "student")
    found = run(data, "bert:2", deep, f"bert.init={student}")
    ours, theirs = found.trainer.networks["student"], found.trainer.networks["teacher"]
    assert ours.tokenizer.vocab_size < 300 < theirs.tokenizer.vocab_size
    assert (ours.width, theirs.width, ours.shape.layers, theirs.shape.layers) == (24, 64, 2, 5)
    assert found.trainer.progress.updates == 24
    curve = [point["losses"] for point in found.trainer.progress.curve if point["losses"]]
    assert all(np.isfinite(list(means.values())).all() and means["layers"] > 0 for means in curve)


def other_words(folder: Path) -> Path:
    """A small encoder with a tokenizer of its own: pairs of bytes, joined."""
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = ["[PAD]", "[UNK]"]
    trainer = trainers.BpeTrainer(vocab_size=120, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator([f"Title {n} word{n} text{n}." for n in range(60)], trainer)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=24, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=48, initializer_range=0.1,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    return folder
