"""Products with sparse matrices whose entries may be learned: what passes along the edges of a graph.

Every sum over edges, forwards and backwards, goes row by row in one order, so results are the same each time, on a GPU
too, where adding by index is not. torch's embedding bag is that product: row n of A X is the weighted sum of those rows
of X whose numbers stand between starts[n] and starts[n + 1]. torch's counter of operations is told what it costs.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.flop_counter import register_flop_formula


@dataclass(frozen=True)
class Pattern:
    """Which E entries an (N, M) matrix has, row by row. The same entries column by column are `order`."""

    rows: Tensor  # (E,) ascending
    columns: Tensor  # (E,)
    starts: Tensor  # (N + 1,) where each row's entries begin, and the last one's end
    order: Tensor  # (E,)
    column_starts: Tensor  # (M + 1,)

    @classmethod
    def of(cls, rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> Pattern:
        """From entries in any order."""
        by_row = np.lexsort((columns, rows))
        rows, columns = rows[by_row], columns[by_row]
        parts = (rows, columns, starts(rows, shape[0]), np.argsort(columns, kind="stable"), starts(columns, shape[1]))
        return cls(*(torch.from_numpy(np.asarray(part, np.int64)) for part in parts))

    def to(self, device: torch.device) -> Pattern:
        return Pattern(*(getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)))

    def degrees(self) -> Tensor:
        """(N,) entries of each row, float."""
        return self.starts.diff().float()


def starts(numbers: np.ndarray, count: int) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(np.bincount(numbers, minlength=count))])


OPERATORS = torch.library.Library("bench", "DEF")  # custom_op would import torch's compiler at its first call
OPERATORS.define("sums_of_rows(Tensor x, Tensor chosen, Tensor starts, Tensor? weights) -> Tensor")


def _sums(x: Tensor, chosen: Tensor, starts: Tensor, weights: Tensor | None) -> Tensor:
    """(M, D) -> (N, D): row n is sum_e weights[e] x[chosen[e]] over e from starts[n] to starts[n + 1]."""
    return functional.embedding_bag(
        chosen, x.contiguous(), starts, mode="sum", per_sample_weights=weights, include_last_offset=True
    )


OPERATORS.impl("sums_of_rows", _sums, "CompositeExplicitAutograd")
sums = torch.ops.bench.sums_of_rows


@register_flop_formula(torch.ops.bench.sums_of_rows)
def _cost(x: Any, chosen: Any, *others: Any, **more: Any) -> int:
    """A multiply-add, two operations, for each entry and column."""
    return int(2 * chosen[0] * x[1])


class Product(torch.autograd.Function):
    """A X with A's entries `values` (E,), None: 1, and X (M, D) -> (N, D)."""

    @staticmethod
    def forward(context: Any, pattern: Pattern, values: Tensor | None, x: Tensor) -> Tensor:
        context.pattern = pattern
        context.save_for_backward(values, x)
        found: Tensor = sums(x, pattern.columns, pattern.starts, values)
        return found

    @staticmethod
    def backward(context: Any, *gradients: Any) -> tuple[Any, ...]:
        (gradient,), p, (values, x) = gradients, context.pattern, context.saved_tensors
        of_values = of_x = None
        if context.needs_input_grad[1]:
            of_values = (gradient[p.rows] * x[p.columns]).sum(1)
        if context.needs_input_grad[2]:
            of_x = sums(gradient, p.rows[p.order], p.column_starts, None if values is None else values[p.order])
        return None, of_values, of_x


class Softmax(torch.autograd.Function):
    """Scores (E, H) -> shares (E, H), of which those of a row's entries sum to 1 in every column."""

    @staticmethod
    def forward(context: Any, pattern: Pattern, scores: Tensor) -> Tensor:
        rows = pattern.rows[:, None].expand_as(scores)
        top = scores.new_zeros(len(pattern.starts) - 1, scores.shape[1])
        top = top.scatter_reduce(0, rows, scores, "amax", include_self=False)  # a maximum has no order
        shares = (scores - top[pattern.rows]).exp()
        shares = shares / _by_row(pattern, shares)[pattern.rows]
        context.pattern = pattern
        context.save_for_backward(shares)
        return shares

    @staticmethod
    def backward(context: Any, *gradients: Any) -> tuple[Any, ...]:
        (gradient,), p, (shares,) = gradients, context.pattern, context.saved_tensors
        weighted = shares * gradient
        return None, weighted - shares * _by_row(p, weighted)[p.rows]


class AtRows(torch.autograd.Function):
    """(N, H) -> (E, H): of each entry what its row has."""

    @staticmethod
    def forward(context: Any, pattern: Pattern, x: Tensor) -> Tensor:
        context.pattern = pattern
        return x[pattern.rows]

    @staticmethod
    def backward(context: Any, *gradients: Any) -> tuple[Any, ...]:
        return None, _by_row(context.pattern, gradients[0])


class AtColumns(torch.autograd.Function):
    """(M, H) -> (E, H): of each entry what its column has."""

    @staticmethod
    def forward(context: Any, pattern: Pattern, x: Tensor) -> Tensor:
        context.pattern = pattern
        return x[pattern.columns]

    @staticmethod
    def backward(context: Any, *gradients: Any) -> tuple[Any, ...]:
        p = context.pattern
        return None, sums(gradients[0], p.order, p.column_starts, None)


def _by_row(pattern: Pattern, x: Tensor) -> Tensor:
    """(E, H) -> (N, H): sums over the entries of each row."""
    found: Tensor = sums(x, torch.arange(len(x), device=x.device), pattern.starts, None)
    return found


def precise(x: Tensor) -> Tensor:
    """At least float32: what a half-precision forward pass gives is summed in full."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def product(pattern: Pattern, x: Tensor, values: Tensor | None = None) -> Tensor:
    """A X, (M, D) -> (N, D); entries are `values` (E,), or 1."""
    found: Tensor = Product.apply(pattern, values, precise(x))
    return found


def mean(pattern: Pattern, x: Tensor) -> Tensor:
    """(M, D) -> (N, D): each row's mean; 0 where a row has no entry."""
    return product(pattern, x) / pattern.degrees().clamp(min=1)[:, None]


def softmax(pattern: Pattern, scores: Tensor) -> Tensor:
    """(E, H) -> (E, H)"""
    found: Tensor = Softmax.apply(pattern, precise(scores))
    return found


def at_rows(pattern: Pattern, x: Tensor) -> Tensor:
    """(N, H) -> (E, H)"""
    found: Tensor = AtRows.apply(pattern, precise(x))
    return found


def at_columns(pattern: Pattern, x: Tensor) -> Tensor:
    """(M, H) -> (E, H)"""
    found: Tensor = AtColumns.apply(pattern, precise(x))
    return found


def by_heads(pattern: Pattern, x: Tensor, shares: Tensor) -> Tensor:
    """X (M, H, D) and entries (E, H) of a matrix for each head -> (N, H D)."""
    heads = zip(x.unbind(1), shares.unbind(1), strict=True)
    return torch.cat([product(pattern, one, values) for one, values in heads], 1)
