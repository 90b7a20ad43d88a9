"""A network as onnxruntime runs it, in float32 and with weights of 8 bits: for its speed beside the network itself.

int8 is onnxruntime's dynamic quantisation (onnxruntime.quantization.quantize_dynamic): weights as signed bytes, a scale
a tensor; activations are rounded while it runs. What that does to scores is not known from its speed.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from bench.base.console import Console
from bench.errors import BenchError, RequestError
from bench.export import heads, onnx, word_heads
from bench.network import Encoded, Network
from bench.networks.onnx_sessions import Sessions
from bench.networks.transformer import TransformerClassifier
from bench.networks.words import WordNetwork
from bench.signals import Signals

FORMS = ("onnx", "int8")


class Runtime(Network):
    """The graph of a network's output. It reads what the network reads, and gives the output and no other signal."""

    graph: Tensor  # the file's bytes

    def __init__(self, network: Network, graph: bytes, names: Sequence[str], output: str) -> None:
        super().__init__()
        self.reader: Any = (network,)  # in a tuple: its weights are none of this one's
        self.names, self.output, self.offers = tuple(names), output, frozenset({output})
        self.width, self.session = network.width, Sessions(graph)
        self.register_buffer("graph", torch.frombuffer(bytearray(graph), dtype=torch.uint8))

    @property
    def disk_bytes(self) -> int:
        return int(self.graph.numel())

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    def encode(self, inputs: Sequence[Any], max_length: int | None = None) -> Encoded:
        return self.reader[0].encode(inputs, max_length)

    def forward(self, batch: dict[str, Tensor], want: frozenset[str]) -> Signals:
        given = {name: heads.of(batch, name).numpy() for name in self.names}
        found, goal = torch.from_numpy(self.session().run(None, given)[0]), self.reader[0].goal
        if self.output != "logits":
            return Signals({self.output: found}, mask=batch["attention_mask"])
        places = Signals(logits=goal.select(found, batch), mask=batch["attention_mask"])
        return goal.complete(places, None, batch)


def forms(networks: Mapping[str, Network], output: str, console: Console) -> dict[str, Runtime]:
    """`NAME onnx` and `NAME int8` of each that a graph holds; of others it is told why not.

    RequestError: no graph holds any, or the packages are not there.
    """
    onnx.check_installed()
    found, refused = dict[str, Runtime](), ""
    for name, own in networks.items():
        try:
            found |= {f"{name} {form}": made for form, made in of(own, output).items()}
        except BenchError as error:
            refused = f"no ONNX of {name}: {error}"
            console(f"  {refused}")
    if not found:
        raise RequestError(refused)
    return found


def of(network: Network, output: str) -> dict[str, Runtime]:
    if network.device.type != "cpu":
        raise RequestError("--onnx times onnxruntime on the CPU: say --device cpu")
    with TemporaryDirectory() as scratch:
        place = Path(scratch)
        names = write(network.eval(), output, place / "onnx")
        quantise(place / "onnx", place / "int8")
        return {form: Runtime(network, (place / form).read_bytes(), names, output) for form in FORMS}


def quantised(folder: Path, network: Network, output: str) -> Runtime:
    """The graph of an exported folder made into its int8 form, in its place."""
    path = folder / "model.onnx"
    names: Sequence[str] = onnx.INPUTS
    if isinstance(network, TransformerClassifier):
        names = heads.inputs_of(network)
    elif isinstance(network, WordNetwork) and output == "logits":
        names = word_heads.names_of(network)
    quantise(path, made := folder / "int8.onnx")
    made.replace(path)
    return Runtime(network, path.read_bytes(), names, output)


def write(network: Network, output: str, path: Path) -> Sequence[str]:
    """The graph in one file; the names of its inputs."""
    if isinstance(network, TransformerClassifier):
        program, names = onnx.traced(heads.Graph(network).eval(), heads.inputs_of(network), "logits")
    elif isinstance(network, WordNetwork) and output == "logits":
        onnx.tokenizer_of(network)
        program, names = word_heads.program(network), word_heads.names_of(network)
    else:
        onnx.tokenizer_of(network)  # who refuses what no folder can hold
        graph = onnx.WordGraph(network, output) if isinstance(network, WordNetwork) else onnx.Graph(network, output)
        program, names = onnx.traced(graph.eval(), onnx.INPUTS, onnx.NAMES.get(output, output))
    program.save(path, external_data=False)
    return names


def quantise(source: Path, path: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.getLogger().setLevel(logging.ERROR)  # it warns that preprocessing would make it faster still
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            quantize_dynamic(source, path, weight_type=QuantType.QInt8)
    except Exception as error:  # of many types: an operation that it does not know
        raise BenchError(f"onnxruntime cannot quantise this network ({type(error).__name__}: {error})") from error
