"""A student as one ONNX graph from token ids to its output, beside the tokenizer that makes them."""

from __future__ import annotations

import inspect
import json
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn

from bench.errors import BenchError, RequestError
from bench.export import offers
from bench.kind import Kind
from bench.network import Network
from bench.networks.onnx_sessions import Sessions
from bench.networks.transformer import TransformerNetwork
from bench.networks.words import WordNetwork

OPSET = 18  # what the exporter of torch writes without converting; onnxruntime reads it from version 1.14 on
INPUTS = ("input_ids", "attention_mask")
NAMES = {"embedding": "sentence_embedding"}  # signal -> output, as the Hub's sentence-transformers models call it
LARGEST = 2_000_000_000  # bytes of weights that one protobuf file can hold, and some room


def check_installed() -> None:
    """RequestError: the packages of the extra are not there."""
    if reason := offers.onnx_missing():
        raise RequestError(reason)


class Graph(nn.Module):
    """token ids (B, L), mask (B, L) -> the output of a network."""

    def __init__(self, network: Network, output: str) -> None:
        super().__init__()
        self.network, self.output = network, output

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        signals = self.network({"input_ids": input_ids, "attention_mask": attention_mask}, frozenset({self.output}))
        return getattr(signals, self.output)


class WordGraph(Graph):
    """The same for readers of words, where an input without a token reads as one unknown word (`Tokens.read`)."""

    def __init__(self, network: WordNetwork, output: str) -> None:
        super().__init__(network, output)
        self.pad, self.unk = network.tokens.pad, network.tokens.unk

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return super().forward(*filled(input_ids, attention_mask, self.pad, self.unk))


def filled(ids: Tensor, mask: Tensor, pad: int, unk: int) -> tuple[Tensor, Tensor]:
    """(B, L) -> (B, L + 1): what has no token reads as one unknown word."""
    ids, mask = F.pad(ids, (0, 1), value=pad), F.pad(mask, (0, 1))
    empty = mask.sum(1, keepdim=True) == 0
    ids = torch.cat([torch.where(empty, unk, ids[:, :1]), ids[:, 1:]], 1)
    return ids, torch.cat([torch.where(empty, 1, mask[:, :1]), mask[:, 1:]], 1)


def write(network: Network, output: str, folder: Path) -> None:
    """model.onnx, tokenizer.json and config.json. RequestError: a tokenizer that no file can hold. BenchError: the
    network has an operation that ONNX does not."""
    tokenizer, pad = tokenizer_of(network)
    graph = WordGraph(network, output) if isinstance(network, WordNetwork) else Graph(network, output)
    program = exported(graph.eval(), output)
    weights = sum(t.numel() * t.element_size() for t in graph.state_dict().values())
    folder.mkdir(parents=True, exist_ok=True)
    program.save(folder / "model.onnx", external_data=weights > LARGEST)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "inputs": {name: {"type": "int64", "shape": ["batch", "length"]} for name in INPUTS},
        "outputs": {NAMES.get(output, output): {"type": "float32", "shape": ["batch", network.width]}},
        "max_length": network.max_length, "pad_id": pad, "opset": OPSET,
    }  # fmt: skip
    if prompt := getattr(network, "prompt", ""):  # the reader's to put before each text
        config["prompt"] = prompt
    if roles := getattr(network, "roles", ()):  # likewise, where queries and documents are read
        config["prompts"] = dict(zip(("query", "document"), roles, strict=True))
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def tokenizer_of(network: Network) -> tuple[Tokenizer, int]:
    """The network's tokenizer, which cuts and pads by itself, and the id that it pads with. RequestError: no folder can
    hold the student."""
    if isinstance(network, WordNetwork):
        if network.body.no_graph:
            raise RequestError(f"no ONNX graph holds this student: {network.body.no_graph}")
        tokenizer = network.tokens.portable(network.max_length)
        tokenizer.enable_padding(pad_id=network.tokens.pad)
        return tokenizer, network.tokens.pad
    fast = getattr(getattr(network, "tokenizer", None), "backend_tokenizer", None)
    if not isinstance(network, TransformerNetwork) or not isinstance(fast, Tokenizer):
        raise RequestError(
            f"{type(network).__name__} turns text into numbers with code of its own, which no tokenizer.json can "
            "hold: only students with a transformers backbone and students that read words can be exported"
        )
    tokenizer = Tokenizer.from_str(fast.to_str())
    tokenizer.enable_truncation(network.max_length, direction=network.tokenizer.truncation_side)
    pad = network.tokenizer.pad_token_id or 0
    tokenizer.enable_padding(pad_id=pad, pad_token=network.tokenizer.pad_token or "")
    return tokenizer, pad


