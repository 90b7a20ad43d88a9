"""The last layer of a network, from its embedding to the outputs of the kind, and another in the place of it."""

from __future__ import annotations

from torch import nn

from bench.errors import RequestError
from bench.kind import Kind
from bench.network import Network
from bench.networks.architectures import last_linear
from bench.networks.transformer import TransformerClassifier


def last_layer(network: Network, goal: Kind) -> str:
    """Its name in the network. RequestError: not exactly one linear map reads the embedding and gives the outputs."""
    shape = network.width, goal.outputs
    found = [
        name for name, m in network.named_modules()
        if isinstance(m, nn.Linear) and (m.in_features, m.out_features) == shape
    ]  # fmt: skip
    if isinstance(network, TransformerClassifier):
        own = last_linear(network.model)  # a width that is the number of outputs would be found inside of it too
        found = [name for name in found if network.get_submodule(name) is own]
    if len(found) != 1:
        raise RequestError(f"{type(network).__name__} has no single last layer from {shape[0]} to {shape[1]} numbers")
    return found[0]


def put_last(network: Network, goal: Kind, adapter: nn.Module, layer: nn.Linear) -> None:
    """The adapter and this layer in the place of the network's last one, in place. The embedding is then what the layer
    reads where the network's class reads it off its last layer, else what the adapter reads. RequestError: as above."""
    parent, _, name = last_layer(network, goal).rpartition(".")
    setattr(network.get_submodule(parent), name, nn.Sequential(adapter, layer))
    if isinstance(network, TransformerClassifier):
        network.width = layer.in_features
