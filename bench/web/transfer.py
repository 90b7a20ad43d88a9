"""Transfer matrices: rows that begin with a run of another task, sources by targets, over boards."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from bench.base.groups import grouped
from bench.scoring.correlation import Spearman
from bench.web.facts import by_track

Board = Mapping[str, Any]
Row = Mapping[str, Any]
FEWEST = 4  # pairs of which a rank correlation is shown, with its interval


def matrices(boards: Sequence[Board]) -> list[dict[str, Any]]:
    """One for each track, student and method: its cells by source and board, and how well they were foreseen."""
    found = []
    for track, group in by_track(boards).items():
        rows = [(board, row) for board in group for row in board["rows"] if row["source"]]
        predicted = expectations(rows)
        for (student, method), own in sorted(grouped(rows, lambda p: (p[1]["student"], p[1]["method"])).items()):
            found.append({"track": track, "student": student, "method": method, **matrix(own),
                          "foreseen": foreseen(own, predicted)})  # fmt: skip
    return found


def matrix(placed: Sequence[tuple[Board, Row]]) -> dict[str, Any]:
    """Sources, targets (boards) and cells {(source, board): rows, which differ in their settings}."""
    return {
        "sources": sorted({row["source"] for _, row in placed}),
        "targets": list({board["slug"]: board for board, _ in placed}.values()),
        "cells": grouped((row for _, row in placed), lambda row: (row["source"], row["board"])),
    }


def expectations(placed: Iterable[tuple[Board, Row]]) -> dict[tuple[str, str, str], dict[str, float]]:
    """What the rows of any method noted, by student, source and board."""
    return {(row["student"], row["source"], row["board"]): row["expected"] for _, row in placed if row["expected"]}


def foreseen(
    placed: Sequence[tuple[Board, Row]], predicted: Mapping[tuple[str, str, str], Mapping[str, float]]
) -> list[dict[str, Any]]:
    """Spearman's correlation between each number that was noted beforehand and the gain, over the cells.

    Its interval is Fisher's with the variance 1.06 / (n - 3) of ranks (Fieller et al. 1957): cells of one source or
    target are not independent, so it is rather too narrow.
    """
    pairs: dict[str, list[tuple[float, float]]] = {}
    for _, row in placed:
        for name, value in predicted.get((row["student"], row["source"], row["board"]), {}).items():
            if row["gain"]:
                pairs.setdefault(name, []).append((value, row["gain"]["value"]))
    return [correlated(name, np.array(found)) for name, found in sorted(pairs.items()) if len(found) >= FEWEST]


def correlated(name: str, pairs: np.ndarray) -> dict[str, Any]:
    """`pairs` (n, 2)."""
    value = Spearman().value(pairs[:, 0], pairs[:, 1])
    half = 1.96 * math.sqrt(1.06 / (len(pairs) - 3))
    middle = math.atanh(min(max(value, -1 + 1e-9), 1 - 1e-9))
    return {
        "name": name, "value": value, "low": math.tanh(middle - half), "high": math.tanh(middle + half),
        "cells": len(pairs),
    }  # fmt: skip