def exported(graph: nn.Module, output: str) -> Any:
    """The graph of token ids and mask as an ONNX program."""
    return traced(graph, INPUTS, NAMES.get(output, output))[0]


def traced(
    graph: nn.Module, inputs: Sequence[str], output: str, lengths: Mapping[str, str] = MappingProxyType({})
) -> tuple[Any, Sequence[str]]:
    """The graph as an ONNX program with free batch and length, without the exporter's notes of where code lay; and the
    names of its inputs. `lengths`: those whose length is another. BenchError: the network has an operation that ONNX
    does not."""
    given = tuple(example(name, 5 if name in lengths else 7) for name in inputs)
    shapes: Any = tuple({0: "batch", 1: lengths.get(name, "length")} for name in inputs)
    # An export before this one in the same process leaves an unrolled LSTM there, which would fix the length.
    getattr(torch.ops.aten.lstm.input, "_dispatch_cache", {}).clear()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # the exporter warns of its own inner workings
    try:
        with warnings.catch_warnings(action="ignore"), torch.no_grad():
            program = torch.onnx.export(
                graph, given, dynamo=True, input_names=list(inputs), output_names=[output],
                dynamic_shapes=shapes if not variadic(graph) else (shapes,), opset_version=OPSET, verbose=False,
            )  # fmt: skip
    except Exception as error:  # the exporter fails in many ways; all mean: an operation that it does not know
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else ""
        raise BenchError(f"torch cannot write this student as ONNX ({type(error).__name__}: {reason})") from error
    assert program is not None  # with dynamo=True
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()
    return program, inputs


def example(name: str, length: int) -> Tensor:
    """(3, L) ids or segments of 0, or a mask of inputs of unequal length."""
    if not name.endswith("_mask"):
        return torch.zeros(3, length, dtype=torch.int64)
    mask = torch.ones(3, length, dtype=torch.int64)
    mask[1, 4:] = 0
    return mask


def config_of_head(
    goal: Kind, names: Sequence[str], max_length: int, lengths: Mapping[str, str] = MappingProxyType({})
) -> dict[str, Any]:
    """What config.json says of a graph with a head. Where words are judged it gives logits at each token, and a word's
    are those of its first."""
    return {
        "inputs": {name: {"type": "int64", "shape": ["batch", lengths.get(name, "length")]} for name in names},
        "outputs": {"logits": {"type": "float32", "axes": goal.axes.replace("W", "L")}}, "classes": list(goal.classes),
        "max_length": max_length, "opset": OPSET,
    }  # fmt: skip


def variadic(graph: nn.Module) -> bool:
    """Whether it takes any number of tensors, whose shapes then come as one."""
    kinds = [p.kind for p in inspect.signature(graph.forward).parameters.values()]
    return inspect.Parameter.VAR_POSITIONAL in kinds


def read(folder: Path) -> Callable[[Sequence[str]], np.ndarray]:
    """What the folder computes for texts: (N, D), by onnxruntime and tokenizers alone."""
    session = Sessions(folder / "model.onnx")()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    prompt = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("prompt", "")

    def run(texts: Sequence[str]) -> np.ndarray:
        encoded = tokenizer.encode_batch([prompt + text for text in texts])
        ids = np.array([e.ids for e in encoded], np.int64)
        mask = np.array([e.attention_mask for e in encoded], np.int64)
        return session.run(None, dict(zip(INPUTS, (ids, mask), strict=True)))[0]

    return run
