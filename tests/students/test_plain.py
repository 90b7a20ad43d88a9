"""TAKD's plain networks: parameters by hand, shapes, and outputs that do not depend on the batch."""

from __future__ import annotations

import pytest
import torch

from bench.errors import RequestError
from bench.students.plain import Plain
from tests.students.pictures import TASKS, check_network, count, task


def build(size: str, **given):
    torch.manual_seed(0)
    return Plain(Plain.Settings()).build(size, task(**given), None)


def by_hand(convolutions: list[int], flat: int, *linear: int) -> int:
    """3x3 convolutions with bias and BN, then linear layers."""
    pairs = zip([3, *convolutions], convolutions, strict=False)
    layers = zip([flat, *linear], linear, strict=False)
    return sum(9 * a * b + 3 * b for a, b in pairs) + sum(a * b + b for a, b in layers)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("2", by_hand([16, 16], 16 * 64, 10)),
        ("4", by_hand([16, 16, 32, 32], 32 * 64, 10)),
        ("6", by_hand([16, 16, 32, 32, 64, 64], 64 * 16, 10)),
        ("8", by_hand([16, 16, 32, 32, 64, 64, 128, 128], 128 * 4, 64, 10)),
        ("10", by_hand([32, 32, 64, 64, 128, 128, 256, 256, 256, 256], 256 * 4, 128, 10)),
    ],
)
def test_parameters_for_cifar_10(size, expected):
    assert count(build(size)) == expected


def test_parameters_for_cifar_100():
    assert count(build("4", classes=100)) == by_hand([32, 32, 64, 64], 64 * 64, 100)
    wide = [32, 32, 64, 64, 128, 128, 256, 256]
    assert count(build("8", classes=100)) == by_hand(wide, 256 * 4, 64, 100)
    deep = [32, 32, 64, 64, 128, 128, 256, 256, 256, 256]
    assert count(build("10", classes=100)) == by_hand(deep, 256 * 4, 512, 100)


@pytest.mark.parametrize("given", TASKS)
@pytest.mark.parametrize("size", ["2", "8"])
def test_signals(size, given):
    network = build(size, **given)
    signals = check_network(network, given)
    side, stages = given["side"], {"2": 2, "8": 4}[size]
    assert [m.shape[-1] for m in signals.maps] == [side, *(side // 2**n for n in range(stages))]
    torch.testing.assert_close(network.classifier(signals.embedding), signals.logits)


@pytest.mark.parametrize("size", ["3", "0", "12", "x", "2x2"])
def test_malformed_sizes(size):
    with pytest.raises(RequestError, match="size of plain"):
        Plain.check(size)


def test_small_images():
    with pytest.raises(RequestError, match="too small"):
        build("10", side=8)


def test_the_recipe_is_takds():
    o = build("2").optimiser
    assert (o.kind, o.lr, o.momentum, o.weight_decay, o.schedule) == ("sgd", 0.01, 0.9, 1e-4, "constant")
