"""What the tests of students that read images share."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from types import SimpleNamespace

import numpy as np
import torch

from bench.data.images import Images
from bench.inputs import single
from bench.kinds.classify import Classify
from bench.network import Network
from bench.signals import Signals

TASKS = ({"side": 32, "classes": 10}, {"side": 64, "classes": 3})


def pictures(side: int = 32, count: int = 4) -> Images:
    return Images(np.random.default_rng(1).integers(0, 256, (count, 3, side, side), dtype=np.uint8))


def task(side: int = 32, classes: int = 10) -> SimpleNamespace:
    """As much of a task as is read."""
    examples = single(pictures(side), np.zeros(4, np.int64))
    return SimpleNamespace(name="some", goal=Classify(classes), outputs=classes, examples=lambda purpose: examples)


def count(network: Network) -> int:
    return sum(p.numel() for p in network.parameters())


def read(network: Network, want: Iterable[str], rows: Iterable[int] = range(4), side: int = 32) -> Signals:
    return network(network.encode(pictures(side)).batch(np.array(list(rows))), frozenset(want))


def check_network(network: Network, given: dict[str, int]) -> Signals:
    """What must hold for each of them; returns all its signals in evaluation mode."""
    side, network = given["side"], network.eval()
    found = read(network, network.offers, side=side)
    assert found.logits.shape == (4, given["classes"])
    assert found.embedding.shape == (4, network.width)
    alone = torch.cat([read(network, {"logits"}, [row], side).logits for row in range(4)])
    torch.testing.assert_close(alone, found.logits, rtol=1e-4, atol=1e-5)  # companions change nothing
    copy = pickle.loads(pickle.dumps(network))  # noqa: S301 - our own
    torch.testing.assert_close(read(copy, {"logits"}, side=side).logits, found.logits)
    matched = found.maps if "maps" in found else found.hidden
    axis = 1 if "maps" in found else 2
    assert tuple(m.shape[axis] for m in matched) == network.shape.hidden
    trained = read(network.train(), network.offers, side=side)
    trained.logits.sum().backward()
    silent = {name for name, p in network.named_parameters() if p.grad is None}
    assert not {name for name in silent if not name.startswith("heads.1")}
    mean = pictures(side).pixels.mean((0, 2, 3)) / 255
    np.testing.assert_allclose(network.state_dict()["mean"].numpy(), mean, rtol=1e-5)
    return found
