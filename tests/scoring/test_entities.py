"""Entities of tagged sentences: spans by hand, scores that seqeval 1.2.2 gives, and chunks as conlleval counts them."""

from __future__ import annotations

import numpy as np
import pytest

from bench.errors import RequestError
from bench.scoring.by_type import by_type
from bench.scoring.entities import entities
from bench.scoring.metrics import METRICS
from bench.scoring.scores import Ragged
from tests.factories.chunks import conlleval, scores

GOLD = ("O B-PER I-PER O B-LOC", "B-LOC I-LOC B-PER I-PER", "B-PER O", "I-PER", "S-ORG B-ORG I-ORG E-ORG")
FOUND = ("O B-PER I-PER O I-LOC", "B-LOC B-LOC I-PER I-PER", "O O", "I-PER", "S-ORG E-ORG I-ORG B-ORG")
SEQEVAL = {  # of the first n sentences: f1_score, precision_score and recall_score, and f1_score of strict IOB2
    4: {"entity_f1": 2 / 3, "entity_precision": 2 / 3, "entity_recall": 2 / 3, "strict_entity_f1": 0.25},
    5: {"entity_f1": 0.5555555555555556, "entity_precision": 0.5, "entity_recall": 0.625},
}


def tagged(*sentences: str) -> Ragged:
    return Ragged.of([sentence.split() for sentence in sentences], np.str_)


@pytest.mark.parametrize(
    ("sentence", "lenient", "strict"),
    [
        ("O B-PER I-PER O", {(1, 3, "PER")}, {(1, 3, "PER")}),
        ("B-PER B-PER I-LOC", {(0, 1, "PER"), (1, 2, "PER"), (2, 3, "LOC")}, {(0, 1, "PER"), (1, 2, "PER")}),
        ("I-PER O I-PER I-PER", {(0, 1, "PER"), (2, 4, "PER")}, set()),
        ("S-X E-X I-X B-Y-Z", {(0, 1, "X"), (1, 2, "X"), (2, 3, "X"), (3, 4, "Y-Z")}, {(3, 4, "Y-Z")}),
        ("O O", set(), set()),
        ("", set(), set()),
    ],
)
def test_spans_by_hand(sentence, lenient, strict):
    assert entities(tagged(sentence)) == lenient
    assert entities(tagged(sentence), strict=True) == strict


def test_no_entity_goes_on_into_the_next_sentence():
    assert entities(tagged("O B-PER", "", "I-PER I-PER")) == {(1, 2, "PER"), (2, 4, "PER")}


def test_f1_by_hand():
    """3 right of 4 predicted and 5 in gold."""
    gold = tagged("B-A O B-B", "B-A I-A B-A", "B-C")
    found = tagged("B-A O B-B", "B-A I-A I-A", "B-C")
    metric = METRICS["entity_f1"]
    assert metric.statistics(found, gold).tolist() == [[2, 2, 2], [0, 1, 2], [1, 1, 1]]
    assert metric.value(found, gold) == pytest.approx(6 / 9)
    assert METRICS["entity_precision"].value(found, gold) == 3 / 4
    assert METRICS["entity_recall"].value(found, gold) == 3 / 5


@pytest.mark.parametrize(("count", "name"), [(n, name) for n, values in SEQEVAL.items() for name in values])
def test_scores_are_those_of_seqeval(count, name):
    assert METRICS[name].value(tagged(*FOUND[:count]), tagged(*GOLD[:count])) == pytest.approx(SEQEVAL[count][name])


def test_what_is_not_there_scores_nothing():
    none = tagged("O O", "O")
    assert [METRICS[n].value(none, none) for n in ("entity_f1", "entity_precision", "entity_recall")] == [0, 0, 0]


@pytest.mark.parametrize("tag", ["PER", "X-PER", "O-PER", "B", ""])
def test_no_tag(tag):
    with pytest.raises(RequestError, match="is no tag of entities"):
        METRICS["entity_f1"].value(Ragged.of([[tag]], np.str_), tagged("O"))


def test_sentences_of_other_words():
    assert not METRICS["entity_f1"].fits(tagged("O O"), tagged("O"))
    with pytest.raises(RequestError, match="the same words"):
        METRICS["entity_f1"].value(tagged("O O"), tagged("O"))


def test_each_type_by_hand():
    """A: 2 right of 2 predicted and 3 in gold. B: none of 1 and 1. The teacher finds the B, and no A."""
    gold = tagged("B-A O B-B", "B-A I-A B-A")
    found, teacher = tagged("B-A B-B O", "O O B-A"), tagged("O O B-B", "O O O")
    rows = by_type({"news": {"prediction": found, "gold": gold, "teacher": teacher}, "one": one(found, gold)})
    assert rows == [
        {"data": "news", "type": "A", "gold": 3, "f1": 0.8, "precision": 1, "recall": 2 / 3, "teacher_f1": 0},
        {"data": "news", "type": "B", "gold": 1, "f1": 0, "precision": 0, "recall": 0, "teacher_f1": 1},
    ]


