"""What a tagger finds of each type of entity: one F1 over all hides a type that is never found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.scoring.entities import Entities, counts_by_type
from bench.scoring.scores import TEACHER, Predictions

SCORES = {"f1": Entities(), "precision": Entities((1, 0)), "recall": Entities((0, 1))}


def by_type(predictions: Predictions) -> list[dict[str, Any]]:
    """Of data sets with entities of several types, type by type: how many gold has, F1, precision and recall over all
    examples, and the teacher's F1. Entities are read as `entity_f1` reads them."""
    return [{"data": name, **row} for name, own in predictions.items() for row in rows_of(own)]


def rows_of(own: Mapping[str, Any]) -> list[dict[str, Any]]:
    """None: there are no entities, or they are of one type, of which the metrics tell."""
    student, teacher = (scores_by_type(own.get(side), own.get("gold")) for side in ("prediction", TEACHER))
    rows = [{"type": kind, **found, "teacher_f1": teacher.get(kind, {}).get("f1")} for kind, found in student.items()]
    return rows if len(rows) > 1 else []


def scores_by_type(prediction: Any, gold: Any) -> dict[str, dict[str, float]]:
    """Empty: they are no tags of the same words."""
    if not SCORES["f1"].fits(prediction, gold):
        return {}
    types, counts = counts_by_type(prediction, gold)
    return {
        kind: {"gold": int(sums[2])} | {name: float(score.of_sums(sums)) for name, score in SCORES.items()}
        for kind, sums in zip(types, counts.sum(0), strict=True)
    }
