"""A student with a head of the transformers library: its folder, or one ONNX graph of it, read back and compared.

A folder is held against the student twice: its tokenizer has to read real inputs as the same tokens, and its model has
to give the same logits for them, at every token that is read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from bench.errors import BenchError, RequestError
from bench.export import onnx
from bench.inputs import Texts, texts
from bench.kind import Kind
from bench.networks.fingerprints import rules_of
from bench.networks.onnx_sessions import Sessions
from bench.networks.transformer import READ, TransformerClassifier, tokenise

INPUTS = tuple(name for name in READ if name != "inputs_embeds")
Run = Callable[[Mapping[str, Tensor]], np.ndarray]  # a batch -> logits


def write(kind: str, network: TransformerClassifier, folder: Path) -> tuple[Any, Run]:
    """Put the student into the folder; (its tokenizer, its model) as they are read back. RequestError: it is pruned, or
    has parts that a method left it, of which the library has no architecture."""
    return {"hf": hf, "onnx": graph}[kind](network, folder)


def hf(network: TransformerClassifier, folder: Path) -> tuple[Any, Run]:
    if not of_the_library(network.model):
        raise RequestError(
            "transformers has no heads of unequal sizes, no factorised word vectors and no other last layer than its "
            "own: use --format onnx"
        )
    named(network.model.config, network.goal)
    network.model.save_pretrained(folder)
    keep(network, folder)
    import transformers

    cls = getattr(transformers, network.goal.auto)
    read = cls.from_pretrained(folder, local_files_only=True, trust_remote_code=False).eval()
    return tokenizer_in(folder, network), lambda batch: logits(network.goal, read, batch)


def of_the_library(model: Any) -> bool:
    """Whether its configuration says all of its shapes."""
    with torch.device("meta"):
        plain = type(model)(model.config)
    shapes, theirs = ({n: p.shape for n, p in m.named_parameters()} for m in (model, plain))
    return bool(shapes == theirs)


def graph(network: TransformerClassifier, folder: Path) -> tuple[Any, Run]:
    """model.onnx from token ids to logits; the tokenizer as transformers and tokenizers both read it."""
    folder.mkdir(parents=True, exist_ok=True)
    program, names = onnx.traced(Graph(network).eval(), inputs_of(network), "logits")
    program.save(folder / "model.onnx", external_data=False)
    keep(network, folder)
    fast = Tokenizer.from_file(str(folder / "tokenizer.json"))
    fast.enable_truncation(network.max_length)
    fast.enable_padding(pad_id=network.tokenizer.pad_token_id or 0, pad_token=network.tokenizer.pad_token or "")
    fast.save(str(folder / "tokenizer.json"))
    config = onnx.config_of_head(network.goal, names, network.max_length)
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    session = Sessions(folder / "model.onnx")()
    return tokenizer_in(folder, network), lambda batch: session.run(None, {n: of(batch, n).numpy() for n in names})[0]


def inputs_of(network: TransformerClassifier) -> tuple[str, ...]:
    """What the model reads; of one without segments there are two inputs."""
    return INPUTS if getattr(network.model.config, "type_vocab_size", 0) else INPUTS[:2]


class Graph(nn.Module):
    """token ids, mask and segments (B, L) -> logits at every place."""

    def __init__(self, network: TransformerClassifier) -> None:
        super().__init__()
        self.model, self.goal, self.names = network.model, network.goal, inputs_of(network)

    def forward(self, *tensors: Tensor) -> Tensor:
        return self.goal.logits(self.model(**dict(zip(self.names, tensors, strict=True))))


def named(config: Any, goal: Kind) -> None:
    """The names of the classes, as the library's pipelines show them."""
    if goal.classes:
        config.id2label = dict(enumerate(goal.classes))
        config.label2id = {name: n for n, name in enumerate(goal.classes)}


def keep(network: TransformerClassifier, folder: Path) -> None:
    """The tokenizer, which cuts where the student does."""
    network.tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(config | {"model_max_length": network.max_length}, indent=1), encoding="utf-8")


def tokenizer_in(folder: Path, network: TransformerClassifier) -> Any:
    return type(network.tokenizer).from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def of(batch: Mapping[str, Tensor], name: str) -> Tensor:
    """Segments of single texts are 0."""
    return batch[name] if name in batch else torch.zeros_like(batch["input_ids"])


@torch.no_grad()
def logits(goal: Kind, model: Any, batch: Mapping[str, Tensor]) -> np.ndarray:
    found: np.ndarray = goal.logits(model(**{n: batch[n] for n in INPUTS if n in batch})).numpy()
    return found


def difference(network: TransformerClassifier, tokenizer: Any, run: Run, inputs: Any) -> float:
    """The largest difference of a logit at real tokens, over the largest logit or 1; all inputs in one batch, and some
    alone. BenchError: the tokenizers read an input unlike."""
    pool, limit = texts(inputs), network.max_length
    ours, theirs = network.encode(pool), read(network.goal, tokenizer, pool, limit)
    worst = 0.0
    for rows in [np.arange(len(pool)), *np.arange(min(3, len(pool)))[:, None]]:
        batch, other = ours.batch(rows), theirs.batch(rows)
        if any(batch[n].shape != other[n].shape or not torch.equal(batch[n], other[n]) for n in batch):
            raise BenchError("the exported tokenizer reads an input as other tokens: nothing was written")
        expected, found = logits(network.goal, network.model, batch), run(batch)
        apart = np.abs(found - expected)
        if apart.ndim == 3:
            apart = apart[batch["attention_mask"].numpy().astype(bool)]
        worst = float(np.maximum(worst, apart.max() / max(1.0, np.abs(expected).max())))
    return worst


def read(goal: Kind, tokenizer: Any, pool: Texts, limit: int) -> Any:
    plain = lambda: tokenise(tokenizer, pool, limit)  # noqa: E731
    return goal.read(tokenizer, lambda: rules_of(tokenizer), pool, limit, plain)
