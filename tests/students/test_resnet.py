"""Residual networks: parameters as published, shapes, and outputs that do not depend on the batch."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.errors import RequestError
from bench.students.resnet import ResNet
from tests.students.pictures import TASKS, check_network, count, read, task

OPTION_B = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64  # two 1x1 convolutions with BN, which He et al.'s shortcut is without


def build(size: str, **given):
    torch.manual_seed(0)
    return ResNet(ResNet.Settings()).build(size, task(**given), None)


@pytest.mark.parametrize(("size", "millions"), [("20", 0.27), ("32", 0.46), ("44", 0.66), ("56", 0.85), ("110", 1.7)])
def test_parameters_of_he_et_al(size, millions):
    """Table 6 of the paper, CIFAR-10."""
    assert count(build(size)) - OPTION_B == pytest.approx(millions * 1e6, abs=0.03e6 if size == "110" else 0.005e6)


@pytest.mark.parametrize(("size", "exact"), [("20", 278_324), ("8x4", 1_233_540), ("32x4", 7_433_860)])
def test_parameters_of_repdistiller(size, exact):
    """CIFAR-100; by hand for 8x4: stem 928, stages 57,728 + 230,144 + 919,040, linear 25,700."""
    assert count(build(size, classes=100)) == exact


def test_a_block_by_hand():
    """A stage of one block, evaluation mode, fresh BN: divides by sqrt(1 + 1e-5) and nothing else."""
    network = build("8").eval()
    block, x = network.stages[1][0], torch.randn(2, 16, 8, 8)
    first, _, _, second, _ = block.body
    s = (1 + 1e-5) ** -0.5
    inner = (nn.functional.conv2d(x, first.weight, stride=2, padding=1) * s).clamp(min=0)
    shortcut = nn.functional.conv2d(x, block.shortcut[0].weight, stride=2) * s
    expected = (nn.functional.conv2d(inner, second.weight, padding=1) * s + shortcut).clamp(min=0)
    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize("given", TASKS)
def test_signals(given):
    network = build("8", **given)
    signals = check_network(network, given)
    side = given["side"]
    shapes = [(4, 16, side, side), (4, 16, side, side), (4, 32, side // 2, side // 2), (4, 64, side // 4, side // 4)]
    assert [tuple(m.shape) for m in signals.maps] == shapes
    torch.testing.assert_close(signals.maps[-1].mean((2, 3)), signals.embedding)
    torch.testing.assert_close(network.classifier(signals.embedding), signals.logits)


def test_maps_are_kept_when_asked_for():
    assert "maps" not in read(build("8"), {"logits"})


@pytest.mark.parametrize("size", ["9", "2", "0", "20x2", "x4", "20x4x4", "-8", "resnet20"])
def test_malformed_sizes(size):
    with pytest.raises(RequestError, match="resnet:DEPTH"):
        ResNet.check(size)


def test_sizes_and_recipe():
    assert (ResNet.check(""), ResNet.check("14"), ResNet.check("32x4")) == ("20", "14", "32x4")
    o = build("8").optimiser
    assert (o.kind, o.lr, o.momentum, o.weight_decay, o.schedule) == ("sgd", 0.05, 0.9, 5e-4, "step")
    assert [m * 240 for m in o.milestones] == [150, 180, 210]
