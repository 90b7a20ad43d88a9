"""Predictions and samples as the named arrays of the archives beside a record, and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench.base.archive import ArchiveError, load_arrays
from bench.base.files import plain
from bench.errors import RequestError
from bench.records.schemas import Record
from bench.scoring.by_type import by_type
from bench.scoring.scores import Predictions, Ragged

Samples = dict[str, dict[str, list[list[int]]]]  # {point: {network: [[ns of a call] of a round]}}
LENGTHS = ".lengths"  # behind the name of ragged rows, of the array that says how long each is


def unpack(path: Path, data: bytes | None = None) -> Predictions:
    """Stored predictions: {data set: {array: values}}. `data`: of the file, where it has been read. RequestError: they
    cannot be read."""
    try:
        return unflatten(load_arrays(plain(path) if data is None else data))
    except (OSError, ArchiveError) as error:
        raise RequestError(f"cannot read the predictions {path}: {error}") from None


def types_beside(record: Record, path: Path) -> list[dict[str, Any]]:
    """What the predictions beside the record of a tagger say of each type of entity (`by_type`); nothing where there is
    no such file. RequestError: it cannot be read."""
    tagged = any("entity_f1" in scores for scores in record.metrics.all.values())
    return by_type(unpack(path)) if tagged and path.is_file() else []


def unflatten(arrays: Mapping[str, np.ndarray]) -> Predictions:
    """The inverse of flatten. RequestError: lengths without values, or not theirs."""
    found: Predictions = {}
    for key, array in arrays.items():
        dataset, _, name = key.rpartition("/")
        if not name.endswith(LENGTHS):
            lengths = arrays.get(key + LENGTHS)
            found.setdefault(dataset, {})[name] = array if lengths is None else Ragged(array, lengths)
        elif key.removesuffix(LENGTHS) not in arrays:
            raise RequestError(f"{key} are the lengths of rows that are not there")
    return found


def flatten(predictions: Predictions) -> dict[str, np.ndarray]:
    """{data set: {array: values}} -> {data set/array: values}, and beside ragged ones data set/array.lengths."""
    flat: dict[str, np.ndarray] = {}
    for dataset, arrays in predictions.items():
        for name, array in arrays.items():
            key = f"{dataset}/{name}"
            flat |= {key: array.flat, key + LENGTHS: array.lengths} if isinstance(array, Ragged) else {key: array}
    return flat


def flatten_samples(samples: Samples) -> dict[str, np.ndarray]:
    """{point/network: ns of all calls in order} and {point/network/calls: how many in each round}."""
    flat = {}
    for point, networks in samples.items():
        for name, rounds in networks.items():
            times = np.concatenate([np.asarray(r, np.uint64) for r in rounds])
            fits = times.max(initial=0) < 2**32  # 4 s
            flat[f"{point}/{name}"] = times.astype(np.uint32) if fits else times
            flat[f"{point}/{name}/calls"] = np.array([len(r) for r in rounds], np.uint32)
    return flat


def unflatten_samples(arrays: Mapping[str, np.ndarray]) -> Samples:
    """The inverse of flatten_samples. KeyError, ValueError: they are no samples."""
    samples: Samples = {}
    for key, times in arrays.items():
        if not key.endswith("/calls"):
            point, _, name = key.partition("/")
            calls = arrays[f"{key}/calls"]
            if times.ndim != 1 or {times.dtype.kind, calls.dtype.kind} != {"u"} or calls.sum() != len(times):
                raise ValueError(f"{key}: not the calls of each round, one behind the other")
            if len(calls) > len(times):  # before each empty one becomes a list
                raise ValueError(f"{key}: more rounds than calls")
            ends = np.cumsum(calls)[:-1]
            samples.setdefault(point, {})[name] = [r.tolist() for r in np.split(times, ends)]
    return samples
