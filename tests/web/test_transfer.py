"""Transfer matrices from the facts of boards: cells, and how well gains were foreseen, beside scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bench.web import transfer

RNG = np.random.default_rng(8)


def row(board, source, gain, expected=None, method="panda"):
    return {
        "board": board, "source": source, "student": "prompt:4", "method": method,
        "gain": None if gain is None else {"value": gain}, "expected": expected or {},
    }  # fmt: skip


def board(slug, rows, track="lite"):
    return {"slug": slug, "track": track, "rows": rows}


def test_a_matrix_has_a_line_a_source_and_a_column_a_board():
    boards = [
        board("a", [row("a", "s", 0.1), row("a", "t", 0.2), row("a", "", None)]),
        board("b", [row("b", "t", 0.3), row("b", "t", 0.4, method="pot")]),
        board("c", [row("c", "t", 0.5)], track="full"),
        board("d", [row("d", "", None)]),
    ]
    found = {(m["track"], m["method"]): m for m in transfer.matrices(boards)}
    assert set(found) == {("lite", "panda"), ("lite", "pot"), ("full", "panda")}
    own = found["lite", "panda"]
    assert own["sources"] == ["s", "t"] and [b["slug"] for b in own["targets"]] == ["a", "b"]
    assert set(own["cells"]) == {("s", "a"), ("t", "a"), ("t", "b")}
    assert transfer.matrices(boards[3:]) == []


def test_gains_are_held_against_what_was_noted_beforehand():
    cosines, gains = RNG.normal(size=(2, 9))
    noted = [row("a", f"s{n}", g, {"cosine": c}) for n, (c, g) in enumerate(zip(cosines, gains, strict=True))]
    others = [row("a", f"s{n}", g, method="pot") for n, g in enumerate(gains[::-1])]
    found = {m["method"]: m["foreseen"] for m in transfer.matrices([board("a", [*noted, *others])])}
    for method, own in (("panda", gains), ("pot", gains[::-1])):  # one notes, and it is read for the other too
        (guess,) = found[method]
        assert guess["value"] == pytest.approx(stats.spearmanr(cosines, own).statistic) and guess["cells"] == 9
        half = 1.96 * math.sqrt(1.06 / 6)
        assert math.atanh(guess["high"]) - math.atanh(guess["low"]) == pytest.approx(2 * half)


def test_few_cells_and_cells_without_a_comparison_say_nothing():
    noted = [row("a", f"s{n}", None if n < 3 else 0.1 * n, {"cosine": n}) for n in range(6)]
    assert transfer.matrices([board("a", noted)])[0]["foreseen"] == []
