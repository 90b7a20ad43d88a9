"""A recogniser of text lines as an ONNX file, as a teacher of scene text: PP-OCR, which the package rapidocr ships.

The picture is scaled to the model's height, which keeps the proportions that the task gives it: bilinear, BGR, from -1
to 1, as PaddleOCR's own recogniser reads it. The model gives probabilities (B, L, V) of a blank and of the characters
that its metadata list. A letter in any case is the task's class of that letter, and all others (punctuation,
other scripts) are the blank, as the task leaves them out:

    p(c) = sum of p(v) over the characters v that are c        p(blank) = 1 - sum of p(c)

onnxruntime computes it on the CPU. Its weights are held as numbers too, to be counted; torch's counter of
operations does not see them work, so the record has no FLOPs of it.

Cui et al. 2025, "PaddleOCR 3.0 Technical Report", arXiv:2507.05595 (PP-OCRv5; of version 6 nothing was found);
github.com/RapidAI/RapidOCR.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.data.images import ImageArrays, Images
from bench.errors import RequestError
from bench.kind import Kind
from bench.network import Network
from bench.networks.onnx_sessions import Sessions
from bench.signals import Signals

LEAST = 1e-12  # a probability is no smaller, so that its logarithm is finite


class Model:
    """What the file holds."""

    def __init__(self, path: Path) -> None:
        """ImportError; whatever onnxruntime and onnx raise at a file that is no model of lines."""
        import onnx
        from onnx import numpy_helper

        data = path.read_bytes()
        self.session, self.digest = Sessions(path), hashlib.sha256(data).hexdigest()
        held = (numpy_helper.to_array(w).copy() for w in onnx.load_from_string(data).graph.initializer)
        self.weights = [w for w in held if w.dtype == np.float32]
        (given,) = self.session().get_inputs()
        self.name, (_, channels, self.height, _) = given.name, given.shape
        if channels != 3 or not isinstance(self.height, int):
            raise ValueError(f"it reads {given.shape}")
        self.characters = self.session().get_modelmeta().custom_metadata_map["character"].split("\n")

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        """(B, 3, height, W) -> probabilities (B, L, V)."""
        found: np.ndarray = self.session().run(None, {self.name: pictures})[0]
        return found


class LineReader(Network):
    """Pictures -> logits (B, L, C) of L columns: logarithms of probabilities, which sum to 1."""

    offers = frozenset({"logits"})
    counted = False
    width = 0

    def __init__(self, model: Model, columns: Tensor) -> None:
        """`columns` (V,): of each character the task's class."""
        super().__init__()
        self._model, self.file = model, model.digest
        self.weights = nn.ParameterList(nn.Parameter(torch.from_numpy(w), requires_grad=False) for w in model.weights)
        self.register_buffer("columns", columns)
        self.register_buffer("middle", torch.full((3,), 0.5))

    def encode(self, inputs: Sequence[Any], max_length: int | None = None) -> ImageArrays:
        pictures = inputs if isinstance(inputs, Images) else Images(np.stack(inputs))
        return ImageArrays(pictures, self.middle, self.middle)  # type: ignore[arg-type]

    def forward(self, batch: dict[str, Tensor], want: frozenset[str]) -> Signals:
        pixels = batch["pixels"]
        size = self._model.height, round(pixels.shape[-1] * self._model.height / pixels.shape[-2])
        scaled = F.interpolate(pixels, size, mode="bilinear", align_corners=False).flip(1)
        found = torch.from_numpy(self._model(scaled.cpu().numpy())).to(pixels.device)
        columns: Any = self.columns
        summed = found.new_zeros(*found.shape[:2], int(columns.max()) + 1).index_add_(2, columns, found)
        return Signals(logits=summed.clamp(min=LEAST).log())


def load(path: Path, goal: Kind) -> LineReader:
    """RequestError: onnxruntime or onnx is missing, the file is no such model, or it lacks a letter of the task."""
    try:
        model = Model(path)
    except ImportError as error:
        raise RequestError(f"{error.name} is not installed: pip install 'bench-kd[ocr]'") from error
    except Exception as error:  # a file that is none fails in many ways inside the libraries
        reason = f"{type(error).__name__}: {str(error)[:200]}"
        raise RequestError(f"{path} is no recogniser of text lines: {reason}") from error
    return LineReader(model, columns(model.characters, goal, path))


def columns(characters: Sequence[str], goal: Kind, path: Path) -> Tensor:
    """(V,) class of each of the model's characters: the blank, those listed, and the space. RequestError: a letter of
    the task is none of them."""
    numbers = {name: number for number, name in enumerate(goal.classes)}
    known = ["", *characters, " "]
    if missing := sorted(numbers.keys() - {name.lower() for name in known}):
        raise RequestError(f"{path} does not know {', '.join(map(repr, missing))}, which the task's texts hold")
    return torch.tensor([numbers.get(name.lower(), numbers[""]) for name in known])
