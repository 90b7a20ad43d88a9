"""The teacher: where it is, loading it, and its signals, computed once and kept in the store."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import store
from bench.console import Console
from bench.errors import RequestError
from bench.inputs import Examples
from bench.sources import package_file
from bench.task import Task

if TYPE_CHECKING:
    import torch

    from bench.network import Network
    from bench.signals import Signals


@dataclass(frozen=True)
class Place:
    """Where a model is, and a key that changes when the model does."""

    name: str
    path: Path
    pooling: str  # overrides the model's own; empty: as the model declares
    identity: str


def locate(reference: str, task: Task) -> Place:
    """Find a model: a short name of the task, a folder, or a Hub id; `#cls` after it chooses another pooling.

    `owner/name@revision` pins a Hub model. RequestError: not found, or the Hub cannot be reached.
    """
    name, _, pooling = reference.partition("#")
    target = task.teachers.get(name, name)
    target, _, declared = target.partition("#")
    pooling = pooling or declared
    if target.startswith("package:"):
        package, _, inside = target.removeprefix("package:").partition("/")
        path = package_file(package, inside)
        return Place(reference, path, pooling, f"{package}=={importlib.metadata.version(package)}#{pooling}")
    folder = Path(target).expanduser()
    if folder.is_dir():
        return Place(reference, folder.resolve(), pooling, f"{_digest(folder)}#{pooling}")
    if target.startswith((".", "/", "~")) or target.count("/") != 1:
        known = ", ".join(sorted(task.teachers)) or "none"
        raise RequestError(f"no teacher '{name}': not a folder, not a Hub id (owner/name), not a short name ({known})")
    path = _from_hub(target)
    return Place(reference, path, pooling, f"{target.partition('@')[0]}@{path.name}#{pooling}")


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.suffix in (".safetensors", ".json", ".txt") and p.is_file()):
        digest.update(str(path.relative_to(folder)).encode())
        with path.open("rb") as handle:
            digest.update(hashlib.file_digest(handle, "sha256").digest())
    return digest.hexdigest()[:16]


def _from_hub(reference: str) -> Path:
    """The local snapshot of a Hub model; its folder is named after the commit. Weights as safetensors only."""
    from huggingface_hub import snapshot_download

    repo, _, revision = reference.partition("@")
    wanted = ["*.safetensors", "*.json", "*.txt", "*.model"]
    try:
        return Path(snapshot_download(repo, revision=revision or None, allow_patterns=wanted, ignore_patterns=["onnx/*"]))
    except Exception as error:  # the Hub client raises many unrelated types; all mean: not to be had
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else ""
        raise RequestError(
            f"cannot load the model {reference} from the Hub ({type(error).__name__}: {reason}); "
            "check the name and the network, or give a folder"
        ) from error


class Teacher:
    """A frozen teacher. Loaded when first needed; its signals come from the store when they are there."""

    def __init__(self, place: Place, device: torch.device, console: Console) -> None:
        self.place, self.device, self.console = place, device, console
        self.forwards = {"computed": 0, "reused": 0}  # training inputs only
        self.seconds = {"computed": 0.0, "reused": 0.0}

    @cached_property
    def network(self) -> Network:
        from bench.transformer import load

        return load(self.place.path, self.place.pooling).requires_grad_(False).eval().to(self.device)

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
        meta = {"teacher": self.place.name, "fingerprint": self.fingerprint, "signals": names_, "dtype": "float32"}
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

        from bench.inference import to_device

        network = self.teacher.network.train(self.noisy)
        with torch.no_grad():
            found = network(to_device(self.encoded.batch(rows), self.teacher.device), self.names)
        network.eval()
        self.teacher.forwards["computed"] += len(rows)
        return found
