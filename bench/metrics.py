"""The metrics of the boards for use elsewhere: plain Python in, a number out, no network, no torch.

    >>> from bench.metrics import compute
    >>> compute("spearman", predictions=[0.1, 0.9, 0.4], references=[1, 5, 3])
    1.0

`bench list metrics` shows their names and what each reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import product
from typing import Any

import numpy as np

from bench.errors import RequestError, unknown
from bench.scoring.metric import Metric
from bench.scoring.metrics import CUT, METRICS
from bench.scoring.scores import Ragged


def compute(name: str, predictions: Any, references: Any) -> float:
    """The metric of N predictions: arrays, `Ragged`, or lists of N numbers, texts, or rows of any length.

    RequestError: there is no such metric, or it reads something else.
    """
    if name not in METRICS:
        raise unknown("metric", name, [*(n for n in METRICS if "@" not in n), *(f"{cut}@10" for cut in CUT)])
    metric = METRICS[name]
    for prediction, gold in product(forms(predictions), forms(references)):
        if metric.fits(prediction, gold):
            return float(metric.value(prediction, gold))
    raise RequestError(f"{name} cannot score these predictions and references; it reads: {reads(metric)}")


def reads(metric: Metric) -> str:
    """What a metric says of itself and of what it reads, which a class above it may say."""
    classes = [c for c in type(metric).__mro__ if issubclass(c, Metric) and c.__module__ != Metric.__module__]
    return " ".join(" ".join((c.__doc__ or "").split()) for c in classes)


def forms(values: Any) -> Iterator[Any]:
    """What a list may stand for: an array, rows of any length, texts that spaces part into words."""
    if isinstance(values, (np.ndarray, Ragged)):
        yield values
        return
    rows: Sequence[Any] = list(values)
    with suppress(ValueError):  # rows of several lengths are no array
        yield np.asarray(rows)
    if rows and all(isinstance(row, str) for row in rows):
        yield Ragged.of([row.split() for row in rows], np.str_)
    elif all(isinstance(row, (Sequence, np.ndarray)) for row in rows):
        with suppress(ValueError):  # rows of rows of several lengths
            yield Ragged.of(rows)
