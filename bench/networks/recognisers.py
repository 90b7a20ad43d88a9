"""CTC models of transformers that hear waves, as teachers: Wav2Vec2ForCTC, HubertForCTC and their like, from a folder.

A model has an alphabet of its own. What it says of the task's classes is taken: a letter in any case is that class, its
padding the blank, `|` the space. All others (unknown, start, end) are left out, so probabilities sum to 1 over the
task's classes again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.data.audio import WaveArrays, waves_of
from bench.errors import RequestError
from bench.kind import Kind
from bench.network import Network
from bench.signals import Signals


class Recogniser(Network):
    """A model with a CTC head. Waves are normalised as its feature extractor declares, one by one.

    Padding is masked where the model reads a mask; models that declare none (those of `group` normalisation) were
    trained on zeros behind the shorter waves of a batch, and hear them.
    """

    offers = frozenset({"states", "logits"})

    def __init__(self, model: Any, columns: Sequence[Sequence[int]], hears: dict[str, Any], goal: Kind) -> None:
        """`columns`: for each class of the task those of the model; `hears`: rate, normalises, masks."""
        super().__init__()
        self.model, self.columns, self.hears, self.goal = model, [list(c) for c in columns], hears, goal
        self.rate, self.width = int(hears["sampling_rate"]), model.config.hidden_size

    def encode(self, inputs: Sequence[Any], max_length: int | None = None) -> WaveArrays:
        waves = waves_of(inputs, self.rate)
        return WaveArrays(waves, self.frames(torch.from_numpy(waves.sizes())).numpy())

    def frames(self, samples: Tensor) -> Tensor:
        found: Tensor = self.model._get_feat_extract_output_lengths(samples).clamp(min=1)
        return found

    def forward(self, batch: dict[str, Tensor], want: frozenset[str]) -> Signals:
        samples, shortest = batch["samples"], self.shortest()
        waves = nn.functional.pad(batch["waves"], (0, max(0, shortest - batch["waves"].shape[1])))
        real = torch.arange(waves.shape[1], device=waves.device) < samples[:, None]
        given = standardised(waves, real) if self.hears.get("do_normalize", True) else waves
        masked = {"attention_mask": real.long()} if self.hears.get("return_attention_mask") else {}
        out = self.model(given, **masked, output_hidden_states="states" in want)
        mask = torch.arange(out.logits.shape[1], device=waves.device) < self.frames(samples)[:, None]
        states = out.hidden_states[-1] if "states" in want else None
        return Signals(states=states, logits=self.of_task(out.logits), mask=mask.long())

    def shortest(self) -> int:
        """Samples that make one frame."""
        size = 1
        for kernel, stride in zip(
            self.model.config.conv_kernel[::-1], self.model.config.conv_stride[::-1], strict=True
        ):
            size = (size - 1) * stride + kernel
        return size

    def of_task(self, logits: Tensor) -> Tensor:
        """(B, L, V) -> (B, L, C): of columns that are one class the probabilities are added."""
        return torch.stack([logits[..., c].logsumexp(-1) for c in self.columns], -1)


def standardised(waves: Tensor, real: Tensor) -> Tensor:
    """Mean 0 and variance 1 of each wave over its own samples, 0 behind them, as Wav2Vec2FeatureExtractor does."""
    count = real.sum(1, keepdim=True)
    centred = (waves - (waves * real).sum(1, keepdim=True) / count) * real
    return centred / (centred.square().sum(1, keepdim=True) / count + 1e-7).sqrt()


def load(path: Path, goal: Kind) -> Recogniser:
    """A model from a folder. RequestError: it has no CTC head, or lacks a letter of the task."""
    import transformers
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        hears = json.loads((path / "preprocessor_config.json").read_text(encoding="utf-8"))
        vocabulary = json.loads((path / "vocab.json").read_text(encoding="utf-8"))
        model = transformers.AutoModelForCTC.from_pretrained(
            path, use_safetensors=True, local_files_only=True, trust_remote_code=False, dtype=torch.float32
        )
    except Exception as error:  # a broken folder fails in many ways inside the library
        reason = f"{type(error).__name__}: {str(error)[:200]}"
        raise RequestError(f"cannot load a CTC model from {path}: {reason}") from error
    if not any(str(name).endswith("ForCTC") for name in model.config.architectures or ()):
        raise RequestError(f"{path} has no CTC head: it cannot teach before it is fine-tuned")
    return Recogniser(model, columns(vocabulary, model.config.pad_token_id, goal, path), hears, goal)


def columns(vocabulary: dict[str, int], blank: int, goal: Kind, path: Path) -> list[list[int]]:
    """For each class the model's columns. RequestError: a class has none."""
    spelt: dict[str, list[int]] = {}
    for token, number in vocabulary.items():
        spelt.setdefault(" " if token == "|" else token.lower(), []).append(number)
    found = [[blank], *(spelt.get(name, []) for name in goal.classes[1:])]
    if missing := [name for name, own in zip(goal.classes, found, strict=True) if not own]:
        raise RequestError(f"{path} does not know {', '.join(map(repr, missing))}, which the task's texts hold")
    return found
