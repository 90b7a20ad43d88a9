"""Sound as whole numbers at one rate: the pool, its files, and what networks that read waves share.

Files are WAV (scipy reads them), or FLAC and others where the extra `audio` is installed (libsndfile reads them). A
data set has one rate and one channel: what is of another is refused, as resampling would make another data set of it.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.errors import RequestError
from bench.inputs import Pool, flat, padded
from bench.scoring.scores import Ragged
from bench.sources import DataError

FULL = 2.0**15  # of int16


class Waves(Pool):
    """N waves of any length: Ragged int16, and their rate in samples a second."""

    def __init__(self, samples: Ragged, rate: int) -> None:
        self.samples, self.rate = samples, rate

    @classmethod
    def of(cls, waves: Sequence[np.ndarray], rate: int) -> Waves:
        return cls(Ragged.of(waves, np.int16), rate)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: Any) -> Any:
        """A wave, int16 (n,); of a slice, a pool."""
        if isinstance(index, slice):
            return self.take(range(len(self))[index])
        start = int(self.samples.starts[index])
        return self.samples.flat[start : start + int(self.samples.lengths[index])]

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self.samples)

    def __add__(self, other: Waves) -> Waves:
        return Waves.of([*self, *other], self.rate)

    def take(self, rows: Sequence[int] | np.ndarray) -> Waves:
        return Waves(self.samples[np.asarray(rows, np.int64)], self.rate)

    def sizes(self) -> np.ndarray:
        """Samples."""
        return self.samples.lengths.astype(np.int64)

    @cached_property
    def digest(self) -> str:  # type: ignore[override]
        """Content key: sha256 over the rate, the lengths and every sample."""
        digest = hashlib.sha256(f"waves {self.rate} ".encode())
        digest.update(np.ascontiguousarray(self.samples.lengths, np.int64).data)
        digest.update(np.ascontiguousarray(self.samples.flat).data)
        return digest.hexdigest()


class WaveArrays:
    """Waves made ready for a network that makes `frames` (N,) of them."""

    def __init__(self, waves: Waves, frames: np.ndarray) -> None:
        self.samples, self.lengths = waves.samples, np.maximum(frames, 1)

    @property
    def axes(self) -> dict[str, np.ndarray]:
        return {"L": self.lengths}

    def batch(self, rows: np.ndarray) -> dict[str, Tensor]:
        """`waves` float32 (B, S) between -1 and 1, 0 behind the shorter ones, and `samples` (B,)."""
        found = self.samples[flat(rows)]
        waves = torch.from_numpy(padded(found, 0).astype(np.float32) / FULL)
        return {"waves": waves, "samples": torch.from_numpy(found.lengths.astype(np.int64))}


def waves_of(inputs: Any, rate: int) -> Waves:
    """The inputs, which have to be waves of this rate. RequestError: they are something else."""
    if not isinstance(inputs, Waves):
        raise RequestError(f"this network hears sound, and these inputs are {type(inputs).__name__.lower()}")
    if inputs.rate != rate:
        raise RequestError(f"this network hears {rate} samples a second, and these inputs have {inputs.rate}")
    return inputs


def read(path: Path, rate: int) -> np.ndarray:
    """The samples of a file, int16 (n,). DataError: no sound, none at all, several channels or another rate."""
    found, own = wav(path) if path.suffix.lower() == ".wav" else other(path)
    if found.ndim != 1:
        raise DataError(f"{path} has {found.shape[1]} channels, expected one")
    if own != rate:
        raise DataError(f"{path} has {own} samples a second, and the data set has {rate}")
    if not len(found):
        raise DataError(f"{path} has no samples: its length is 0")
    return found


def wav(path: Path) -> tuple[np.ndarray, int]:
    from scipy.io import wavfile

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # chunks that hold no sound
            rate, found = wavfile.read(path)
    except Exception as error:  # broken files fail in many ways
        raise DataError(f"{path} cannot be read as WAV: {type(error).__name__}: {error}") from None
    if found.dtype != np.int16:
        raise DataError(f"{path} holds {found.dtype} samples, expected 16 bits")
    return found, int(rate)


def other(path: Path) -> tuple[np.ndarray, int]:
    try:
        import soundfile
    except ImportError:
        raise RequestError(f"reading {path.suffix} needs the 'audio' extra: pip install 'bench-kd[audio]'") from None
    try:
        found, rate = soundfile.read(path, dtype="int16")
    except Exception as error:  # of the library and of the system
        raise DataError(f"{path} cannot be read as sound: {type(error).__name__}: {error}") from None
    return found, int(rate)
