"""One side of a task of images and texts, as a task of its own for the family that builds that tower."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from bench.data.pairs import Pairs
from bench.errors import RequestError
from bench.inputs import Examples, single
from bench.kinds.embed import Embed
from bench.task import Task


class Side(SimpleNamespace):
    """What families ask of a task: its inputs in training, the kind (a vector an input), names of models."""

    training_sets: Sequence[str] = ("supervised",)
    goal = Embed()
    name: str
    teachers: Mapping[str, str]
    found: Any

    def examples(self, purpose: str) -> Examples:
        return single(self.found)


def sides(task: Task) -> tuple[Any, Any]:
    """(images, texts). RequestError: the task is about something else."""
    found = task.examples("supervised").inputs
    if not isinstance(found, Pairs):
        raise RequestError(f"the task '{task.name}' is not about images and texts")
    return tuple(  # type: ignore[return-value]
        Side(found=pool, name=task.name, teachers=task.teachers) for pool in (found.images, found.texts)
    )
