"""What the tests of ranking methods share: groups of a query and three candidates, and a small collection to run on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.inputs import Batch
from bench.kinds.rank import Rank
from bench.method import Run
from bench.network import Shape
from bench.runs.protocol import Distilled
from bench.runs.spec import Request, Spec, resolve
from bench.signals import Signals
from bench.task import Track
from tests.factories.collection import write_beir

RNG = np.random.default_rng(11)
WIDE, NARROW = RNG.normal(size=(12, 5)), RNG.normal(size=(12, 3))  # 3 groups, column by column
GROUPS = Batch(torch.arange(3), 4)
UPDATES = 40


class Data:
    kind, goal = "rank", Rank()


def made(cls: Any, depths: tuple[int, int] = (4, 3), seed: int = 0, **settings: Any) -> Any:
    """A method on groups, without an engine; teacher and student of so many layers."""
    shapes = {"teacher_shape": Shape(depths[0], 0, (5,)), "student_shape": Shape(depths[1], 0, (3,))}
    return cls(cls.Settings(**settings), Run(Data(), Track(updates=UPDATES, batch_size=3), 3, 5, seed, **shapes))  # type: ignore[arg-type]


def of(rows: Any) -> Signals:
    return Signals(embedding=torch.as_tensor(rows))


def collection(folder: Path) -> Path:
    """Judged queries, each of which shares both its words with one or two documents."""
    train = [(f"q{n}", f"d{n}", 1) for n in range(24)]
    dev, test = ([(f"q{n}", f"d{n}", 1) for n in rows] for rows in (range(24, 32), range(32, 40)))
    return write_beir(folder / "scifact", documents=60, queries=40, train=train, dev=dev, test=test).parent


def planned(data: Path, method: str, student: str, teacher: Path | str, *settings: str, updates: int = 24) -> Spec:
    """The run of such a command on the small collection."""
    small = (f"updates={updates}", "batch_size=8", "evaluations=2", "max_length=16", *settings)
    request = Request(("retrieval/scifact",), (method,), (student,), str(teacher), "lite", (0,), data, small)
    (spec,) = resolve(request)
    return spec


def risen(found: Distilled) -> float:
    """How much more the student finds on dev than at its start."""
    return found.dev - found.trainer.progress.curve[0]["dev"]
