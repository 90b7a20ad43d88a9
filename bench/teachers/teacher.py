"""The teacher: its signals, computed once and kept in the store, or made in every step where they cannot be."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from bench.base.console import Console
from bench.base.processes import from_main
from bench.inputs import Examples, Mixture, single
from bench.kind import Kind, Outputs
from bench.network import Encoded, Network
from bench.networks import fingerprints, sharing
from bench.networks.inference import collect, decoded, encode, kept, length_batches, outputs, reads_answers, to_device
from bench.networks.places import Place
from bench.scoring.scores import Ragged
from bench.signals import MASKS, Signal, Signals, declared
from bench.store import folders
from bench.store.rows import Layers, Layout, Rows, fill, narrowed

WHOLE = 65_536  # inputs; the teacher reads a smaller pool whole, in one order, whatever a run will read of it


Opener = Callable[[Place, torch.device, Console], Network]


class Teacher:
    """A frozen teacher. Loaded when first needed; its signals come from the store when they are there."""

    def __init__(self, place: Place, device: torch.device, console: Console, goal: Kind, opened: Opener) -> None:
        self.place, self.device, self.console, self.goal, self.opened = place, device, console, goal, opened
        self.forwards = {"computed": 0, "reused": 0}  # training inputs only
        self.seconds = {"computed": 0.0, "reused": 0.0}

    @cached_property
    def network(self) -> Network:
        network = self.opened(self.place, self.device, self.console)
        return network.requires_grad_(False).eval().to(self.device)

    @cached_property
    def fingerprint(self) -> str:
        return fingerprints.fingerprint(self.network)

    @cached_property
    def settings(self) -> str:
        return fingerprints.settings(self.network)

    def signal(self, name: str) -> Signal:
        return declared(name, self.goal.axes)

    def serve(self, asked: Asked, rows: Callable[[], np.ndarray]) -> Source:
        """The signals of a pool, from the store where they can be. `rows`: the virtual rows that will be read."""
        small = all(self.signal(name).small for name in asked.names)
        if asked.examples.mixed:
            self.console(f"  teacher {self.place.name}: the inputs of each batch are mixed, so it runs in every step")
            return LiveSignals(self, asked)
        if asked.noisy or not self.goal.stored or (asked.reads_padding and not small):
            return LiveSignals(self, asked)
        if small and asked.examples.views == 1 and len(asked.examples.inputs) <= WHOLE:
            return self.whole(asked)
        if any(self.signal(name).whole for name in asked.names):
            return LiveSignals(self, asked)
        return self.by_row(asked, rows())

    def outputs(self, inputs: Any) -> Outputs | None:
        """What the kind keeps of each of dev's or test's inputs; None: the teacher needs the answers to read them."""
        if self.network.reads_targets:
            return None
        asked = Asked(single(inputs), self.network.named(("output",), self.goal.output), None, "evaluate")
        everything = np.arange(len(inputs))
        if self.goal.teacher_forced:  # what it makes itself is as long as it says, and no signal of the store
            return decoded(self.network, self.encode(asked), self.goal)
        source = self.serve(asked, lambda: everything)
        if isinstance(source, StoredSignals):
            return collect([kept(self.goal.decode(source.rows(everything)))], [everything])
        order = list(length_batches(self.encode(asked).lengths))
        return collect([kept(self.goal.decode(source.rows(rows))) for rows in order], order)

    def encode(self, asked: Asked) -> Encoded:
        return encode(self.network, self.goal, asked.examples, asked.max_length)

    def whole(self, asked: Asked) -> StoredSignals:
        """Stored signals of every input, computed in one go."""
        names, rows = sorted(asked.names), len(asked.examples.inputs)  # a signal of all nodes has rows of its own
        meta = self._meta(names, asked.dtype) | {"rows": rows}
        arrays, meta = folders.signals(self._key(asked, names), meta, lambda: self._compute(asked))
        if asked.use == "train":
            kind = "computed" if meta["fresh"] else "reused"
            self.forwards[kind] += meta["rows"]
            self.seconds[kind] += meta["seconds"]
        return StoredSignals(arrays, self.device, {name for name in names if self.signal(name).whole})

    def _key(self, asked: Asked, names: list[str], **more: Any) -> str:
        answers = reads_answers(self.network, self.goal, asked.examples)
        told = {"targets": digest(asked.examples.labels)} if answers else {}
        return folders.content_key(
            teacher=self.fingerprint, settings=self.settings, inputs=asked.examples.digest, signals=names,
            max_length=asked.max_length, dtype=asked.dtype, **told, **more,
        )  # fmt: skip

    def _meta(self, names: list[str], dtype: str) -> dict[str, Any]:
        return {"teacher": self.place.name, "fingerprint": self.fingerprint, "signals": names, "dtype": dtype}

    def _compute(self, asked: Asked) -> dict[str, np.ndarray]:
        self.console(f"  teacher {self.place.name} reads {len(asked.examples.inputs)} inputs")
        found = outputs(self.network, self.encode(asked), asked.names, self.console)
        return {name: narrowed(values, asked.dtype) for name, values in found.items()}

    def by_row(self, asked: Asked, wanted: np.ndarray) -> Source:
        """Stored signals of the virtual rows `wanted`; live ones where they would not fit into the store's quota."""
        encoded = self.encode(asked)
        stores = self._stores(asked, encoded)
        small = all(self.signal(name).small for name in asked.names)
        if not small and not from_main(lambda: self._fits(stores, wanted)):
            return LiveSignals(self, asked)
        count, seconds = fill(stores, wanted, lambda rows: self._batches(encoded, asked.names, rows))
        if asked.use != "evaluate":  # a resumed stage has paid for what is there already
            self.forwards["computed"] += count
            self.seconds["computed"] += seconds
        if asked.use == "train":
            meta = next(iter(stores.values())).meta
            self.forwards["reused"] += len(wanted) - count
            self.seconds["reused"] += (len(wanted) - count) * meta["seconds"] / max(1, meta["rows"])
        return RowSignals(stores, self)

    def _stores(self, asked: Asked, encoded: Encoded) -> dict[str, Rows]:
        """Where each signal of the pool is kept; how a row of it looks one input shows."""
        ((_, found),) = self._batches(encoded, asked.names, np.array([0]))
        views, stores = asked.examples.views, {}
        for name, layers in found.items():
            axis = self.signal(name).axis
            ragged = axis in encoded.axes
            layout = Layout(tuple(layer.shape[1:] for layer in layers), self.signal(name).ragged if ragged else ())
            count = len(encoded.lengths) * views
            lengths = np.tile(encoded.axes[axis], views) if ragged else np.broadcast_to(np.int64(1), count)
            key = self._key(asked, [name], by="row", views=views)
            stores[name] = Rows(key, self._meta([name], asked.dtype), layout, lengths, asked.dtype)
        return stores

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
        network, done = self.network.eval(), 0
        with torch.no_grad():
            encoded = network.once(encoded) if len(rows) > 1 else encoded
        for batch in length_batches(encoded.lengths[rows % len(encoded.lengths)]):
            with torch.no_grad():
                found = network(to_device(encoded.batch(rows[batch]), self.device), names)
            yield rows[batch], {name: [t.float().cpu().numpy() for t in layers_of(found[name])] for name in names}
            done += len(batch)
            if len(rows) > 1:
                self.console.progress("inputs", done, len(rows))


