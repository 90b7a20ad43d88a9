"""Products with sparse matrices against dense ones, in value and gradient, and what they cost."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck
from torch.utils.flop_counter import FlopCounterMode

from bench.networks import sparse
from bench.networks.sparse import Pattern

# (4, 3); row 1 and column 2 are empty
ROWS, COLUMNS = np.array([3, 0, 2, 0, 2]), np.array([1, 1, 0, 0, 1])


@pytest.fixture
def pattern() -> Pattern:
    return Pattern.of(ROWS, COLUMNS, (4, 3))


def dense(pattern: Pattern, values: torch.Tensor) -> torch.Tensor:
    """(E,) -> (4, 3)"""
    return torch.zeros(4, 3, dtype=values.dtype).index_put((pattern.rows, pattern.columns), values)


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()


def test_a_product_is_that_of_the_dense_matrix(pattern: Pattern) -> None:
    values, x = random(5), random(3, 2)
    assert torch.allclose(sparse.product(pattern, x, values), dense(pattern, values) @ x)
    assert torch.allclose(sparse.product(pattern, x), dense(pattern, torch.ones(5, dtype=x.dtype)) @ x)
    assert gradcheck(lambda v, x: sparse.product(pattern, x, v), (values, x))
    assert gradcheck(lambda x: sparse.product(pattern, x), (x,))


def test_a_mean_of_no_entries_is_zero(pattern: Pattern) -> None:
    x = random(3, 2)
    assert torch.allclose(sparse.mean(pattern, x)[[0, 1]], torch.stack([(x[0] + x[1]) / 2, 0 * x[0]]))


def test_softmax_is_that_of_each_row(pattern: Pattern) -> None:
    scores = random(5, 2)
    found = sparse.softmax(pattern, 100 * scores)
    for row in (0, 2, 3):
        there = pattern.rows == row
        assert torch.allclose(found[there], (100 * scores[there]).softmax(0))
    assert gradcheck(lambda s: sparse.softmax(pattern, s), (scores,))


def test_values_at_rows_and_columns(pattern: Pattern) -> None:
    x, y = random(4, 2), random(3, 2)
    assert torch.equal(sparse.at_rows(pattern, x), x[pattern.rows])
    assert torch.equal(sparse.at_columns(pattern, y), y[pattern.columns])
    assert gradcheck(lambda x: sparse.at_rows(pattern, x), (x,))
    assert gradcheck(lambda y: sparse.at_columns(pattern, y), (y,))


def test_heads_have_matrices_of_their_own(pattern: Pattern) -> None:
    x, shares = random(3, 2, 2), random(5, 2)
    parts = [dense(pattern, shares[:, h]) @ x[:, h] for h in range(2)]
    assert torch.allclose(sparse.by_heads(pattern, x, shares), torch.cat(parts, 1))


def test_entries_are_what_a_product_costs(pattern: Pattern) -> None:
    """Not the 4 x 3 x 6 of the dense one."""
    with FlopCounterMode(display=False) as counter:
        sparse.product(pattern, torch.randn(3, 6))
    assert counter.get_total_flops() == 2 * 5 * 6
