"""Timings in the store: networks of the same shape on the same machine are timed once, whatever their weights.

    <cache>/timings/<key>/session.json

Speed and size do not depend on the method or the seed, so the runs of a sweep share a session. A record says so, and
`bench run --remeasure` times anew, every shape once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.base import files, provenance
from bench.inputs import digest_inputs
from bench.measuring import machine
from bench.measuring.clock import Effort
from bench.measuring.counting import parameters
from bench.network import Network
from bench.networks.fingerprints import settings
from bench.store import folders
from bench.task import Search

NOTE = "timed in an earlier run with networks of the same shapes, on the same inputs and machine"


def key_of(
    networks: Mapping[str, Network], inputs: Sequence[Any], effort: Effort, lengths: Sequence[int],
    searches: Sequence[Search] = (),
) -> str:  # fmt: skip
    """Everything that a session's times depend on, but for what else the machine was doing."""
    device = next(iter(networks.values())).device
    more = {f"search{s.suffix}": [s.queries.digest, s.documents, s.depth] for s in searches}
    shapes = {name: [str(n), settings(n), parameters(n)] for name, n in networks.items()}
    return folders.content_key(
        networks=shapes, inputs=digest_inputs(inputs),
        effort=vars(effort), lengths=list(lengths), environment=machine.describe(device), commit=code(), **more,
    )  # fmt: skip


def code() -> list[str]:
    """What the timing code is: another way of timing gives other times."""
    names = ("clock", "session", "counting", "noise", "energy")
    return [files.sha256(Path(__file__).with_name(f"{name}.py").read_bytes()) for name in names]


def once(key: str, measure: Callable[[], dict[str, Any]], again: set[str] | None = None) -> dict[str, Any]:
    """The stored session of this key, else a new one, which is stored. `again`: the keys that this command has timed,
    where it times anew; a stored session of any other is not taken."""
    path = folders.make_folder(folders.root() / "timings" / key) / "session.json"
    with folders.locked(f"timings-{key}"):
        if again is None or key in again:
            with suppress(OSError, ValueError):  # not there, or damaged
                kept: dict[str, Any] = json.loads(path.read_bytes())
                return kept | {"notes": [*kept["notes"], NOTE]}
        commit, dirty = provenance.commit()
        found = measure() | {"measured": provenance.now(), "commit": commit, "dirty": dirty}
        files.replace(
            path, json.dumps(found, default=lambda number: number.item()).encode(), alone=True
        )  # of numpy and torch
        if again is not None:
            again.add(key)
        return found
