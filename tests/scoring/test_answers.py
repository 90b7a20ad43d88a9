"""SQuAD's and BioASQ's measures against other ways of computing them."""

from __future__ import annotations

import collections
import re
import string

import numpy as np
import pytest

from bench.scoring.metrics import METRICS
from bench.scoring.scores import Ragged

RNG = np.random.default_rng(2)
WORDS = ["the", "The", "a", "an", "Paris", "paris,", "(Paris)", "U.S.", "us", "2.5", "25", "river", "theatre", "é", "-"]


def cleaned(text):
    """The four official steps, character by character and word by word."""
    bare = "".join(c for c in text.lower() if c not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


def official_f1(gold, found):
    g, p = cleaned(gold).split(), cleaned(found).split()
    same = sum((collections.Counter(g) & collections.Counter(p)).values())
    if not g or not p:
        return int(g == p)
    if same == 0:
        return 0
    precision, recall = same / len(p), same / len(g)
    return 2 * precision * recall / (precision + recall)


def sentence():
    return " ".join(RNG.choice(WORDS, RNG.integers(0, 5)))


def test_f1_and_exact_match_are_the_official_ones():
    found = np.array([sentence() for _ in range(300)])
    gold = [[sentence() for _ in range(RNG.integers(0, 4))] for _ in range(300)]
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
