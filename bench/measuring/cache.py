"""Timings in the store: networks of the same shape on the same machine are timed once, whatever their weights.

    <cache>/timings/<key>/{measured.json, samples.npz}

Speed and size do not depend on the method or the seed, so the runs of a sweep share a session. A record says so, and
`bench run --remeasure` times anew.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.base import files, provenance
from bench.base.archive import load_arrays, pack
from bench.inputs import digest_inputs
from bench.measuring import machine
from bench.measuring.clock import Effort
from bench.measuring.counting import parameters
from bench.network import Network
from bench.records.arrays import flatten_samples, unflatten_samples
from bench.store import folders

NOTE = "timed in an earlier run with networks of the same shapes, on the same inputs and machine"


def key_of(networks: Mapping[str, Network], inputs: Sequence[Any], effort: Effort, lengths: Sequence[int]) -> str:
    """Everything that a session's times depend on, but for what else the machine was doing."""
    device = next(iter(networks.values())).device
    return folders.content_key(
        networks={name: [str(n), parameters(n)] for name, n in networks.items()}, inputs=digest_inputs(inputs),
        effort=vars(effort), lengths=list(lengths), environment=machine.describe(device), commit=code(),
    )  # fmt: skip


def code() -> list[str]:
    """What the timing code is: another way of timing gives other times."""
    names = ("clock", "session", "counting", "noise", "energy")
    return [files.sha256(Path(__file__).with_name(f"{name}.py").read_bytes()) for name in names]


def once(key: str, measure: Callable[[], dict[str, Any]], anew: bool = False) -> dict[str, Any]:
    """The stored session of this key, else a new one, which is stored. `anew`: a new one in any case."""
    folder = folders.root() / "timings" / key
    with folders.locked(f"timings-{key}"):
        kept = None if anew else read(folder)
        if kept is not None:
            return kept | {"notes": [*kept["notes"], NOTE]}
        commit, dirty = provenance.commit()
        found = measure() | {"measured": provenance.now(), "commit": commit, "dirty": dirty}
        write(folder, found)
        return found


def read(folder: Path) -> dict[str, Any] | None:
    """A stored session; None: it is not there, or damaged."""
    try:
        found: dict[str, Any] = json.loads((folder / "measured.json").read_text(encoding="utf-8"))
        arrays = load_arrays((folder / "samples.npz").read_bytes())
        return found | {"samples": unflatten_samples(arrays)}
    except Exception:  # an interrupted write, another version: all mean to time again
        return None


def write(folder: Path, found: dict[str, Any]) -> None:
    """Samples first, the rest last: a session that is there is complete."""
    shutil.rmtree(folder, ignore_errors=True)
    folders.make_folder(folder)
    files.replace(folder / "samples.npz", pack(flatten_samples(found["samples"])))
    rest = {name: value for name, value in found.items() if name != "samples"}
    files.replace(folder / "measured.json", json.dumps(rest, default=plain).encode())


def plain(value: Any) -> Any:
    """Numbers of numpy and torch, tuples of JSON: as Python has them."""
    if isinstance(value, (np.generic, torch.Tensor)):
        return value.item()
    raise TypeError(f"{type(value).__name__} is nothing that JSON holds")
