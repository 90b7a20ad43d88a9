"""Encoder-decoder networks of transformers that make texts: what trains, what teaches, and ready models.

A training input is its source pieces and, told, its target's: logits are of each target piece and the end after the
true ones before it. An input without a target is answered: greedily, as the library generates.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.data.tokens import TokenArrays
from bench.errors import RequestError
from bench.inputs import IGNORED, flat, padded, texts
from bench.kind import Kind
from bench.network import Encoded, Network
from bench.networks.transformer import tokenise
from bench.optimiser import Optimiser
from bench.scoring.scores import Ragged
from bench.signals import Signals

LONGEST = 128  # pieces; a guard against stray documents


class Paired:
    """Source pieces, and the target pieces of each input with the end behind them."""

    def __init__(self, source: TokenArrays, targets: Ragged) -> None:
        self.source, self.targets = source, targets
        self.lengths = source.lengths + targets.lengths

    @property
    def axes(self) -> dict[str, np.ndarray]:
        """What there is of each input is as long as its target."""
        return {"L": self.targets.lengths.astype(np.int64)}

    def batch(self, rows: np.ndarray) -> dict[str, Tensor]:
        """As of the source, and `targets` (B, L), IGNORED behind the shorter ones."""
        targets = padded(self.targets[flat(rows)], IGNORED)
        return self.source.batch(rows) | {"targets": torch.from_numpy(targets.astype(np.int64))}


class Translator(Network):
    """A model of transformers with the head of a language, and the tokenizer of both sides."""

    offers = frozenset({"logits"})
    optimiser = Optimiser(lr=2e-3, weight_decay=0.0)  # our choice, of models of this size

    def __init__(self, model: Any, tokenizer: Any, limit: int, goal: Kind) -> None:
        super().__init__()
        self.model, self.tokenizer, self.limit, self.goal = model, tokenizer, limit, goal
        self.width = model.config.d_model

    def embedding_parameters(self) -> int:
        """A table that is the output layer too is read whole."""
        shared = self.model.get_output_embeddings().weight
        tables = {p for m in self.modules() if isinstance(m, nn.Embedding) for p in m.parameters(False)}
        return sum(p.numel() for p in tables if p is not shared)

    def encode(self, inputs: Sequence[Any], max_length: int | None = None) -> Encoded:
        return tokenise(self.tokenizer, texts(inputs), min(max_length or self.limit, self.limit))

    def encode_told(self, inputs: Sequence[Any], answers: Any, max_length: int | None = None) -> Encoded:
        """`answers`: UTF-8 bytes, Ragged."""
        limit = min(max_length or self.limit, self.limit)
        found = self.tokenizer(text_target=[text_of(row) for row in answers], truncation=True, max_length=limit)
        return Paired(tokenise(self.tokenizer, texts(inputs), limit), Ragged.of(found["input_ids"], np.int64))

    def forward(self, batch: dict[str, Tensor], want: frozenset[str]) -> Signals:
        given = {name: batch[name] for name in ("input_ids", "attention_mask")}
        if "targets" not in batch:
            return self.answer(given)
        targets = batch["targets"]
        logits = self.model(**given, decoder_input_ids=self.before(targets)).logits
        return Signals(logits=logits, targets=targets, mask=(targets != IGNORED).long())

    def before(self, targets: Tensor) -> Tensor:
        """(B, L) the piece before each, from the model's own start on."""
        config = self.model.config
        shifted = targets.roll(1, 1).masked_fill(targets.roll(1, 1) == IGNORED, config.pad_token_id)
        shifted[:, 0] = config.decoder_start_token_id
        return shifted

    def answer(self, given: dict[str, Tensor]) -> Signals:
        """Logits of the pieces that were made, (B, L', C), and their text in bytes."""
        longest = min(self.limit, 2 * given["input_ids"].shape[1] + 8)
        found = self.model.generate(
            **given, num_beams=1, do_sample=False, max_new_tokens=longest, output_logits=True,
            return_dict_in_generate=True,
        )  # fmt: skip
        return Signals(logits=torch.stack(found.logits, 1), generated=self.spelt(found.sequences))

    def spelt(self, pieces: Tensor) -> Tensor:
        """Pieces (B, L) as text: (B, M) bytes."""
        spoken = self.tokenizer.batch_decode(pieces, skip_special_tokens=True)
        rows = Ragged.of([np.frombuffer(text.strip().encode(), np.uint8) for text in spoken], np.int64)
        return torch.from_numpy(padded(rows, IGNORED)).to(pieces.device)


def text_of(row: np.ndarray) -> str:
    """The text of UTF-8 bytes."""
    return bytes(row.astype(np.uint8)).decode()


def load(path: Path, goal: Kind) -> Translator:
    """A sequence-to-sequence model from a folder. RequestError: it cannot be loaded, as its tokenizer needs a
    package."""
    import transformers
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
        model = transformers.AutoModelForSeq2SeqLM.from_pretrained(
            path, use_safetensors=True, local_files_only=True, trust_remote_code=False, dtype=torch.float32
        )
    except Exception as error:  # a broken folder fails in many ways inside the library
        reason = f"{type(error).__name__}: {str(error)[:200]}"
        raise RequestError(f"cannot load a sequence-to-sequence model from {path}: {reason}") from error
    limit = min(tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", LONGEST), LONGEST)
    return Translator(model, tokenizer, limit, goal)
