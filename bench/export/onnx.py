"""A student as one ONNX graph from token ids to its output, beside the tokenizer that makes them."""

from __future__ import annotations

import inspect
import json
import logging
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn

from bench.errors import BenchError, RequestError
from bench.export import offers
from bench.network import Network
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
        ids, mask = F.pad(input_ids, (0, 1), value=self.pad), F.pad(attention_mask, (0, 1))  # one token at least
        empty = mask.sum(1, keepdim=True) == 0
        ids = torch.cat([torch.where(empty, self.unk, ids[:, :1]), ids[:, 1:]], 1)
        mask = torch.cat([torch.where(empty, 1, mask[:, :1]), mask[:, 1:]], 1)
        return super().forward(ids, mask)


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


def traced(graph: nn.Module, inputs: Sequence[str], output: str) -> tuple[Any, Sequence[str]]:
    """The graph as an ONNX program with free batch and length, without the exporter's notes of where code lay; and the
    names of its inputs. BenchError: the network has an operation that ONNX does not."""
    ids, mask = torch.zeros(3, 7, dtype=torch.int64), torch.ones(3, 7, dtype=torch.int64)
    mask[1, 4:] = 0
    given = (ids, mask, ids.clone())[: len(inputs)]  # no tensor twice: the exporter would take them for one
    shape = {0: "batch", 1: "length"}
    shapes: Any = (shape,) * len(inputs)
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


def variadic(graph: nn.Module) -> bool:
    """Whether it takes any number of tensors, whose shapes then come as one."""
    kinds = [p.kind for p in inspect.signature(graph.forward).parameters.values()]
    return inspect.Parameter.VAR_POSITIONAL in kinds


def read(folder: Path) -> Callable[[Sequence[str]], np.ndarray]:
    """What the folder computes for texts: (N, D), by onnxruntime and tokenizers alone."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    prompt = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("prompt", "")

    def run(texts: Sequence[str]) -> np.ndarray:
        encoded = tokenizer.encode_batch([prompt + text for text in texts])
        ids = np.array([e.ids for e in encoded], np.int64)
        mask = np.array([e.attention_mask for e in encoded], np.int64)
        return session.run(None, dict(zip(INPUTS, (ids, mask), strict=True)))[0]

    return run
