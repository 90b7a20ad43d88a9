"""Networks that score a query and a document together, and give no vector of either: cross-encoders.

    [CLS] query [SEP] document [SEP] -> encoder -> the model's own head -> one logit

Nogueira & Cho 2019, arXiv:1901.04085; models of transformers for sequence classification with one output, as
`CrossEncoder` of sentence-transformers saves them. A score is the logit: what `CrossEncoder.predict` gives of models
that declare the identity as activation (ms-marco-MiniLM ...), and with `activation_fn=torch.nn.Identity()` of the
others, whose order is the same. Distributions over candidates are made of logits: a sigmoid would flatten them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.errors import RequestError
from bench.inputs import texts
from bench.network import Encoded
from bench.networks import late
from bench.networks.architectures import shape_of
from bench.networks.ranker import Ranker, settings_of
from bench.networks.transformer import run, tokenise
from bench.networks.weights import check_weights
from bench.signals import Signals

HEAD = "ForSequenceClassification"
LONGEST = 512  # tokens of a pair


class CrossEncoder(Ranker):
    """A model with a head for one output. Where that is a linear layer on a pooler (BERT), each layer is scored by the
    same two, of its first token (Sun et al. 2022, LEAD)."""

    def __init__(self, model: Any, tokenizer: Any, max_length: int) -> None:
        super().__init__()
        self.model, self.tokenizer, self.max_length = model, tokenizer, max_length
        self.width, self.shape = model.config.hidden_size, shape_of(model.config)
        self.layered = getattr(self.backbone, "pooler", None) is not None and isinstance(
            getattr(model, "classifier", None), nn.Linear
        )
        self.offers = frozenset({"scores"} | ({"layer_scores"} if self.layered else set()))

    @property
    def backbone(self) -> Any:
        return self.model.base_model

    def encode(self, inputs: Sequence[Any], max_length: int | None = None) -> Encoded:
        """`max_length`: of each text, so twice as many of a pair, the longer text cut first."""
        given = texts(inputs)
        limit = (max_length or self.max_length) * len(given.columns)
        return tokenise(self.tokenizer, given, min(limit, self.max_length))

    def forward(self, batch: dict[str, Tensor], want: frozenset[str]) -> Signals:
        layered = "layer_scores" in want
        out, found = run(self.model, batch, frozenset({"hidden"} if layered else ()))
        if layered:
            pooled = (self.backbone.pooler(states) for states in out.hidden_states)
            found["layer_scores"] = tuple(self.model.classifier(vector) for vector in pooled)
        return Signals(scores=out.logits, layer_scores=found.get("layer_scores"))


def load(path: Path, new_head: bool = False) -> Ranker | None:
    """The model in a folder, where it scores pairs; None: it is an encoder, or none at all.

    `new_head`: an encoder becomes a cross-encoder, which is to be taught. RequestError: its head has several outputs,
    or it cannot be loaded.
    """
    config = settings_of(path / "config.json")
    named = str((config.get("architectures") or [""])[0])
    if new_head or named.endswith(HEAD):
        return crossed(path, new_head)
    return late.load(path, named)


def crossed(path: Path, new_head: bool) -> CrossEncoder:
    import transformers
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()  # that a new head is new is what was asked for
    size = {"num_labels": 1} if new_head else {}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
        model = transformers.AutoModelForSequenceClassification.from_pretrained(
            path, use_safetensors=True, local_files_only=True, trust_remote_code=False, dtype=torch.float32, **size
        )
    except Exception as error:  # a broken folder fails in many ways inside the library
        reason = f"{type(error).__name__}: {str(error)[:200]}"
        raise RequestError(f"cannot load a cross-encoder from {path}: {reason}") from error
    if model.config.num_labels != 1:
        raise RequestError(
            f"{path} gives {model.config.num_labels} outputs of a text, and a ranker gives one score; "
            "#mean after its name reads it as an encoder"
        )
    whole, unread = (model.base_model, ("pooler.",)) if new_head else (model, ())
    check_weights(path, whole, model.config.num_hidden_layers, unread)
    limit = min(tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", LONGEST), LONGEST)
    network = CrossEncoder(model, tokenizer, limit)
    network.origin = "encoder" if new_head else "ready"
    return network