def one(found, gold):
    """The same of one type, of which the metrics of the data set tell."""
    single = (Ragged(np.where(side.flat == "O", "O", "B-A"), side.lengths) for side in (found, gold))
    return dict(zip(("prediction", "gold"), single, strict=True))


def test_the_mean_of_the_types_f1_by_hand():
    """A: 2 of 3 predicted and 3 in gold; B: 1, 1, 1; C: in gold alone. IndoNLU's conll_eval averages over these."""
    gold = tagged("B-A O B-B", "B-A I-A B-A", "B-C")
    found = tagged("B-A B-A B-B", "B-A I-A I-A", "O")
    metric = METRICS["type_f1"]
    assert metric.statistics(found, gold).tolist() == [[1, 2, 1, 1, 1, 1, 0, 0, 0], [0, 1, 2, *[0] * 6], [*[0] * 8, 1]]
    assert metric.value(found, gold) == pytest.approx((2 / 6 + 1 + 0) / 3)
    two = metric.weighted(found, gold)(np.array([[1, 1, 0]]))  # without the sentence of C, whose F1 then counts no more
    assert two.tolist() == [pytest.approx((2 / 6 + 1) / 2)]
    assert metric.value(tagged("O O"), tagged("O O")) == 0


def drawn(rng: np.random.Generator, tags: list[str]) -> Ragged:
    """300 sentences of up to 11 of these tags, at random: I behind anything, types that change inside an entity."""
    return Ragged.of([rng.choice(tags, rng.integers(1, 12)).tolist() for _ in range(300)], np.str_)


def near(rng: np.random.Generator, gold: Ragged, tags: list[str]) -> Ragged:
    """The same tags, but for three of ten."""
    return Ragged(np.where(rng.random(len(gold.flat)) < 0.3, rng.choice(tags, len(gold.flat)), gold.flat), gold.lengths)


def test_chunks_of_conlleval_by_hand() -> None:
    """A: one of two found ends a word late; B: begun with I, and of a type that changes, right; the last is no end."""
    gold = ["O B-A I-A O I-B B-A O", "I-A I-B I-B", "B-A"]
    found = ["O I-A I-A O B-B B-A I-A", "B-A I-B I-B", "I-A"]
    counts = conlleval([row.split() for row in gold], [row.split() for row in found])
    assert counts == {"A": [3, 4, 4], "B": [2, 2, 2]}


@pytest.mark.parametrize("letters", ["BI", "I", "IIIIIB", "B"])
@pytest.mark.parametrize("kinds", ["A", "A B", "PER LOC ORG MISC", "A A-B B-A"])
@pytest.mark.parametrize("outside", [1, 4])
def test_scores_are_those_of_conlleval(letters: str, kinds: str, outside: int) -> None:
    """On any tags, whether some scheme allows them or not."""
    rng = np.random.default_rng([len(letters), len(kinds), outside])
    tags = ["O"] * outside + [f"{letter}-{kind}" for kind in kinds.split() for letter in letters]
    gold = drawn(rng, tags)
    found = near(rng, gold, tags)
    counts = conlleval(gold.tolist(), found.tolist())
    assert METRICS["entity_f1"].statistics(found, gold).sum(0).tolist() == np.sum([*counts.values()], 0).tolist()
    expected = scores(counts)
    assert {name: METRICS[name].value(found, gold) for name in expected} == pytest.approx(expected, abs=1e-12)
    assert 0.05 < expected["entity_f1"] < 0.95


def of_spans(rng: np.random.Generator, scheme: str) -> list[str]:
    """Entities of one to three words, mostly side by side. IOB1: B only behind another of the type; IOB2: always."""
    tags: list[str] = []
    before = "O"
    for kind in rng.choice(["O", "A", "B"], 6, p=[0.2, 0.5, 0.3]).tolist():
        size = int(rng.integers(1, 4))
        first = "B" if scheme == "IOB2" or kind == before else "I"
        tags += ["O"] if kind == "O" else [f"{first}-{kind}", *[f"I-{kind}"] * (size - 1)]
        before = kind
    return tags


def test_entities_are_the_same_in_iob1_and_iob2() -> None:
    """And conlleval counts them as the same: each of one is right in the other."""
    one, two = ([of_spans(np.random.default_rng(n), scheme) for n in range(200)] for scheme in ("IOB1", "IOB2"))
    sides = Ragged.of(one, np.str_), Ragged.of(two, np.str_)
    assert one != two and entities(sides[0]) == entities(sides[1])
    assert all(right == found == gold for right, found, gold in conlleval(two, one).values())
    assert METRICS["entity_f1"].value(*sides) == 1 > METRICS["strict_entity_f1"].value(*sides)
