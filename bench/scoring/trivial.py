"""What a score is worth: that of the best answer that reads no input, and answers that read none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bench.scoring.metric import constant
from bench.scoring.metrics import METRICS
from bench.scoring.scores import Array, Predictions, Ragged, Scores, headline


def trivial(
    predictions: Predictions, score: Callable[[Predictions], Scores], metric: str, inside: bool
) -> float | None:
    """The main score of an answer that is the same for every input, of a ranking that of a random order. None: what is
    stored does not tell it.

    `inside`: the engine knows this metric, and so what the best such answer is; else the task's own `score` is asked
    what the most frequent label, or the mean, is worth.
    """
    if inside:
        values = [METRICS[metric].trivial(arrays["gold"], arrays["prediction"]) for arrays in predictions.values()]
        return None if None in values else float(np.mean(values))  # type: ignore[arg-type]
    found = {name: arrays | {"prediction": same_for_all(arrays)} for name, arrays in predictions.items()}
    if any(arrays["prediction"] is None for arrays in found.values()):
        return None
    return headline(score(found), metric)[1]


def same_for_all(arrays: dict[str, Array]) -> Array | None:
    """One answer for all inputs, in the form of the stored predictions: class scores (N, C) for class numbers."""
    prediction, answer = arrays["prediction"], constant(arrays["gold"])
    if isinstance(prediction, np.ndarray) and prediction.ndim == 2 and isinstance(answer, np.ndarray):
        return np.eye(prediction.shape[1], dtype=prediction.dtype)[answer] if answer.dtype.kind in "iu" else None
    return answer


def one_answer(predictions: Predictions) -> bool:
    """Whether every input was given the same label or value."""
    return all(_one(arrays["prediction"]) for arrays in predictions.values())


def _one(prediction: Array) -> bool:
    """Of class scores (N, C) the label is the largest; ranked lists have none."""
    values = prediction.flat if isinstance(prediction, Ragged) else prediction
    if isinstance(prediction, np.ndarray) and values.ndim == 2:
        if values.dtype == bool:
            return len(values) > 0 and bool((values == values[0]).all())
        values = values.argmax(1)
    return values.ndim == 1 and len(values) > 0 and bool((values == values[0]).all())
