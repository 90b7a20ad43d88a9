"""The teacher: its signals, computed once and kept in the store, or made in every step where they cannot be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.base.console import Console
from bench.base.processes import from_main
from bench.inputs import Examples, TokenArrays
from bench.networks.places import Place
from bench.signals import PER_INPUT
from bench.store import folders
from bench.store.rows import TOKEN_DIMS, Layers, Layout, Rows, fill, narrowed

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bench.network import Encoded, Network
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
        from bench.networks.transformer import load, load_classifier

        if self.outputs:
            return load_classifier(self.place.path, self.outputs)
        return load(self.place.path, self.place.pooling)

    @cached_property
    def fingerprint(self) -> str:
        from bench.networks.transformer import fingerprint

        return fingerprint(self.network)

    def signals(
        self, examples: Examples, names: frozenset[str], max_length: int | None, use: str, dtype: str = "float32"
    ) -> StoredSignals:
        """Stored signals of every input of the pool, in its order. `use`: `train` is counted as a cost."""
        arrays, meta = folders.signals(
            self._key(examples, sorted(names), max_length, dtype),
            self._meta(sorted(names), dtype),
            lambda: self._compute(examples, names, max_length, dtype),
        )
        if use == "train":
            kind = "computed" if meta["fresh"] else "reused"
            self.forwards[kind] += meta["rows"]
            self.seconds[kind] += meta["seconds"]
        return StoredSignals(arrays, self.device)

    def _key(self, examples: Examples, names: list[str], max_length: int | None, dtype: str, **more: Any) -> str:
        return folders.content_key(
            teacher=self.fingerprint, inputs=examples.digest, signals=names, max_length=max_length, dtype=dtype, **more
        )

    def _meta(self, names: list[str], dtype: str) -> dict[str, Any]:
        return {"teacher": self.place.name, "fingerprint": self.fingerprint, "signals": names, "dtype": dtype}

    def _compute(
        self, examples: Examples, names: frozenset[str], max_length: int | None, dtype: str
    ) -> dict[str, np.ndarray]:
        from bench.networks.inference import outputs

        self.console(f"  teacher {self.place.name} reads {len(examples.inputs)} inputs")
        encoded = self.network.encode(examples.inputs, max_length)
        found = outputs(self.network, encoded, names, self.console)
        return {name: narrowed(values, dtype) for name, values in found.items()}

    def by_row(
        self,
        examples: Examples,
        names: frozenset[str],
        max_length: int | None,
        wanted: np.ndarray,
        use: str,
        dtype: str,
    ) -> RowSignals | LiveSignals:
        """Stored signals of the virtual rows `wanted`; live ones where they would not fit into the store's quota.

        `use`: of a `resumed` stage what is there already was counted before.
        """
        encoded = self.network.encode(examples.inputs, max_length)
        layouts = self._layouts(encoded, names)
        count = len(encoded.lengths) * examples.views
        ragged = any(layout.tokens for layout in layouts.values())
        lengths = np.tile(encoded.lengths, examples.views) if ragged else np.broadcast_to(np.int64(1), count)
        stores = {
            name: Rows(self._key(examples, [name], max_length, dtype, by="row", views=examples.views),
                       self._meta([name], dtype), layout, lengths, dtype)
            for name, layout in layouts.items()
        }  # fmt: skip
        if not names <= PER_INPUT and not from_main(lambda: self._fits(stores, wanted)):
            return LiveSignals(self, examples, names, max_length, noisy=False)
        count, seconds = fill(stores, wanted, lambda rows: self._batches(encoded, names, rows))
        self.forwards["computed"] += count
        self.seconds["computed"] += seconds
        if use == "train":
            kept = next(iter(stores.values())).meta
            self.forwards["reused"] += len(wanted) - count
            self.seconds["reused"] += (len(wanted) - count) * kept["seconds"] / max(1, kept["rows"])
        return RowSignals(stores, self.device)

    def _layouts(self, encoded: Encoded, names: frozenset[str]) -> dict[str, Layout]:
        """How a row of each signal looks, as one input shows."""
        ((_, found),) = self._batches(encoded, names, np.array([0]))
        dims = TOKEN_DIMS if isinstance(encoded, TokenArrays) else {}
        return {
            name: Layout(tuple(layer.shape[1:] for layer in layers), dims.get(name, ()))
            for name, layers in found.items()
        }

    def _fits(self, stores: dict[str, Rows], wanted: np.ndarray) -> bool:
        """Whether all that is to be read has room in the quota; what it will take is said before it is computed."""
        size = sum(s.layout.bytes(s.lengths[wanted], s.dtype) for s in stores.values())
        there = sum(folders.on_disk(f) for s in stores.values() for f in s.folder.glob("*.npy"))
        room = folders.quota() - folders.used() + there
        what = f"{', '.join(stores)} of {len(wanted)} inputs take {size / 1e9:.2f} GB"
        if size <= room:
            self.console(f"  teacher {self.place.name}: {what} in the store")
            return True
        self.console(
            f"  teacher {self.place.name}: {what} and {max(0, room) / 1e9:.2f} GB are left of the store's quota: it "
            "runs in every step (--store-quota, bench store rm)"
        )
        return False

    def _batches(
        self, encoded: Encoded, names: frozenset[str], rows: np.ndarray
    ) -> Iterator[tuple[np.ndarray, dict[str, Layers]]]:
        """Signals of these virtual rows, in batches of like length: (rows, {signal: layers})."""
        import torch

        from bench.networks.inference import length_batches, to_device

        network, done = self.network.eval(), 0
        for batch in length_batches(encoded.lengths[rows % len(encoded.lengths)]):
            with torch.no_grad():
                found = network(to_device(encoded.batch(rows[batch]), self.device), names)
            signals = {name: getattr(found, name) for name in names}
            yield (
                rows[batch],
                {
                    name: [t.float().cpu().numpy() for t in (s if isinstance(s, tuple) else [s])]
                    for name, s in signals.items()
                },
            )
            done += len(batch)
            if len(rows) > 1:
                self.console.progress("inputs", done, len(rows))


class StoredSignals:
    """Teacher signals by pool row."""

    def __init__(self, arrays: dict[str, np.ndarray], device: torch.device) -> None:
        self.arrays, self.device = arrays, device

    def rows(self, rows: np.ndarray) -> Signals:
        """Signals of these pool rows, float32, on the device."""
        import torch

        from bench.signals import Signals

        tensors: dict[str, Any] = {
            name: torch.from_numpy(np.asarray(array[rows], np.float32)).to(self.device, non_blocking=True)
            for name, array in self.arrays.items()
        }
        return Signals(**tensors)


class RowSignals:
    """Teacher signals by virtual row, of which some may have several layers, padded to the longest of a batch."""

    def __init__(self, stores: dict[str, Rows], device: torch.device) -> None:
        self.stores, self.device = stores, device

    def rows(self, rows: np.ndarray) -> Signals:
        """Signals of these virtual rows, float32, on the device, with the mask of the teacher's tokens."""
        import torch

        from bench.signals import Signals

        def tensors(arrays: Iterable[np.ndarray]) -> list[Tensor]:
            return [torch.from_numpy(a).to(self.device, non_blocking=True) for a in arrays]

        found: dict[str, Any] = {}
        for name, stored in self.stores.items():
            layers = tensors(stored.read(rows))
            found[name] = tuple(layers) if isinstance(getattr(Signals(), name), tuple) else layers[0]
        ragged = [s for s in self.stores.values() if s.layout.tokens]
        if ragged:
            lengths = ragged[0].lengths[rows]
            mask = np.arange(lengths.max(initial=0)) < lengths[:, None]
            found["mask"] = tensors([mask.astype(np.int64)])[0]
        return Signals(**found)


class LiveSignals:
    """A teacher that runs in every step: for signals that do not fit into the store's quota, and for `replicate` modes
    that leave its dropout on (`noisy`). Counts its forward passes."""

    def __init__(
        self, teacher: Teacher, examples: Examples, names: frozenset[str], max_length: int | None, noisy: bool
    ) -> None:
        self.teacher, self.names, self.noisy = teacher, names, noisy
        self.encoded = teacher.network.encode(examples.inputs, max_length)

    def rows(self, rows: np.ndarray) -> Signals:
        """Signals of these pool rows, padded as the teacher's own tokens are."""
        import torch

        from bench.networks import sharing
        from bench.networks.inference import to_device

        network = self.teacher.network.train(self.noisy)
        with torch.no_grad():
            found = sharing.forward(network, to_device(self.encoded.batch(rows), self.teacher.device), self.names)
        network.eval()
        self.teacher.forwards["computed"] += len(rows)
        return found


def nobody(device: torch.device, console: Console) -> Teacher:
    """In the teacher's place where a network learns from labels alone: it costs nothing, and cannot be asked."""
    return Teacher(Place("nobody", "", ""), device, console)
