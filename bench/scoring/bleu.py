"""BLEU of a corpus, as sacreBLEU counts it: Papineni et al. 2002; Post 2018, "A Call for Clarity in Reporting BLEU
Scores".

    BLEU = BP exp(1/4 sum_n log p_n),   BP = min(1, exp(1 - r / c)),   n = 1 ... 4

The library cuts texts into tokens and counts what each sentence gives; BLEU is a function of the sums of that, so that
intervals resample sentences. Here it lies between 0 and 1. Of one reference a sentence, detokenised, case as it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.errors import RequestError
from bench.scoring.edits import worded
from bench.scoring.metric import SumMetric, ratio
from bench.scoring.scores import Ragged

ORDERS = 4


class Bleu(SumMetric):
    """Prediction and gold: Ragged words as spaces part them, a row a sentence."""

    def fits(self, prediction: Ragged, gold: Ragged) -> bool:
        return worded(prediction) and worded(gold) and 0 < len(gold) == len(prediction)

    def statistics(self, prediction: Ragged, gold: Ragged) -> np.ndarray:
        """(N, 10): tokens of the prediction and of gold, right n-grams, and all of the prediction, n = 1 ... 4."""
        bleu = library().BLEU(effective_order=True)
        pairs = zip(prediction, gold, strict=True)
        found = [bleu.sentence_score(" ".join(p), [" ".join(g)]) for p, g in pairs]
        return np.array([[s.sys_len, s.ref_len, *s.counts, *s.totals] for s in found], np.float64)

    def of_sums(self, sums: np.ndarray) -> np.ndarray:
        """Where no n-gram of an order is right its precision is 1 / (2^k total), the k-th such order (exp
        smoothing)."""
        ours, theirs = sums[..., 0], sums[..., 1]
        right, total = sums[..., 2 : 2 + ORDERS], sums[..., 2 + ORDERS :]
        missing = (right <= 0) & (total > 0)
        smoothed = np.where(missing, 0.5 ** missing.cumsum(-1), right)
        precision = ratio(smoothed, np.maximum(total, 0))
        logs = np.log(np.where(precision > 0, precision, 1)).sum(-1) / ORDERS
        brevity = np.exp(np.minimum(0, 1 - ratio(theirs, ours)))
        heard = (ours > 0) & (total > 0).all(-1) & (right[..., 0] > 0)
        return np.asarray(np.where(heard, brevity * np.exp(logs), 0.0))

    def constant(self, gold: Ragged) -> Ragged:
        """Nothing at all."""
        return Ragged(gold.flat[:0], np.zeros_like(gold.lengths))


def library() -> Any:
    """sacreBLEU's metrics. RequestError: it is not installed."""
    try:
        from sacrebleu import metrics
    except ImportError:
        raise RequestError("BLEU needs the 'translation' extra: pip install 'bench-kd[translation]'") from None
    return metrics


def signature() -> str:
    """What sacreBLEU says of how it counts, as papers quote it."""
    bleu = library().BLEU()
    bleu.corpus_score(["a"], [["a"]])
    return str(bleu.get_signature())
