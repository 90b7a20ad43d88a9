"""Cheap dropout: the right share, the right scale, its own gradient, and the same numbers again from the same state."""

import pytest
import torch
from torch import nn

from bench.training import dropout


def network(p=0.1):
    module = nn.Sequential(nn.Linear(4, 4), nn.Dropout(p))
    dropout.use(module)
    return module


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9, 1e-7])
def test_share_and_scale(p):
    torch.manual_seed(0)
    layer = network(p)[1]
    x = torch.ones(200, 1001)
    y = layer(x)
    kept = y != 0
    assert kept.float().mean().item() == pytest.approx(1 - max(p, 1 / dropout.LEVELS), abs=4e-3)
    assert y[kept].unique().numel() == 1 and y.mean().item() == pytest.approx(1, abs=0.02 / (1 - min(p, 0.9)))
    rows = kept.float().mean(1)
    assert rows.std() < 3 * (p * (1 - p) / 1001) ** 0.5 + 1e-3  # independent: no row is dropped whole


def test_the_gradient_is_that_of_what_was_kept():
    x = torch.randn(5, 7, requires_grad=True)
    y = network(0.5)[1](x)
    g = torch.randn(5, 7)
    y.backward(g)
    assert torch.allclose(x.grad, torch.where(y == 0, 0, g * 2))


def test_seeded_by_torch():
    layer, x = network()[1], torch.randn(64, 64)
    torch.manual_seed(3)
    state, first, second = torch.get_rng_state(), layer(x), layer(x)
    torch.set_rng_state(state)
    assert torch.equal(layer(x), first) and torch.equal(layer(x), second) and not torch.equal(first, second)


def test_nothing_is_dropped_outside_training_and_the_state_dict_stays():
    module, x = network(), torch.randn(3, 4)
    names = list(module.state_dict())
    module.eval()
    assert torch.equal(module[1](x), x) and names == ["0.weight", "0.bias"]
    assert torch.equal(network(0.0)[1](x), x)
