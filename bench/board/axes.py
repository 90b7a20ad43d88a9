"""What a grid shows: the mean rank of each level of each axis, among cells in which everything else is the same.

Axes are read from the records alone: student, teacher, and every setting of method, student and track in which rows of
a method differ. A plug-in may say that a setting is made of several (`axes`): `gap:cos` is `layers` and `knowledge`.

For one axis, a context is a set of rows that differ in that axis alone. Levels are ranked in each context, 1 the
highest score; equal scores share the mean of their ranks; a level's mean rank is over the contexts that have all of its
levels. Contexts with other levels, as where a narrow student can start at random alone, are a table of their own.
Intervals hold examples and seeds, in draws that all cells share (bench/scoring/comparison.py); contexts are those of
the grid, and are not drawn. A mean rank's spans 95% of its draws and the mean rank itself: drawn ranks lean to the
middle, so a level that is just ahead everywhere may lie at its end.

Two levels are told apart by the difference of their mean scores, with its interval and p-value from the same draws,
corrected over all pairs of levels of the method (Holm), in the words of bench/board/evidence.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from bench.base.groups import grouped
from bench.board import evidence
from bench.board.leaderboard import Row
from bench.board.verdicts import PLACES, Verdicts
from bench.plugins import registry
from bench.records.schemas import Record
from bench.records.specs import CheckedSpec, checked_spec, in_words
from bench.scoring.comparison import holm
from bench.scoring.ranks import shared

GIVEN = ("student", "teacher")  # axes that boards have anyway: they alone make no grid
NONE = "none"  # the level of a setting that is empty
OWN = ("method", "student", "kind")  # versions that are no level's own
Levels = dict[str, str]  # by axis


@dataclass(frozen=True)
class Cell:
    """A row by its place on the board, its levels, and what else decides its result."""

    place: int
    levels: Levels
    rest: str

    def context(self, axis: str) -> str:
        """All but the level of one axis."""
        return json.dumps([self.rest, sorted((k, v) for k, v in self.levels.items() if k != axis)])


@dataclass(frozen=True)
class Table:
    """Levels of an axis, and for each context the row of each level: (contexts, levels) places on the board."""

    axis: str
    levels: tuple[str, ...]
    places: np.ndarray


def grids(verdicts: Verdicts, records: Mapping[str, Record]) -> list[dict[str, Any]]:
    """Of each method whose rows make a grid, its axes as JSON holds them; `records`: by the ids of runs."""
    rows = verdicts.board.rows
    cells = [cell(place, row, records) for place, row in enumerate(rows) if row.method and row.score]
    found = []
    for method, own in grouped(cells, lambda c: rows[c.place].method).items():
        made = tables(own)
        if any(table.axis not in GIVEN for table in made):
            places = {place for table in made for place in table.places.ravel().tolist()}
            found.append({"method": method, "cells": len(places), "axes": judged(verdicts, made)})
    return found


def cell(place: int, row: Row, records: Mapping[str, Record]) -> Cell:
    spec = checked_spec(records[row.runs[0][1]])
    extra = {key: value for key, value in (spec.model_extra or {}).items() if key != "data"}
    versions = {key: spec.versions.get(key) for key in OWN}
    return Cell(place, levels_of(spec), json.dumps([versions, extra], sort_keys=True))


def levels_of(spec: CheckedSpec) -> Levels:
    """The level of a run on every axis there could be."""
    family = spec.student.partition(":")[0]
    parts = {"method": ("method", spec.method, ""), "student": ("student", family, f"{family}."), "track": ("", "", "")}
    found = {"student": spec.student, "teacher": spec.teacher}
    for part, values in spec.settings.items():
        kind, name, prefix = parts.get(part, ("", "", f"{part}."))
        plugin = registry.found(kind).get(name) if kind else None
        composed: Mapping[str, Sequence[str]] = plugin.declares.get("axes", {}) if plugin else {}
        for key, value in values.items():
            found |= split(in_words(value), composed[key]) if key in composed else {prefix + key: in_words(value)}
    return found


def split(value: str, names: Sequence[str]) -> Levels:
    """`gap:cos` as the levels of several axes; of several such, between commas, what they have in common or all."""
    rows = [(part.strip().split(":") + [NONE] * len(names))[: len(names)] for part in value.split(",")]
    columns = (tuple(column) for column in zip(*rows, strict=True))
    joined = (column[0] if len(set(column)) == 1 else ", ".join(column) for column in columns)
    return {name: level or NONE for name, level in zip(names, joined, strict=True)}


def tables(cells: Sequence[Cell]) -> list[Table]:
    """Every axis on which some cells differ in nothing else, a table for each set of levels that contexts have."""
    found, axes = [], dict.fromkeys(axis for c in cells for axis in c.levels)
    for axis in (axis for axis in axes if len({c.levels.get(axis) for c in cells}) > 1):
        contexts = grouped((c for c in cells if axis in c.levels), lambda c, axis=axis: c.context(axis))  # type: ignore[misc]
        rows = [{c.levels[axis]: c.place for c in own} for own in contexts.values()]
        for levels, alike in grouped(rows, lambda row: tuple(sorted(row))).items():
            if len(levels) > 1:
                found.append(Table(axis, levels, np.array([[row[level] for level in levels] for row in alike])))
    return found


def judged(verdicts: Verdicts, found: Sequence[Table]) -> list[dict[str, Any]]:
    """Each table with its levels, the best mean rank first, and all pairs of them."""
    drawn = [mean_draws(verdicts, table) for table in found]
    means = [mean_scores(verdicts, table) for table in found]
    pairs = [pairs_of(mean, draws[1]) if draws else [] for mean, draws in zip(means, drawn, strict=True)]
    corrected = iter(holm(np.array([pair["p_value"] for own in pairs for pair in own])).tolist())
    count = sum(map(len, pairs))
    for pair in (pair for own in pairs for pair in own):
        pair["p_holm"] = next(corrected)
        pair["evidence"] = evidence.word(pair["low"], pair["high"], pair["p_holm"])
    return [described(*each) | {"family": count} for each in zip(found, means, drawn, pairs, strict=True)]


def mean_scores(verdicts: Verdicts, table: Table) -> np.ndarray:
    """Mean rank and mean score of each level over the contexts, (2, levels)."""
    rows = verdicts.board.rows
    scores = np.array([[rows[place].score.value for place in context] for context in table.places])
    ranks = shared(np.round(scores, PLACES).T)  # a context in the place of a draw
    return np.stack([ranks.mean(1), scores.mean(0)])


def mean_draws(verdicts: Verdicts, table: Table) -> tuple[np.ndarray, np.ndarray] | None:
    """Draws of both, (levels, B) each; None: predictions of a row are not stored."""
    ranks, scores = np.zeros(()), np.zeros(())
    for context in table.places:
        draws = verdicts.draws(context.tolist())
        if draws is None:
            return None
        ranks, scores = ranks + shared(draws), scores + draws.astype(float)
    return ranks / len(table.places), scores / len(table.places)


def pairs_of(means: np.ndarray, draws: np.ndarray) -> list[dict[str, Any]]:
    """The difference of every two levels' mean scores, with its interval and two-sided p-value."""
    found = []
    for a, b in combinations(range(len(draws)), 2):
        gap = draws[a] - draws[b]
        low, high = np.percentile(gap, [2.5, 97.5]).tolist()
        beyond = min(int((gap <= 0).sum()), int((gap >= 0).sum()))
        p_value = min(1.0, 2 * (1 + beyond) / (1 + len(gap)))
        found.append({"a": a, "b": b, "value": float(means[1, a] - means[1, b]), "low": low, "high": high,
                      "p_value": p_value})  # fmt: skip
    return found