@dataclass(frozen=True)
class Asked:
    """Signals that a teacher is asked for, of a training set or a split, and under which conditions."""

    examples: Examples
    names: frozenset[str]
    max_length: int | None
    use: Literal["train", "resumed", "evaluate"]  # a cost; a cost but for what is there already; none
    dtype: str = "float32"
    noisy: bool = False  # the teacher's dropout is on
    reads_padding: bool = False  # what lies at padding matters, which depends on the batch


def layers_of(value: Any) -> Any:
    return value if isinstance(value, tuple) else [value]


def digest(labels: np.ndarray | Ragged | None) -> str:
    """Content key of labels."""
    parts = labels.arrays if isinstance(labels, Ragged) else [np.asarray(labels)]
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()


class StoredSignals:
    """Teacher signals by pool row; those named in `whole` are read as they are, once."""

    def __init__(self, arrays: dict[str, np.ndarray], device: torch.device, whole: Collection[str] = ()) -> None:
        self.device = device
        self.whole = {name: self._tensor(np.array(arrays[name])) for name in whole}
        self.arrays = {name: array for name, array in arrays.items() if name not in whole}

    def rows(self, rows: np.ndarray) -> Signals:
        """Signals of these pool rows, float32, on the device."""
        return Signals(self.whole | {name: self._tensor(array[rows]) for name, array in self.arrays.items()})

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.asarray(array, np.float32)).to(self.device, non_blocking=True)


class RowSignals:
    """Teacher signals by virtual row, of which some may have several layers, padded to the longest of a batch."""

    def __init__(self, stores: dict[str, Rows], teacher: Teacher) -> None:
        self.stores, self.teacher = stores, teacher

    def rows(self, rows: np.ndarray) -> Signals:
        """Signals of these virtual rows, float32, on the device, with the masks of what is padded."""
        found: dict[str, Any] = {}
        for name, stored in self.stores.items():
            layers = tuple(self._tensor(layer) for layer in stored.read(rows))
            signal = self.teacher.signal(name)
            found[name] = layers if signal.layers else layers[0]
            if stored.layout.tokens:
                lengths = stored.lengths[rows]
                mask = np.arange(lengths.max(initial=0)) < lengths[:, None]
                found[MASKS[signal.axis]] = self._tensor(mask.astype(np.int64))
        return Signals(found)

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.teacher.device, non_blocking=True)


class LiveSignals:
    """A teacher that runs in every step: for signals that do not fit into the store's quota, for `replicate` modes
    that leave its dropout on, and where inputs are mixed. Counts its forward passes."""

    def __init__(self, teacher: Teacher, asked: Asked) -> None:
        self.teacher, self.asked, self.encoded = teacher, asked, teacher.encode(asked)

    def rows(self, rows: np.ndarray, mixture: Mixture | None = None) -> Signals:
        """Signals of these virtual rows, padded as the teacher's own tokens are; mixed as the student reads them."""
        network = self.teacher.network.train(self.asked.noisy)
        inputs = to_device(self.encoded.batch(rows), self.teacher.device)
        with torch.no_grad():
            found = sharing.forward(network, mixture.inputs(inputs) if mixture else inputs, self.asked.names)
        network.eval()
        if self.asked.use != "evaluate":
            self.teacher.forwards["computed"] += len(rows)
        return found


Source = StoredSignals | RowSignals | LiveSignals
