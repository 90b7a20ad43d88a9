"""Networks that read an image and a text together and give one score: ViLT, and two-stream ones such as BridgeTower.

Kim et al. 2021, ViLT, arXiv:2102.03334; Xu et al. 2022, BridgeTower, arXiv:2206.08657, which is METER with bridges. A
score is ViLT's rank output, and of a head with two classes (no match, match) the difference of its logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.data.images import ImageArrays
from bench.data.pairs import PairArrays, Pairs
from bench.errors import RequestError
from bench.inputs import pool
from bench.network import Encoded, Network, Shape
from bench.signals import Signals


class CrossEncoder(Network):
    """Reads pairs alone: no vector of an image or a text can be kept. `embedding` (P, D) is what the head reads."""

    offers = frozenset({"embedding", "logits"})
    mean: Tensor
    deviation: Tensor

    def __init__(self, model: Any, tokens: Any, limit: int, size: tuple[int, int]) -> None:
        """`tokens`: has `read(texts, max_length)`; `limit`: tokens of a text; `size`: (height, width) that it reads."""
        super().__init__()
        self.model, self.tokens, self.limit, self.size = model, tokens, limit, size
        self.width = head_of(model)[0].in_features
        layers = getattr(model.config, "num_hidden_layers", 0)
        self.shape = Shape(layers, getattr(model.config, "num_attention_heads", 0))
        self.patches = patches(model.config, size)

    def looking(self, mean: Tensor, deviation: Tensor) -> CrossEncoder:
        """Itself, with what pixels are normalised by, (3,) of values from 0 to 1."""
        self.register_buffer("mean", mean.float())
        self.register_buffer("deviation", deviation.float())
        return self

    @property
    def index_width(self) -> int:
        return 0

    def encode(self, inputs: Sequence[Any], max_length: int | None = None) -> Encoded:
        """RequestError: no pairs."""
        given = pool(inputs)
        if not isinstance(given, Pairs):
            raise RequestError("this network reads an image and a text together, and nothing else")
        read = self.tokens.read(given.texts, min(max_length or self.limit, self.limit))
        return PairArrays(given, ImageArrays(given.images, self.mean, self.deviation), read, self.patches)

    def forward(self, batch: dict[str, Tensor], want: frozenset[str]) -> Signals:
        image, text = batch["image_of"], batch["text_of"]
        words = {name: batch[name][text] for name in ("input_ids", "attention_mask")}
        pixels = batch["pixels"]
        if tuple(pixels.shape[2:]) != self.size:
            pixels = functional.interpolate(pixels, self.size, mode="bicubic", antialias=True)
        head, body = head_of(self.model)[1], self.model.base_model
        found = body(**words, **self.seen(body, pixels, image)).pooler_output
        logits = head(found)
        return Signals(logits=logits if logits.shape[1] == 1 else logits[:, 1:] - logits[:, :1], embedding=found)

    def seen(self, body: Any, pixels: Tensor, image: Tensor) -> dict[str, Tensor]:
        """What the body reads of the images of each pair.

        ViLT's patches are embedded here, once an image: the library shuffles them, which changes nothing but the order
        of a sum, and the random numbers.
        """
        layer = getattr(body.embeddings, "patch_embeddings", None) if hasattr(body, "embeddings") else None
        if layer is None:
            return {"pixel_values": pixels[image]}
        embedded = embed(body.embeddings, layer(pixels))[image]
        return {"image_embeds": embedded, "pixel_mask": torch.ones(embedded.shape[:2], device=pixels.device)}


def embed(embeddings: Any, x: Tensor) -> Tensor:
    """ViLT's patches (I, D, Y, X) with the class token before them and positions on them, (I, 1 + Y X, D)."""
    first, places = embeddings.position_embeddings[:, :1], embeddings.position_embeddings[:, 1:]
    side = round(places.shape[1] ** 0.5)
    grid = places.transpose(1, 2).reshape(1, -1, side, side)
    if (side, side) != tuple(x.shape[2:]):
        grid = functional.interpolate(grid, x.shape[2:], mode="bilinear", align_corners=True)
    token = (embeddings.cls_token + first).expand(len(x), -1, -1)
    found: Tensor = embeddings.dropout(torch.cat([token, (x + grid).flatten(2).transpose(1, 2)], 1))
    return found


def head_of(model: Any) -> tuple[nn.Linear, nn.Module]:
    """The linear layer that gives the scores, and the head that it is in."""
    head = getattr(model, "rank_output", None) or model.itm_score
    return next(m for m in head.modules() if isinstance(m, nn.Linear)), head


def patches(config: Any, size: tuple[int, int]) -> int:
    """Tokens that an image is."""
    patch = getattr(config, "patch_size", None) or config.vision_config.patch_size
    return 1 + (size[0] // patch) * (size[1] // patch)