def described(
    table: Table, means: np.ndarray, draws: tuple[np.ndarray, np.ndarray] | None, pairs: list[dict[str, Any]]
) -> dict[str, Any]:
    """A table as JSON holds it; pairs by the names of levels, the better one of the table first."""
    count, names = len(table.levels), table.levels
    order = sorted(range(count), key=lambda at: (means[0, at], -means[1, at], names[at]))
    place = {at: number for number, at in enumerate(order)}
    said = [turned(pair) if place[pair["a"]] > place[pair["b"]] else pair for pair in pairs]
    said = [pair | {"a": names[pair["a"]], "b": names[pair["b"]]} for pair in said]
    levels = [level(names[at], at, means, draws, said, names[order[0]]) for at in order]
    return {
        "axis": table.axis, "contexts": len(table.places), "levels": levels, "pairs": said,
        "told": {word: sum(pair["evidence"] == word for pair in said) for word in evidence.WORDS},
    }  # fmt: skip


def level(
    name: str, at: int, means: np.ndarray, draws: tuple[np.ndarray, np.ndarray] | None,
    pairs: Sequence[Mapping[str, Any]], first: str,
) -> dict[str, Any]:  # fmt: skip
    """A level: mean rank and mean score with their intervals, its difference to the first, and whom it ties with."""
    (rank, score), found = means[:, at].tolist(), dict.fromkeys(("rank_low", "rank_high", "low", "high"))
    if draws is not None:
        ends = [np.percentile(drawn[at], [2.5, 97.5]).tolist() for drawn in draws]
        found = {"rank_low": min(rank, ends[0][0]), "rank_high": max(rank, ends[0][1])}
        found |= {"low": ends[1][0], "high": ends[1][1]}
    own = [pair for pair in pairs if name in (pair["a"], pair["b"])]
    ties = [pair["b"] if pair["a"] == name else pair["a"] for pair in own if pair["evidence"] == evidence.OPEN]
    behind = next((turned(pair) for pair in own if pair["a"] == first and pair["b"] == name), None)
    return {"level": name, "rank": rank, "score": score, **found, "ties": ties, "behind": behind}


def turned(pair: Mapping[str, Any]) -> dict[str, Any]:
    """B minus A."""
    ends = {"value": 0 - pair["value"], "low": 0 - pair["high"], "high": 0 - pair["low"]}
    return {**pair, **ends, "a": pair["b"], "b": pair["a"]}
