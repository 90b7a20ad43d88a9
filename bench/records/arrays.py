"""Predictions and samples as the named arrays of the archives beside a record, and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bench.base.archive import ArchiveError, load_arrays
from bench.errors import RequestError

Samples = dict[str, dict[str, list[list[int]]]]  # {point: {network: [[ns of a call] of a round]}}


def unpack(path: Path) -> dict[str, dict[str, np.ndarray]]:
    """Stored predictions: {data set: {array: values}}. RequestError: they cannot be read."""
    try:
        arrays = load_arrays(path.read_bytes())
    except (OSError, ArchiveError) as error:
        raise RequestError(f"cannot read the predictions {path}: {error}") from None
    return unflatten(arrays)


def unflatten(arrays: Mapping[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """The inverse of flatten."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for key, array in arrays.items():
        dataset, _, name = key.rpartition("/")
        found.setdefault(dataset, {})[name] = array
    return found


def flatten(predictions: dict[str, dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """{data set: {array: values}} -> {data set/array: values}."""
    return {f"{dataset}/{name}": array for dataset, arrays in predictions.items() for name, array in arrays.items()}


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
    """The inverse of flatten_samples."""
    samples: Samples = {}
    for key in arrays:
        if not key.endswith("/calls"):
            point, _, name = key.partition("/")
            ends = np.cumsum(arrays[f"{key}/calls"])[:-1]
            samples.setdefault(point, {})[name] = [r.tolist() for r in np.split(arrays[key], ends)]
    return samples
