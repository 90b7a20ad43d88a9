"""A student that reads words, with a head, as one ONNX graph from token ids to logits: read back and compared."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from bench.data.tokens import spaced
from bench.errors import RequestError
from bench.export import onnx
from bench.inputs import Texts, texts
from bench.networks.onnx_sessions import Sessions
from bench.networks.words import WordNetwork

PAIR = ("second_ids", "second_mask")  # of the second text, where the two are read apart
LENGTHS = dict.fromkeys(PAIR, "second_length")


class Graph(nn.Module):
    """Token ids and mask (B, L) -> logits (B, C), or (B, L, C) at each token."""

    def __init__(self, network: WordNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        batch = self.read(onnx.INPUTS, input_ids, attention_mask)
        if self.network.goal.feature == "states":
            batch["words"] = torch.ones_like(input_ids).cumsum(1) - 1  # every place of what was given
        return self.logits(batch)

    def read(self, names: Sequence[str], ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
        known = self.network.tokens
        return dict(zip(names, onnx.filled(ids, mask, known.pad, known.unk), strict=True))

    def logits(self, batch: dict[str, Tensor]) -> Tensor:
        found: Tensor = self.network(batch, frozenset({"logits"})).logits
        return found


class PairGraph(Graph):
    """The same of two texts, each read by itself."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor, second_ids: Tensor, second_mask: Tensor) -> Tensor:  # type: ignore[override]
        return self.logits(self.read(onnx.INPUTS, input_ids, attention_mask) | self.read(PAIR, second_ids, second_mask))


def names_of(network: WordNetwork) -> tuple[str, ...]:
    return (*onnx.INPUTS, *PAIR) if network.pairs else onnx.INPUTS


def program(network: WordNetwork) -> object:
    """The graph as an ONNX program. RequestError: its head is none of a text or of a word."""
    if network.goal.feature not in ("embedding", "states"):
        raise RequestError(f"no graph holds a reader of words for {type(network.goal).__name__.lower()} tasks")
    graph = PairGraph(network) if network.pairs else Graph(network)
    return onnx.traced(graph.eval(), names_of(network), "logits", LENGTHS)[0]


def write(network: WordNetwork, folder: Path) -> Callable[[Texts], Tensor]:
    """model.onnx, tokenizer.json and config.json; what they compute for texts, by onnxruntime and tokenizers alone.
    RequestError: no graph or no tokenizer file holds it."""
    tokenizer, pad = onnx.tokenizer_of(network)
    folder.mkdir(parents=True, exist_ok=True)
    program(network).save(folder / "model.onnx", external_data=False)  # type: ignore[attr-defined]
    tokenizer.save(str(folder / "tokenizer.json"))
    config = onnx.config_of_head(network.goal, names_of(network), network.max_length, LENGTHS) | {"pad_id": pad}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    return reader(folder, names_of(network))


def reader(folder: Path, names: tuple[str, ...]) -> Callable[[Texts], Tensor]:
    session = Sessions(folder / "model.onnx")()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def run(pool: Texts) -> Tensor:
        columns = [spaced(c) if pool.split else list(c) for c in pool.columns]
        read = [tokenizer.encode_batch(column, is_pretokenized=pool.split) for column in columns]
        given = [[getattr(e, part) for e in column] for column in read for part in ("ids", "attention_mask")]
        arrays = {n: np.array(rows, np.int64).reshape(len(pool), -1) for n, rows in zip(names, given, strict=True)}
        return torch.from_numpy(session.run(None, arrays)[0])

    return run


@torch.no_grad()
def difference(network: WordNetwork, read: Callable[[Texts], Tensor], inputs: Texts) -> float:
    """The largest difference of a logit, over the largest logit or 1; all inputs in one batch, and some alone."""
    pool, worst = texts(inputs), 0.0
    for rows in [np.arange(len(pool)), *np.arange(len(pool))[-3:, None]]:
        some = pool.take(rows)
        batch = network.encode(some).batch(np.arange(len(some)))
        expected = network(batch, frozenset({"logits"}))
        apart = (network.goal.select(read(some), batch) - expected.logits).abs()
        if "words" in expected:
            apart = apart[expected.words.bool()]
        worst = float(np.maximum(worst, float(apart.max()) / max(1.0, float(expected.logits.abs().max()))))
    return worst
