"""Error rates and BLEU of texts: against jiwer and sacreBLEU, and what each text adds."""

from __future__ import annotations

import numpy as np
import pytest

from bench.scoring.edits import distances
from bench.scoring.metrics import METRICS
from bench.scoring.scores import Ragged

WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "it", "did", "purr", "softly", ".", ",", "then", "ran", "!"]


def rows(texts: list[str]) -> Ragged:
    return Ragged.of([text.split() for text in texts], np.str_)


def corpus(seed: int, count: int = 80) -> tuple[list[str], list[str]]:
    """(predictions, gold): words left out, changed and added."""
    rng = np.random.default_rng(seed)
    gold = [" ".join(rng.choice(WORDS, rng.integers(1, 13))) for _ in range(count)]
    found = []
    for text in gold:
        kept = [str(rng.choice(WORDS)) if rng.random() < 0.15 else w for w in text.split() if rng.random() > 0.15]
        found.append(" ".join(kept + ["ran"] * int(rng.random() < 0.2)))
    return found, gold


def test_rates_are_those_of_jiwer() -> None:
    jiwer = pytest.importorskip("jiwer")
    for seed in range(3):
        found, gold = corpus(seed)
        for name, theirs in (("wer", jiwer.wer), ("cer", jiwer.cer)):
            assert METRICS[name].value(rows(found), rows(gold)) == pytest.approx(theirs(gold, found), abs=1e-12)
            assert METRICS[f"1-{name}"].value(rows(found), rows(gold)) == pytest.approx(1 - theirs(gold, found))


def test_a_rate_is_of_sums_and_no_mean_of_rates() -> None:
    found, gold = rows(["a b c", "x"]), rows(["a b", "y"])
    assert METRICS["wer"].value(found, gold) == pytest.approx(2 / 3)  # the mean of 1/2 and 1 would be 3/4


def test_an_empty_transcript_adds_its_insertions_alone() -> None:
    assert METRICS["wer"].value(rows(["a b", "x y"]), rows(["a b", ""])) == pytest.approx(2 / 2)
    assert METRICS["wer"].value(rows(["", ""]), rows(["", "a b"])) == 1
    assert METRICS["1-wer"].trivial(rows(["", "a b"])) == 0


def test_distances_of_any_length() -> None:
    def plain(a: list[int], b: list[int]) -> int:
        table = np.zeros((len(a) + 1, len(b) + 1), int)
        table[:, 0], table[0] = np.arange(len(a) + 1), np.arange(len(b) + 1)
        for i in range(len(a)):
            for j in range(len(b)):
                table[i + 1, j + 1] = min(table[i, j + 1] + 1, table[i + 1, j] + 1, table[i, j] + (a[i] != b[j]))
        return int(table[-1, -1])

    rng = np.random.default_rng(0)
    one, two = ([rng.integers(0, 4, rng.integers(0, 9)).tolist() for _ in range(60)] for _ in range(2))
    found = distances(Ragged.of(one, np.int64), Ragged.of(two, np.int64))
    assert found.tolist() == [plain(a, b) for a, b in zip(one, two, strict=True)]


def test_word_accuracy_reads_36_characters() -> None:
    metric = METRICS["word_accuracy"]
    assert metric.value(rows(["DAY'S", "abc", "x1"]), rows(["days", "ABD", "X-1"])) == pytest.approx(2 / 3)
    assert metric.trivial(rows(["The", "the", "dog"])) == pytest.approx(2 / 3)


@pytest.mark.parametrize("change", ["as it is", "short", "nothing right", "one word right", "single words", "empty"])
def test_bleu_is_that_of_sacrebleu(change: str) -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    found, gold = corpus(5)
    others = {
        "short": [" ".join(t.split()[:3]) for t in gold], "nothing right": ["xx yy zz qq"] * len(gold),
        "one word right": ["the xx yy zz qq"] * len(gold), "single words": ["the"] * len(gold),
        "empty": [""] * len(gold),
    }  # fmt: skip
    found = others.get(change, found)
    theirs = sacrebleu.corpus_bleu(found, [gold]).score / 100
    assert METRICS["bleu"].value(rows(found), rows(gold)) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("name", ["wer", "cer", "1-wer", "word_accuracy", "bleu"])
def test_weights_are_copies_and_influences_are_their_slope(name: str) -> None:
    pytest.importorskip("sacrebleu")
    found, gold = corpus(7, 30)
    metric, counts = METRICS[name], np.random.default_rng(1).integers(0, 3, 30)
    copied = [[t for t, n in zip(side, counts, strict=True) for _ in range(n)] for side in (found, gold)]
    weighted = metric.weighted(rows(found), rows(gold))
    assert weighted(counts[None].astype(float))[0] == pytest.approx(metric.value(rows(copied[0]), rows(copied[1])))
    value, influence = metric.parts(rows(found), rows(gold))
    assert influence.mean() == pytest.approx(0, abs=1e-6)
    for text in (0, 11):
        weights = np.ones(30)
        weights[text] += 1e-3
        slope = (weighted(weights[None])[0] - value) / 1e-3 * 30
        assert slope == pytest.approx(influence[text], rel=5e-2, abs=1e-2)
