"""What students that hear share: waves to log-mel bands, fewer frames, a body, and the network around them.

    waves (B, S) -> log-mel, 25 ms windows every 10 ms, mean 0 and deviation 1 an utterance -> two convolutions of
    stride 2, 40 ms a frame -> the body's states (B, L, S)

Padding is set to 0 before every layer that looks at neighbours, so that the same wave gives the same states in every
batch. The bands and the normalisation are those of the field's recipes (ESPnet, wav2letter); widths are our choice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.data.audio import WaveArrays, Waves, waves_of
from bench.errors import RequestError
from bench.network import Network
from bench.optimiser import Optimiser
from bench.signals import Signals
from bench.student import Known, Outline, Student
from bench.task import Task

BANDS = 40
WINDOW, HOP = 0.025, 0.010  # seconds
KERNEL, HALVINGS = 5, 2


class LogMel(nn.Module):
    """Waves (B, S) with samples (B,) -> (B, T, BANDS); each utterance normalised over its own frames."""

    filters: Tensor
    window: Tensor

    def __init__(self, rate: int) -> None:
        super().__init__()
        from transformers.audio_utils import mel_filter_bank

        self.size, self.hop = round(WINDOW * rate), round(HOP * rate)
        filters = mel_filter_bank(self.size // 2 + 1, BANDS, 20.0, rate / 2, rate, norm="slaney", mel_scale="slaney")
        self.register_buffer("filters", torch.from_numpy(filters).float(), persistent=False)
        self.register_buffer("window", torch.hann_window(self.size), persistent=False)

    def frames(self, samples: Any) -> Any:
        """Whole windows in so many samples; one where they fill none."""
        return 1 + (samples - self.size).clip(0) // self.hop

    def forward(self, waves: Tensor, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Bands, and the mask (B, T) bool."""
        waves = nn.functional.pad(waves, (0, max(0, self.size - waves.shape[1])))
        power = torch.stft(
            waves, self.size, self.hop, window=self.window, center=False, return_complex=True
        ).abs().square()  # fmt: skip
        bands = (power.transpose(1, 2) @ self.filters).clamp(min=1e-10).log()
        mask = torch.arange(bands.shape[1], device=bands.device) < self.frames(samples)[:, None]
        return normalised(bands, mask), mask


def normalised(x: Tensor, mask: Tensor) -> Tensor:
    """(B, T, F) with mean 0 and deviation 1 of each band over the real frames; 0 at padding."""
    real, count = mask[..., None], mask.sum(1)[:, None, None]
    x = (x - (x * real).sum(1, keepdim=True) / count) * real
    return x / (x.square().sum(1, keepdim=True) / count + 1e-5).sqrt()


class Fewer(nn.Module):
    """Two convolutions of stride 2 over frames: (B, T, F) -> (B, ceil(T / 4), W)."""

    def __init__(self, bands: int, width: int) -> None:
        super().__init__()
        sizes = [bands, *[width] * HALVINGS]
        self.layers = nn.ModuleList(nn.Conv1d(a, b, KERNEL, stride=2, padding=KERNEL // 2) for a, b in pairwise(sizes))

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        for layer in self.layers:
            x = layer((x * mask[..., None]).transpose(1, 2)).transpose(1, 2).relu()
            mask = mask[:, ::2]
        return x, mask


class Hearing(nn.Module):
    """What differs between the families: frames (B, L, W), mask (B, L) bool -> states (B, L, width)."""

    width: int


class AudioStudent(Student):
    """A family whose networks follow from their size and the kind alone, at any rate of the waves."""

    def outlines(self, size: str, known: Known) -> Iterator[Outline]:
        yield Outline(self.build(size, known.reading(Waves.of([np.zeros(1)], 8000)), None))


class AudioNetwork(Network):
    """Waves -> states of 40 ms frames, and what the task's kind makes of them."""

    offers = frozenset({"states", "logits"})
    optimiser = Optimiser(lr=2e-3, weight_decay=0.0)  # our choice

    def __init__(self, body: Hearing, inner: int, task: Task) -> None:
        super().__init__()
        self.goal, self.rate, self.width = task.goal, heard(task).rate, body.width
        self.bands, self.fewer, self.body = LogMel(self.rate), Fewer(BANDS, inner), body
        self.classifier = self.goal.head(body.width)

    def encode(self, inputs: Sequence[Any], max_length: int | None = None) -> WaveArrays:
        """`max_length` is about texts."""
        waves = waves_of(inputs, self.rate)
        return WaveArrays(waves, -(-self.bands.frames(waves.sizes()) // 2**HALVINGS))

    def states(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """(B, L, width), and the mask (B, L) bool."""
        frames, mask = self.fewer(*self.bands(batch["waves"], batch["samples"]))
        return self.body(frames, mask), mask

    def forward(self, batch: dict[str, Tensor], want: frozenset[str]) -> Signals:
        states, mask = self.states(batch)
        return self.goal.complete(Signals(states=states, mask=mask.long()), self.classifier, batch)


def heard(task: Task) -> Waves:
    """What the task trains on. RequestError: no sound."""
    inputs = task.examples("supervised").inputs
    if not isinstance(inputs, Waves):
        raise RequestError(f"the task '{task.name}' is not about sound: choose a student that reads text or images")
    return inputs


def length_of(waves: Waves) -> float:
    """Hours of sound."""
    return float(np.sum(waves.sizes())) / waves.rate / 3600
