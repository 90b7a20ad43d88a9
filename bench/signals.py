"""Signals: what a network exposes for matching. The only thing that methods and networks share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

# Axes whose length is each input's own (padded to the longest of a batch), and the signal that marks what is real.
MASKS = {"L": "mask", "W": "words"}


@dataclass(frozen=True)
class Signal:
    """How a signal looks. B inputs, C classes, D width, S sides, H heads, L tokens, W words; Y, X places of an image,
    N nodes of a graph."""

    axes: str
    layers: bool = False  # a tuple of such tensors, one a layer

    @property
    def axis(self) -> str:
        """The axis that is as long as the input; empty: there is none."""
        return next((axis for axis in self.axes.split()[1:] if axis in MASKS), "")

    @property
    def small(self) -> bool:
        """One vector an input, which is always stored."""
        return not self.layers and not self.axis

    @property
    def whole(self) -> bool:
        """It belongs to all inputs together, and has no row for each of them."""
        return not self.axes.startswith("B")

    @property
    def ragged(self) -> tuple[int, ...]:
        """Which dimensions of a row are as long as the input; all others are the same for every row."""
        return tuple(at for at, axis in enumerate(self.axes.split()[1:]) if axis in MASKS)


# Each signal is declared here, once: store, quota, padding and sharing read its axes. A kind says those of its logits.
# `logits.NAME` is another head of the kind of `logits`.
SIGNALS = {
    "logits": Signal("B C"),
    "embedding": Signal("B D"),  # of an input; in a classifier what its last layer reads
    "states": Signal("B L D"),  # of the last layer
    "hidden": Signal("B L D", layers=True),  # index 0 is the embedding output
    "sides": Signal("B S D"),  # of two parts of an input that are read apart: vectors whose product is the score
    "vectors": Signal("B D"),  # the embedding of a network whose similarity is the inner product
    "scores": Signal("B C"),  # (P, 1) of pairs that are read together
    "layer_scores": Signal("B C", layers=True),  # the score that each of `hidden` would make
    "pooled": Signal("B D", layers=True),  # the embedding that each of `hidden` would make
    "maps": Signal("B C Y X", layers=True),  # of a convolutional network, after the stem and after each stage
    "attention_scores": Signal("B H L L", layers=True),  # before softmax; 0 where the key is padding
    "queries": Signal("B H L D", layers=True),
    "keys": Signal("B H L D", layers=True),
    "values": Signal("B H L D", layers=True),
    "nodes": Signal("N D"),  # the embeddings of all nodes of a graph, type by type: the same for every batch
    "prompt": Signal("B D"),  # the mean of what was learned beside a frozen network, the same for every input
    "windows": Signal("B L D"),  # what the head reads at each token of a window
    "pieces": Signal("B W D"),  # what the head reads at word pieces that were hidden
    "targets": Signal("B W"),  # the word pieces that were hidden; IGNORED behind them
    "mask": Signal("B L"),  # 1 on real tokens
    "words": Signal("B W"),  # 1 on words whose first piece was read
}


def declared(name: str, logits: str = "B C") -> Signal:
    """The declaration of a signal; `logits`: the axes that the kind of task gives them. KeyError: there is none."""
    first = name.partition(".")[0]
    return Signal(logits) if first == "logits" else SIGNALS[first]


class Signals:
    """One forward pass, seen from outside: {name: tensor, or a tuple of one a layer}.

    `signals.logits` and `signals["logits"]` read one. It is no dict, whose `keys` and `values` would hide two signals.
    """

    def __init__(self, given: Signals | Mapping[str, Any] | None = None, /, **more: Any) -> None:
        """What is None is not there."""
        before: Mapping[str, Any] = given.named if isinstance(given, Signals) else given or {}
        self.named: dict[str, Any] = {name: value for name, value in {**before, **more}.items() if value is not None}

    def __getitem__(self, name: str) -> Any:
        return self.named[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.named[name] = value

    def __iter__(self) -> Iterator[str]:
        return iter(self.named)

    def __contains__(self, name: object) -> bool:
        return name in self.named

    def __getattr__(self, name: str) -> Any:
        if name != "named" and name in self.named:
            return self.named[name]
        raise AttributeError(f"there is no signal '{name}' among {', '.join(self.__dict__.get('named', ())) or 'none'}")

    def map(self, change: Callable[[Tensor], Tensor]) -> Signals:
        """Every tensor changed."""
        return Signals(
            {n: tuple(map(change, v)) if isinstance(v, (tuple, list)) else change(v) for n, v in self.named.items()}
        )

    def detach(self) -> Signals:
        """The same values, cut off from the graph that made them."""
        return self.map(lambda tensor: tensor.detach())
