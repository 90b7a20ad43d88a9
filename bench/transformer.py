"""Any transformers encoder as a `Network`: backbone, then the modules that turn its tokens into an embedding."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.errors import RequestError
from bench.inputs import TokenArrays
from bench.models import check
from bench.network import Network
from bench.signals import Signals

POOLINGS = ("mean", "cls", "max", "pooler")


class Pooler(nn.Module):
    """The backbone's own pooler output (CLS -> Linear -> tanh in BERT), as a sentence embedding."""

    def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        return features | {"sentence_embedding": features["pooler_output"]}


class TransformerNetwork(Network):
    """Backbone (a transformers model) and head (sentence-transformers modules: pooling, dense, normalisation)."""

    offers = frozenset({"embedding", "hidden"})

    def __init__(self, backbone: Any, head: Sequence[nn.Module], tokenizer: Any, max_length: int, width: int) -> None:
        super().__init__()
        self.backbone, self.head = backbone, nn.ModuleList(head)
        self.tokenizer, self.max_length, self.width = tokenizer, max_length, width

    @property
    def word_embeddings(self) -> nn.Embedding:
        """The backbone's token table, for students that borrow it."""
        return self.backbone.get_input_embeddings()

    def __getstate__(self) -> dict[str, Any]:
        """To be sent to another process: without the closures that transformers hooks in for hidden states."""
        unhook(self.backbone)
        return self.__dict__.copy()

    def encode(self, inputs: Sequence[str], max_length: int | None = None) -> TokenArrays:
        limit = min(max_length or self.max_length, self.max_length)
        tokens = self.tokenizer(list(inputs), truncation=True, max_length=limit, padding=False)["input_ids"]
        return TokenArrays(tokens, self.tokenizer.pad_token_id or 0)

    def forward(self, batch: dict[str, Tensor], want: frozenset[str]) -> Signals:
        out = self.backbone(**batch, output_hidden_states="hidden" in want)
        features = {"token_embeddings": out.last_hidden_state, "attention_mask": batch["attention_mask"]}
        if getattr(out, "pooler_output", None) is not None:
            features["pooler_output"] = out.pooler_output
        if "embedding" in want:
            for module in self.head:
                features = module(features)
        hidden = tuple(out.hidden_states) if "hidden" in want else ()
        return Signals(embedding=features.get("sentence_embedding"), hidden=hidden, mask=batch["attention_mask"])


def unhook(backbone: Any) -> None:
    """Remove transformers' output-capturing hooks; it installs them again when hidden states are next asked for."""
    for module in backbone.modules():
        for key, hook in list(module._forward_hooks.items()):
            if getattr(hook, "__name__", "") == "output_capturing_hook":
                del module._forward_hooks[key]
        if getattr(module, "_output_capturing_hooks_installed", False):
            module._output_capturing_hooks_installed = False


def load(path: Path, pooling: str = "") -> TransformerNetwork:
    """A sentence-transformers or plain transformers model from a local folder, its pooling respected.

    A plain transformers model declares no pooling: the mean is taken, unless `pooling` names another.
    RequestError: not a text encoder, no safetensors weights, an unknown pooling.
    """
    if pooling and pooling not in POOLINGS:
        raise RequestError(f"unknown pooling '{pooling}': there are {', '.join(POOLINGS)}")
    check(path)
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        model = SentenceTransformer(
            str(path), device="cpu", model_kwargs={"use_safetensors": True}, local_files_only=True
        )
    except Exception as error:  # a broken folder fails in many ways inside the libraries
        raise RequestError(f"cannot load a model from {path}: {type(error).__name__}: {str(error)[:200]}") from error
    return _from_modules(model, pooling, path)


def _from_modules(model: Any, pooling: str, path: Path) -> TransformerNetwork:
    first, *head = list(model)
    backbone = getattr(first, "auto_model", None)
    if backbone is None or getattr(model, "tokenizer", None) is None:
        raise RequestError(f"{path} is not a text encoder with a transformers backbone")
    width = model.get_embedding_dimension()
    if pooling:
        width = backbone.config.hidden_size
        head = [make_pooling(pooling, width)]
    limit = model.max_seq_length or min(model.tokenizer.model_max_length, 512)
    return TransformerNetwork(backbone, head, model.tokenizer, limit, width)


def make_pooling(mode: str, width: int) -> nn.Module:
    """A pooling module by name; `width` is the backbone's."""
    if mode == "pooler":
        return Pooler()
    from sentence_transformers.sentence_transformer.modules import Pooling

    return Pooling(width, pooling_mode=mode)


def fingerprint(network: nn.Module) -> str:
    """Content key of a network: its weights and buffers, byte by byte, and the modules they sit in."""
    digest = hashlib.sha256(str(network).encode())
    for name, tensor in network.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy())
    tokenizer = getattr(network, "tokenizer", None)
    if tokenizer is not None:
        rules = json.loads(tokenizer.backend_tokenizer.to_str())
        rules = {k: v for k, v in rules.items() if k not in ("truncation", "padding")}  # these change with every call
        digest.update(json.dumps(rules, sort_keys=True).encode())
    return digest.hexdigest()
