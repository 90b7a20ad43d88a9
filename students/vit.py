"""Vision transformers: ViT, and with `distillation` DeiT, which has a second token and head for the teacher.

    tokens    [class; (distillation); N patches] + positions -> layers -> LayerNorm
    z         = W_c h_class        z_dist = W_d h_distillation
    training  logits z and, apart, distillation_logits z_dist        else    logits (z + z_dist) / 2

Touvron et al., "Training data-efficient image transformers & distillation through attention", ICML 2021,
arXiv:2012.12877; code facebookresearch/deit. The average is of logits, as in the code; the paper says softmax. The
layers are transformers' own. Its DeiT starts class token, distillation token and positions at 0; here they start as in
the paper's code, N(0, 0.02) cut off at 2. Stochastic depth is off unless asked for; theirs is `--set
vit.drop_path=0.1`.
Patches are of 16 pixels, and of 4 where the images are of 64 or fewer: 4 patches would be all of a CIFAR image.
"""

from __future__ import annotations

import re
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from bench.data.images import ImageNetwork, training_images
from bench.errors import RequestError
from bench.network import Network, Shape
from bench.networks import attention
from bench.networks.convolutional import ImageStudent
from bench.optimiser import Optimiser
from bench.signals import Signals
from bench.task import Task, later

NAMED = {"tiny": "12x192x3", "small": "12x384x6", "base": "12x768x12"}  # DeiT, table 1
NUMBER = "([1-9][0-9]{0,3})"
SIZE = re.compile(f"{NUMBER}x{NUMBER}(?:x{NUMBER})?")
HEAD = 64  # width of a head in all of DeiT's sizes
SMALL = 64  # pixels; images of at most this have patches of 4

# DeiT, table 9: 5e-4 for 512 images an update, 5 of 300 epochs of warm-up, no clipping. The rate is not scaled down to
# smaller batches, which take fewer epochs here.
RECIPE = Optimiser(lr=5e-4, betas=(0.9, 0.999), weight_decay=0.05, warmup=5 / 300, epochs=1, schedule="cosine", clip=0)


class ViT(ImageStudent):
    offers = frozenset({"embedding", "hidden", "attention_scores", "queries", "keys", "values", "logits.distilled"})
    reads = "image"
    sizes = "tiny, small, base or LAYERSxWIDTH[xHEADS], as in 6x192"
    default = "tiny"

    @dataclass(frozen=True)
    class Settings:
        distillation: bool = False  # a second token and head, which learn from the teacher (DeiT)
        # of an image's residual branches, left out of the last layer in training; of earlier ones in proportion
        drop_path: Annotated[float, Field(ge=0, lt=1)] = later(0.0)

    settings: Settings

    @classmethod
    def check(cls, size: str) -> str:
        size = NAMED.get(size or cls.default, size)
        match = SIZE.fullmatch(size)
        if not match:
            raise RequestError(f"'{size}' is not a size of vit: write vit:{cls.sizes}")
        layers, width, heads = numbers(size)
        if width % heads:
            raise RequestError(f"'vit:{size}' is no size: a width of {width} does not divide into {heads} heads")
        size = f"{layers}x{width}x{heads}"
        names = {shape: name for name, shape in NAMED.items()}
        return names.get(size, size if heads != default_heads(width) else f"{layers}x{width}")

    def demands(self) -> frozenset[str]:
        return frozenset({"logits.distilled"} if self.settings.distillation else ())

    def build(self, size: str, task: Task, teacher: Network | None) -> ViTNetwork:
        network = ViTNetwork(*numbers(NAMED.get(size, size)), self.settings.distillation, task)
        if self.settings.drop_path:
            layers = network.backbone.layers
            for at, layer in enumerate(layers):  # before each sum with the residual, where dropout stands
                layer.dropout = DropPath(self.settings.drop_path * at / max(1, len(layers) - 1))
        return network


def numbers(size: str) -> tuple[int, int, int]:
    """(layers, width, heads) of LAYERSxWIDTH[xHEADS]."""
    layers, width, heads = SIZE.fullmatch(size).groups()
    return int(layers), int(width), int(heads) if heads else default_heads(int(width))


def default_heads(width: int) -> int:
    return max(1, width // HEAD)


class DropPath(nn.Module):
    """Stochastic depth (Huang et al. 2016): in training a branch (B, ...) is 0 for some inputs, and scaled for others.

    The mean stays what it is without.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.rate:
            return x
        kept = torch.rand(len(x), *[1] * (x.dim() - 1), device=x.device) >= self.rate
        return x * kept / (1 - self.rate)


class ViTNetwork(ImageNetwork):
    """`embedding` is the class token after the last normalisation; `hidden` is before it."""

    optimiser = RECIPE

    def __init__(self, layers: int, width: int, heads: int, distillation: bool, task: Task) -> None:
        super().__init__(task)
        from transformers import DeiTConfig, DeiTModel, ViTConfig, ViTModel

        height, across = training_images(task).size
        patch = 4 if max(height, across) <= SMALL else 16
        make: Any = DeiTModel if distillation else ViTModel
        config: Any = DeiTConfig if distillation else ViTConfig
        self.backbone: Any = make(
            config(
                image_size=(height, across), patch_size=patch, hidden_size=width, intermediate_size=4 * width,
                num_hidden_layers=layers, num_attention_heads=heads, layer_norm_eps=1e-6,
            ),
            add_pooling_layer=False,
        )  # fmt: skip
        self.heads = nn.ModuleList(self.goal.head(width) for _ in range(1 + distillation))
        self.width, self.shape = width, Shape(layers, heads, (width,) * (layers + 1))
        self.offers = ViT.offers if distillation else ViT.offers - {"logits.distilled"}
        self._start()

    def _start(self) -> None:
        embeddings = self.backbone.embeddings
        for name in ("cls_token", "distillation_token", "position_embeddings"):
            if hasattr(embeddings, name):
                nn.init.trunc_normal_(getattr(embeddings, name), std=0.02)
        for name, parameter in self.heads.named_parameters():
            if name.endswith("weight"):
                nn.init.trunc_normal_(parameter, std=0.02)
            else:
                nn.init.zeros_(parameter)

    def __getstate__(self) -> dict[str, Any]:
        from bench.networks.transformer import unhook

        unhook(self.backbone)
        return self.__dict__.copy()

    def forward(self, batch: dict[str, Tensor], want: frozenset[str]) -> Signals:
        taps: AbstractContextManager[list[attention.Tap]] = nullcontext([])
        if want & attention.WANTED:
            taps = attention.tapped(self.backbone)
        with taps as noted:
            out = self.backbone(batch["pixels"], output_hidden_states="hidden" in want)
        tokens = out.last_hidden_state  # (B, L, D)
        logits = [head(tokens[:, i]) for i, head in enumerate(self.heads)]
        found: dict[str, Any] = attention.signals(noted, want, None)
        if "hidden" in want:
            found["hidden"] = tuple(out.hidden_states)
        if self.training or "logits.distilled" in want:
            found["logits.distilled"] = logits[1] if len(logits) > 1 else None
        return Signals(
            found,
            logits=logits[0] if self.training else torch.stack(logits).mean(0),
            embedding=tokens[:, 0],
            mask=tokens.new_ones(tokens.shape[:2], dtype=torch.int64),
        )
