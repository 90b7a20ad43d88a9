"""Models of transformers that read images and texts: how inputs are made ready, and which network each becomes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from bench.data.images import ImageArrays, Images
from bench.data.tokens import TokenArrays
from bench.errors import RequestError
from bench.inputs import Texts
from bench.kind import Kind
from bench.network import Encoded, Network
from bench.networks.crossed import CrossEncoder
from bench.networks.places import check
from bench.networks.towers import Towers
from bench.networks.transformer import tokenise

CROSS = "ForImageAndTextRetrieval"  # how the library calls ViLT and BridgeTower with a head for pairs


@dataclass(frozen=True)
class Seen:
    """How a model has its images: mean and deviation (3,) of pixels from 0 to 1, and (height, width)."""

    mean: Tensor
    deviation: Tensor
    size: tuple[int, int]

    @classmethod
    def of(cls, path: Path, size: Any) -> Seen:
        """As the folder's image processor says. RequestError: it has none."""
        for name in ("preprocessor_config.json", "processor_config.json"):
            if (path / name).is_file():
                found = json.loads((path / name).read_text(encoding="utf-8"))
                found = found.get("image_processor", found)
                plain = not found.get("do_normalize", True)
                mean, deviation = ((0.0,) * 3, (1.0,) * 3) if plain else (found["image_mean"], found["image_std"])
                sides = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
                return cls(torch.tensor(mean), torch.tensor(deviation), sides)
        raise RequestError(f"{path} has no preprocessor_config.json, which says how pixels are normalised")


class LibraryTowers(Towers):
    """A CLIP-like or SigLIP-like model of transformers. Images of another size than its own are resized, bicubic."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, model: Any, tokenizer: Any, seen: Seen) -> None:
        super().__init__()
        self.model, self.tokenizer, self.size = model, tokenizer, seen.size
        self.bias = getattr(model, "logit_bias", 0)
        self.register_buffer("mean", seen.mean)
        self.register_buffer("deviation", seen.deviation)
        config = model.config.text_config
        self.limit = config.max_position_embeddings
        self.padded = "siglip" in model.config.model_type  # which was trained on padding, and reads its last place
        projected = getattr(model.config, "projection_dim", None)
        self.width = 2 * (getattr(config, "projection_size", None) or projected or config.hidden_size)

    @property
    def scale(self) -> Tensor:
        found: Tensor = self.model.logit_scale.exp()
        return found

    def encode_images(self, images: Images) -> Encoded:
        return ImageArrays(images, self.mean, self.deviation)

    def encode_texts(self, given: Any, max_length: int | None) -> Encoded:
        read = tokenise(self.tokenizer, given, min(max_length or self.limit, self.limit))
        return Filled(read, self.limit) if self.padded else read

    def see(self, batch: dict[str, Tensor]) -> Tensor:
        return pooled(self.model.get_image_features(pixel_values=resized(batch["pixels"], self.size)))

    def read(self, batch: dict[str, Tensor]) -> Tensor:
        mask = {} if self.padded else {"attention_mask": batch["attention_mask"]}
        return pooled(self.model.get_text_features(input_ids=batch["input_ids"], **mask))


class Filled:
    """Token ids that are padded to one length, and all of them read."""

    def __init__(self, read: TokenArrays, length: int) -> None:
        self.read, self.length = read, length
        self.lengths = np.full(len(read), length, np.int64)
        self.axes: dict[str, np.ndarray] = {}

    def batch(self, rows: np.ndarray) -> dict[str, Tensor]:
        ids = self.read.batch(rows)["input_ids"]
        return {"input_ids": functional.pad(ids, (0, self.length - ids.shape[1]), value=self.read.pad)}


def resized(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """(I, 3, H, W) at a model's own size; of that size as they are."""
    if tuple(pixels.shape[2:]) == size:
        return pixels
    return functional.interpolate(pixels, size, mode="bicubic", antialias=True)


def pooled(found: Any) -> Tensor:
    """The vectors among what the library's feature functions return: a tensor until version 4."""
    tensor: Tensor = found if isinstance(found, Tensor) else found.pooler_output
    return tensor


class LibraryTokens:
    """A tokenizer of the library as a reader of texts."""

    def __init__(self, tokenizer: Any, limit: int) -> None:
        self.tokenizer, self.limit = tokenizer, limit

    def read(self, given: Texts, max_length: int) -> TokenArrays:
        return tokenise(self.tokenizer, given, min(max_length, self.limit))


def load(path: Path, goal: Kind) -> Network:
    """A model from a folder, with its safetensors weights. RequestError: it compares no images with texts."""
    check(path)
    import transformers
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        config = transformers.AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False)
        named = (config.architectures or [""])[0]
        cls: Any = getattr(transformers, named, None)
        if not named.endswith(CROSS) and not hasattr(cls, "get_image_features"):
            raise RequestError(f"{path} holds a {named or config.model_type}, which does not compare images with texts")
        model = cls.from_pretrained(
            path, use_safetensors=True, local_files_only=True, trust_remote_code=False, dtype=torch.float32
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    except RequestError:
        raise
    except Exception as error:  # a broken folder fails in many ways inside the library
        raise RequestError(f"cannot load a model from {path}: {type(error).__name__}: {str(error)[:200]}") from error
    if named.endswith(CROSS):
        return crossed(path, model, tokenizer)
    return LibraryTowers(model, tokenizer, Seen.of(path, config.vision_config.image_size))


def crossed(path: Path, model: Any, tokenizer: Any) -> CrossEncoder:
    config = model.config
    seen = Seen.of(path, getattr(config, "image_size", None) or config.vision_config.image_size)
    limit = getattr(config, "max_position_embeddings", None) or config.text_config.max_position_embeddings - 2
    network = CrossEncoder(model, LibraryTokens(tokenizer, limit), limit, seen.size)
    network.tokenizer = tokenizer
    return network.looking(seen.mean, seen.deviation)
