"""What a task gives for scoring, and what scoring gives. Imports no torch: records are read without it."""

from __future__ import annotations

import numpy as np

# {data set: {"prediction": (N,) or (N, C), "gold": (N,), "units": (N, k) ids of what was sampled, optional}};
# stored ones hold the teacher's too, as "teacher"
Predictions = dict[str, dict[str, np.ndarray]]
Scores = dict[str, dict[str, float]]  # {data set: {metric: value}}


def headline(scores: Scores, metric: str) -> tuple[str, float]:
    """(data set, value) of the main metric: the only data set, or the unweighted mean over all."""
    values = [float(s[metric]) for s in scores.values()]
    return (next(iter(scores)) if len(values) == 1 else f"average of {len(values)}"), float(np.mean(values))
