"""The teacher: its signals, computed once and kept in the store, or made in every step where they cannot be."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import store
from bench.console import Console
from bench.inputs import Examples
from bench.models import Place

if TYPE_CHECKING:
    import torch

    from bench.network import Network
    from bench.signals import Signals


class Teacher:
    """A frozen teacher. Loaded when first needed; its signals come from the store when they are there."""

    def __init__(self, place: Place, device: torch.device, console: Console, outputs: int = 0) -> None:
        self.place, self.device, self.console = place, device, console
        self.outputs = outputs  # of its head; 0: it embeds
        self.forwards = {"computed": 0, "reused": 0}  # training inputs only
        self.seconds = {"computed": 0.0, "reused": 0.0}

    @cached_property
    def network(self) -> Network:
        network = self.place.make(self.device, self.console) if self.place.make else self._load()
        return network.requires_grad_(False).eval().to(self.device)

    def _load(self) -> Network:
        from bench.transformer import load, load_classifier

        if self.outputs:
            return load_classifier(self.place.path, self.outputs)
        return load(self.place.path, self.place.pooling)

    @cached_property
    def fingerprint(self) -> str:
        from bench.transformer import fingerprint

        return fingerprint(self.network)

    def signals(self, examples: Examples, names: frozenset[str], max_length: int | None, use: str) -> StoredSignals:
        """Stored signals of every input of the pool, in its order. `use`: `train` is counted as a cost."""
        names_ = sorted(names)
        key = store.content_key(
            teacher=self.fingerprint, inputs=examples.digest, signals=names_, max_length=max_length, dtype="float32"
        )
        meta: dict[str, Any] = {
            "teacher": self.place.name,
            "fingerprint": self.fingerprint,
            "signals": names_,
            "dtype": "float32",
        }
        arrays, meta = store.signals(key, meta, lambda: self._compute(examples, names, max_length))
        if use == "train":
            kind = "computed" if meta["fresh"] else "reused"
            self.forwards[kind] += meta["rows"]
            self.seconds[kind] += meta["seconds"]
        return StoredSignals(arrays, self.device)

    def _compute(self, examples: Examples, names: frozenset[str], max_length: int | None) -> dict[str, np.ndarray]:
        from bench.inference import outputs

        self.console(f"  teacher {self.place.name} reads {len(examples.inputs)} inputs")
        encoded = self.network.encode(examples.inputs, max_length)
        return outputs(self.network, encoded, names, self.console)


class StoredSignals:
    """Teacher signals by pool row."""

    def __init__(self, arrays: dict[str, np.ndarray], device: torch.device) -> None:
        self.arrays, self.device = arrays, device

    def rows(self, rows: np.ndarray) -> Signals:
        """Signals of these pool rows, on the device."""
        import torch

        from bench.signals import Signals

        tensors: dict[str, Any] = {
            name: torch.from_numpy(np.asarray(array[rows])).to(self.device, non_blocking=True)
            for name, array in self.arrays.items()
        }
        return Signals(**tensors)


class LiveSignals:
    """A teacher that runs in every step: for token-level signals, which are not stored, and for `replicate` modes
    that leave its dropout on (`noisy`). Counts its forward passes."""

    def __init__(
        self, teacher: Teacher, examples: Examples, names: frozenset[str], max_length: int | None, noisy: bool
    ) -> None:
        self.teacher, self.names, self.noisy = teacher, names, noisy
        self.encoded = teacher.network.encode(examples.inputs, max_length)

    def rows(self, rows: np.ndarray) -> Signals:
        """Signals of these pool rows, padded as the teacher's own tokens are."""
        import torch

        from bench import sharing
        from bench.inference import to_device

        network = self.teacher.network.train(self.noisy)
        with torch.no_grad():
            found = sharing.forward(network, to_device(self.encoded.batch(rows), self.teacher.device), self.names)
        network.eval()
        self.teacher.forwards["computed"] += len(rows)
        return found


def nobody(device: torch.device, console: Console) -> Teacher:
    """In the teacher's place where a network learns from labels alone: it costs nothing, and cannot be asked."""
    return Teacher(Place("nobody", "", ""), device, console)
