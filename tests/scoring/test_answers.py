"""SQuAD's and BioASQ's measures against other ways of computing them."""

from __future__ import annotations

import collections
import itertools
import string

import numpy as np
import pytest

from bench.scoring.metrics import METRICS
from bench.scoring.scores import Ragged

RNG = np.random.default_rng(2)
WORDS = [
    "the", "The", "a", "an", "Paris", "paris,", "(Paris)", "U.S.", "us", "2.5", "25", "river", "theatre", "é", "É", "-",
    "—", "“the”", "the-end", "theend", "_an_", "a\u00a0b", "the\triver", "a\u0301", "ß", "ẞ", "$5", "€5", "日本",
    "the日本",
]  # fmt: skip
OFFICIAL = [  # prediction, gold answers, and the exact match and F1 that the official script of 2.0 gave
    ("the theatre", ["theatre", "a theatre"], 1, 1),
    ("a theatre near an anthem", ["The theatre, near anthem"], 1, 1),
    ("U.S.", ["us"], 1, 1),
    ("2.5", ["25 percent"], 0, 2 / 3),
    ("well-known river", ["well known river", "wellknown river"], 1, 1),
    ("the-end", ["end"], 0, 0),  # no hyphen is left to end the article at
    ("“the” river", ["“” river"], 0, 2 / 5),  # of punctuation only ASCII's goes, but an article ends at any
    ("_the_ river", ["river"], 1, 1),
    ("$5", ["€5", "5 euro"], 0, 2 / 3),
    ("river — bank", ["river - bank"], 0, 4 / 5),
    ("the\u00a0river\tbank", ["river\nbank"], 1, 1),
    ("É", ["é"], 1, 1),
    ("e\u0301", ["é"], 0, 0),  # letters are compared as they are composed
    ("a\u0301b", ["b"], 0, 0),
    ("STRAẞE", ["straße"], 1, 1),
    ("STRAẞE", ["strasse"], 0, 0),  # lower case is no case folding
    ("the the bank bank bank", ["bank", "the bank of a bank"], 0, 2 / 3),
    ("in the year 1889", ["1889", "the year 1889 of", "year"], 0, 2 / 3),
    ("", ["Paris"], 0, 0),
    ("the", ["Paris"], 0, 0),
    ("!", [], 1, 1),
    ("an", [], 1, 1),
    ("Paris", [], 0, 0),
    ("", ["the", "!"], 1, 1),
    ("Paris", ["the", "Paris"], 1, 1),
    ("an", ["the", "Paris"], 0, 0),
]


def cleaned(text):
    """The official steps, letter by letter: an article is a whole run of letters, digits and underscores."""
    bare = [c for c in text.lower() if c not in string.punctuation]
    runs = ["".join(run) for _, run in itertools.groupby(bare, lambda c: c.isalnum() or c == "_")]
    return " ".join("".join(" " if run in ("a", "an", "the") else run for run in runs).split())


def official_f1(gold, found):
    """Of 2.0: of two that are empty it is 1."""
    return 1 if cleaned(gold) == cleaned(found) == "" else shared_f1(gold, found)


def shared_f1(gold, found):
    g, p = cleaned(gold).split(), cleaned(found).split()
    same = sum((collections.Counter(g) & collections.Counter(p)).values())
    if same == 0:
        return 0
    precision, recall = same / len(p), same / len(g)
    return 2 * precision * recall / (precision + recall)


def sentence():
    return " ".join(RNG.choice(WORDS, RNG.integers(0, 5)))


def test_f1_and_exact_match_are_the_official_ones():
    gold = [[sentence() for _ in range(RNG.integers(0, 4))] for _ in range(600)]
    found = np.array(
        [a[-1] + RNG.choice([" the", ", river"]) if a and n % 2 else sentence() for n, a in enumerate(gold)]
    )
    f1, exact = [], []
    for p, answers in zip(found, gold, strict=True):
        kept = [a for a in answers if cleaned(a)] or [""]
        f1.append(max(official_f1(a, p) for a in kept))
        exact.append(float(max(cleaned(a) == cleaned(p) for a in kept)))
    rows = Ragged.of(gold, np.str_)
    assert METRICS["answer_f1"].each(found, rows) == pytest.approx(f1)
    assert METRICS["exact_match"].each(found, rows) == pytest.approx(exact)
    assert METRICS["answer_f1"].value(found, rows) == pytest.approx(np.mean(f1))
    assert 0.05 < np.mean(exact) < np.mean(f1) < 0.95


