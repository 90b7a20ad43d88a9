"""Loyalty: how far a student agrees with its teacher on test, right or wrong.

Two students of the same accuracy may err together with the teacher or elsewhere (Xu et al. 2021, Beyond Preserved
Accuracy, arXiv 2109.03228).
"""

from __future__ import annotations

import numpy as np

from bench.scoring.scores import Array, Predictions, Ragged, same

NAMES = "iubU"  # types of which equal ones mean the same


def loyalty(predictions: Predictions) -> dict[str, dict[str, float]]:
    """By data set, from `prediction` and `teacher`.

    Scores (N, C), logits:  label        share of inputs with the same highest class
                            probability  1 - mean Jensen-Shannon distance (base e) of the two distributions
    Labels (N, C), bool:    label        share of inputs with the same labels
    Names (N,), whole or text; Ragged rows of them:
                            label        share of inputs with the same name, or the same row
    Values (N,):            rank         Spearman's correlation with the teacher's values; 0 where one is constant
    Ragged rows of values:  nothing, as no two would be equal
    """
    return {name: _of(arrays["prediction"], arrays["teacher"]) for name, arrays in predictions.items()}


def _of(student: Array, teacher: Array) -> dict[str, float]:
    if isinstance(student, Ragged):
        named = student.flat.dtype.kind in NAMES
        return {"label": float(np.mean([same(*rows) for rows in zip(student, teacher, strict=True)]))} if named else {}
    teacher = np.asarray(teacher)
    if student.ndim == 2 and student.dtype == bool:
        return {"label": float((student == teacher).all(1).mean())}
    if student.ndim == 2:
        alike = float((student.argmax(1) == teacher.argmax(1)).mean())
        return {"label": alike, "probability": probability_loyalty(student, teacher)}
    if student.dtype.kind in NAMES:
        return {"label": float((student == teacher).mean())}
    return {"rank": rank_loyalty(student, teacher)}


def probability_loyalty(student: np.ndarray, teacher: np.ndarray) -> float:
    """1 - mean over inputs of the Jensen-Shannon distance between softmax(student) and softmax(teacher), (N, C)."""
    from scipy.spatial.distance import jensenshannon
    from scipy.special import softmax

    p, q = (softmax(np.asarray(logits, np.float64), axis=1) for logits in (student, teacher))
    with np.errstate(invalid="ignore"):  # rounding below 0 under the root: distance 0
        return 1.0 - float(np.nan_to_num(jensenshannon(p, q, axis=1)).mean())


def rank_loyalty(student: np.ndarray, teacher: np.ndarray) -> float:
    from scipy.stats import spearmanr

    if np.ptp(student) == 0 or np.ptp(teacher) == 0:
        return 0.0
    return float(spearmanr(student, teacher).statistic)
