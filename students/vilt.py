"""ViLT of any size: patches of the image and tokens of the text in one transformer, which gives one score.

    [text tokens; class; patches] + positions + what is text and what image -> layers -> pooler -> rank output

Kim, Son, Kim, ICML 2021, arXiv:2102.03334; the layers are those of transformers. `LAYERS` alone copies layers of a ViLT
teacher, spread evenly over it, and all that lies outside of them: 0, 1, 2 ... of as many, 1, 3, 5 of 6. DCD's official
student copies layers 0, 3 and 5 of METER's 6 and leaves the encoders of image and text as they are; ViLT has none.
With a width the weights are random, and words are those of the training captions, unless the teacher has a tokenizer.
Patches are of 8 pixels where images are of at most 64, else of 32.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from pydantic import PositiveFloat

from bench.errors import RequestError
from bench.network import Network
from bench.networks.crossed import CrossEncoder
from bench.networks.words import task_tokens
from bench.optimiser import Optimiser
from bench.student import Student
from bench.students._sides import sides
from bench.students.bert import MATCHES, default_heads
from bench.task import Task

NUMBER = "([1-9][0-9]{0,3})"
SIZE = re.compile(f"{NUMBER}(?:x{NUMBER}(?:x{NUMBER})?)?")
WORDS = 10_000  # of the captions of training; Flickr8k has 8,000
LONGEST = 40  # tokens of a caption: ViLT's and METER's
SMALL = 64  # pixels


class Vilt(Student):
    offers = frozenset({"embedding"})
    kinds = frozenset({"match"})
    reads = "image-text"
    sizes = "LAYERS of a ViLT teacher, or LAYERSxWIDTH[xHEADS], as in 2x128"
    default = "2x128"

    @dataclass(frozen=True)
    class Settings:
        rate: PositiveFloat = 5e-4  # of random weights, as of bert's; our choice
        tuning_rate: PositiveFloat = 1e-4  # of copied layers: ViLT's fine-tuning

    settings: Settings

    @classmethod
    def check(cls, size: str) -> str:
        match = SIZE.fullmatch(size or cls.default)
        if not match:
            raise RequestError(f"'{size}' is not a size of vilt: write vilt:{cls.sizes}")
        width, heads = int(match[2] or 0), int(match[3] or 0)
        if width % (heads or default_heads(width or 64)):
            raise RequestError(f"'vilt:{size}' is no size: the width does not divide into the heads")
        return match.group()

    def build(self, size: str, task: Task, teacher: Network | None) -> Network:
        layers, width, heads = SIZE.fullmatch(size).groups()
        if not width:
            return self._of_teacher(int(layers), teacher)
        return self._new(int(layers), int(width), int(heads or default_heads(int(width))), task, teacher)

    def _of_teacher(self, layers: int, teacher: Network | None) -> Network:
        """Copied layers. RequestError: the teacher is no ViLT, or has fewer."""
        model = getattr(teacher, "model", None)
        if not isinstance(teacher, CrossEncoder) or not hasattr(model, "vilt"):
            raise RequestError(f"vilt:{layers} copies layers of a ViLT teacher, and this one is none: name a width too")
        own = teacher.shape.layers
        if layers > own:
            raise RequestError(f"vilt:{layers} copies {layers} layers of a teacher that has {own}")
        network = copy.deepcopy(teacher).requires_grad_(True)
        encoder: Any = network.model.vilt.encoder
        encoder.layer = torch.nn.ModuleList(encoder.layer[n] for n in MATCHES["gap"](layers, own))
        network.model.config.num_hidden_layers = layers
        network.shape = type(network.shape)(layers, network.shape.heads)
        network.origin, network.optimiser = "teacher layers (gap)", Optimiser(lr=self.settings.tuning_rate)
        return network

    def _new(self, layers: int, width: int, heads: int, task: Task, teacher: Network | None) -> Network:
        from transformers import ViltConfig, ViltForImageAndTextRetrieval

        images, texts = sides(task)
        pixels = images.found
        lender: Any = teacher if isinstance(teacher, CrossEncoder) else None
        tokens: Any = lender.tokens if lender else task_tokens(texts, WORDS)
        size = lender.model.config.vocab_size if lender else tokens.size
        config = ViltConfig(
            vocab_size=size, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
            intermediate_size=4 * width, max_position_embeddings=LONGEST, image_size=max(pixels.size),
            patch_size=8 if max(pixels.size) <= SMALL else 32, hidden_dropout_prob=0.1,
        )  # fmt: skip
        network = CrossEncoder(ViltForImageAndTextRetrieval(config), tokens, LONGEST, pixels.size)
        network.optimiser = Optimiser(lr=self.settings.rate)
        mean, deviation = pixels.statistics()
        return network.looking(torch.from_numpy(mean), torch.from_numpy(np.maximum(deviation, 1 / 255)))
