"""RepDistiller's other families at its shapes: parameters as published, signals, sizes, and a second end."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.errors import RequestError
from bench.networks.convolutional import End
from bench.plugins.registry import find, load
from tests.students.pictures import TASKS, check_network, count, read, task

SMALLEST = ["wrn:10x1", "vgg:8", "mobilenetv2:0.5", "shufflenetv1:1", "shufflenetv2:0.5"]


def build(name: str, **given):
    torch.manual_seed(0)
    family, _, size = name.partition(":")
    cls = load(find("student", family))
    return cls(cls.Settings()).build(cls.check(size), task(**given), None)


@pytest.mark.parametrize(
    ("name", "exact"),
    [
        ("wrn:16x2", 703_284), ("wrn:40x1", 569_780), ("wrn:40x2", 2_255_156), ("vgg:8", 3_965_028),
        ("vgg:13", 9_462_180), ("mobilenetv2:0.5", 812_836), ("shufflenetv1:1", 949_258), ("shufflenetv2:1", 1_355_528),
    ],
)  # fmt: skip
def test_parameters_of_repdistiller(name, exact):
    """CIFAR-100; in millions, as papers print them: 0.70, 0.57, 2.26, 3.97, 9.46, 0.81, 0.95, 1.36."""
    assert count(build(name, classes=100)) == exact


@pytest.mark.parametrize("given", TASKS)
@pytest.mark.parametrize("name", SMALLEST)
def test_signals(name, given):
    network = build(name, **given)
    signals = check_network(network, given)
    torch.testing.assert_close(network.classifier(signals.embedding), signals.logits)


@pytest.mark.parametrize(
    ("name", "sides"),
    [
        ("wrn:16x2", [32, 32, 16, 8]), ("vgg:8", [32, 16, 8, 4, 4]), ("mobilenetv2:0.5", [16, 16, 8, 4, 2]),
        ("shufflenetv1:1", [32, 16, 8, 4]), ("shufflenetv2:1", [32, 16, 8, 4]),
    ],
)  # fmt: skip
def test_maps_are_of_the_official_sides(name, sides):
    assert [m.shape[-1] for m in read(build(name), {"maps"}).maps] == sides


@pytest.mark.parametrize("name", [*SMALLEST, "resnet:8", "plain:4"])
def test_the_end_of_a_network_gives_what_the_network_gives(name):
    network = build(name).eval()
    found, end = read(network, {"maps", "logits"}), End(network).eval()
    again = end(found.maps[-2].detach())
    torch.testing.assert_close(again.logits, found.logits)
    torch.testing.assert_close(again.maps[0], found.maps[-1])
    torch.testing.assert_close(again.embedding, found.embedding)
    again.logits.sum().backward()
    silent = [n for n, p in end.named_parameters() if p.grad is None]
    assert not silent and not any(p.grad is not None for p in network.parameters())


def test_a_wide_block_by_hand():
    """Evaluation mode, fresh BN: divides by sqrt(1 + 1e-5) and nothing else."""
    block, x, s = build("wrn:10x1").eval().stages[1][0], torch.randn(2, 16, 8, 8), (1 + 1e-5) ** -0.5
    first, _, _, second = block.body
    inner = (x * s).clamp(min=0)
    middle = (nn.functional.conv2d(inner, first.weight, stride=2, padding=1) * s).clamp(min=0)
    expected = nn.functional.conv2d(middle, second.weight, padding=1)
    expected = expected + nn.functional.conv2d(inner, block.shortcut.weight, stride=2)
    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize("name", ["wrn:15x2", "wrn:16", "vgg:9", "mobilenetv2:2", "shufflenetv1:2", "shufflenetv2:2"])
def test_malformed_sizes(name):
    with pytest.raises(RequestError, match=name.partition(":")[0]):
        build(name)


def test_rates_of_repdistiller():
    assert [build(n).optimiser.lr for n in ("wrn:10x1", "vgg:8", "mobilenetv2:0.5", "shufflenetv2:0.5")] == [
        0.05, 0.05, 0.01, 0.01,
    ]  # fmt: skip
