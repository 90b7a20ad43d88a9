"""A finished run's rankings of test as TREC run files, and its teacher's scores of the training groups."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from bench.base.console import Console
from bench.records import disk
from bench.records.arrays import unpack
from bench.records.derived import of_other
from bench.records.schemas import Record
from bench.runs.protocol import make_teacher
from bench.runs.spec import Spec
from bench.scoring.scores import REFERENCE, TEACHER, Predictions
from bench.teachers.teacher import Asked


def write(folder: Path, path: Path, record: Record, spec: Spec, console: Console) -> None:
    """All files that the task makes of the stored predictions, and of what the teacher says of `distil`.

    RequestError: the task ranks nothing, or the predictions cannot be read.
    """
    spec.task.unseal()
    stored = unpack(disk.beside(path, record.predictions.file))
    rankings = dict(named(stored, record))
    for name, lines in spec.task.run_files(rankings, lambda: of_training(spec, console)):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def named(stored: Predictions, record: Record) -> Iterator[tuple[str, Predictions]]:
    """Whose predictions these are: student, teacher where it has any, references."""
    yield "student", stored
    others = {TEACHER: TEACHER} if record.teacher.main else {}
    for name, array in (others | {name: REFERENCE + name for name in record.references}).items():
        yield name, of_other(stored, array)


def of_training(spec: Spec, console: Console) -> np.ndarray:
    """What the kind decodes of the teacher's signals for each input of `distil`, as that reads it (N, ...), from the
    store where a run has put them."""
    teacher, goal = make_teacher(spec, torch.device("cpu"), console), spec.task.goal
    examples = teacher.network.grouped(spec.task.examples("distil"))
    track, everything = spec.track, np.arange(len(examples.inputs))
    (output,) = teacher.network.named(("output",), goal.output)
    asked = Asked(examples, frozenset({output}), track.max_length, "evaluate", track.signals)
    source = teacher.serve(asked, lambda: everything)
    parts = [goal.decode(source.rows(rows)) for rows in np.array_split(everything, 1 + len(everything) // 256)]
    return torch.cat(parts).numpy()  # type: ignore[arg-type]