@pytest.mark.parametrize(("found", "gold", "exact", "f1"), OFFICIAL)
def test_what_the_official_script_gave(found, gold, exact, f1):
    sides = np.array([found]), Ragged.of([gold], np.str_)
    assert METRICS["exact_match"].value(*sides) == exact
    assert METRICS["answer_f1"].value(*sides) == pytest.approx(f1)


def test_the_script_of_1_1_differs_in_answers_without_a_word_alone():
    """It keeps all gold answers, and of two without a word in common F1 is 0, empty ones too."""
    gold = [[a for a in (sentence() for _ in range(4)) if cleaned(a)] or ["Paris"] for _ in range(300)]
    found = np.array([a[0] + " the" if n % 3 else sentence() for n, a in enumerate(gold)])
    f1 = [max(shared_f1(a, p) for a in answers) for p, answers in zip(found, gold, strict=True)]
    exact = [cleaned(p) in map(cleaned, answers) for p, answers in zip(found, gold, strict=True)]
    assert METRICS["answer_f1"].each(found, Ragged.of(gold, np.str_)) == pytest.approx(f1)
    assert METRICS["exact_match"].each(found, Ragged.of(gold, np.str_)).tolist() == exact


def test_by_hand():
    gold = Ragged.of([["the Eiffel Tower", "tower"], [], ["1889"]], np.str_)
    found = np.array(["an Eiffel tower!", "", "in 1889"])
    assert METRICS["exact_match"].each(found, gold).tolist() == [1, 1, 0]
    assert METRICS["answer_f1"].each(found, gold).tolist() == pytest.approx([1, 1, 2 / 3])
    assert METRICS["exact_match"].trivial(gold) == pytest.approx(1 / 3)


def test_measures_of_five_candidates():
    found, gold, strict, lenient, places = [], [], [], [], []
    names = [f"Gene {n}" for n in range(9)]
    for _ in range(200):
        candidates = list(RNG.choice(names, RNG.integers(0, 6), replace=False))
        synonyms = [s.upper() for s in RNG.choice(names, RNG.integers(1, 4), replace=False)]
        right = [n for n, c in enumerate(candidates, 1) if c.lower() in [s.lower() for s in synonyms]]
        found.append(candidates)
        gold.append(synonyms)
        strict.append(right[:1] == [1])
        lenient.append(bool(right))
        places.append(1 / right[0] if right else 0)
    sides = Ragged.of(found, np.str_), Ragged.of(gold, np.str_)
    assert METRICS["strict_accuracy"].value(*sides) == pytest.approx(np.mean(strict))
    assert METRICS["lenient_accuracy"].value(*sides) == pytest.approx(np.mean(lenient))
    assert METRICS["factoid_mrr"].value(*sides) == pytest.approx(np.mean(places))
    assert np.mean(strict) < np.mean(places) < np.mean(lenient)


def test_candidates_are_right_letter_by_letter_in_lower_case():
    """As BioASQ's evaluator compares: no space, hyphen or mark is forgiven."""
    gold = [["Gene 1", "G-1"]] * 7
    found = [["GENE 1"], ["g-1"], ["gene  1"], ["gene 1 "], ["g1"], ["the gene 1"], ["x", "gEnE 1"]]
    rows = METRICS["factoid_mrr"].each(Ragged.of(found, np.str_), Ragged.of(gold, np.str_))
    assert rows.tolist() == [1, 1, 0, 0, 0, 0, 1 / 2]
    six = Ragged.of([["a", "b", "c", "d", "e", "gene 1"]], np.str_)
    assert METRICS["lenient_accuracy"].value(six, Ragged.of(gold[:1], np.str_)) == 0  # five are asked for
