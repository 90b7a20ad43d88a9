"""The protocol of bench.runs.protocol for seeds that are trained together, with `--set seeds=stacked`.

What differs from seeds one after the other is how the updates are computed, and so the last digits: the seeds of a
group are part of each one's run id. Each is evaluated and recorded as if it were alone; what the group cost is shared.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from bench.base.console import Console
from bench.runs import recording, teach
from bench.runs.protocol import Distilled, build_method, build_student, check_classes, leave_record, make_teacher
from bench.runs.spec import Spec
from bench.store import folders
from bench.teachers.teacher import Teacher
from bench.training.loop import Dev, Trainer
from bench.training.together import Together


def siblings(spec: Spec) -> list[Spec]:
    """The runs of a spec's group, itself among them; of a run that stands alone, itself."""
    seeds = spec.values.get("stack") or [spec.seed]
    return [replace(spec, seed=seed, values={**spec.values, "seed": seed}) for seed in seeds]


def carry_out(specs: Sequence[Spec], results: Path, device: torch.device, console: Console) -> list[Path]:
    """Distil a whole group, evaluate and measure each of it, and leave their records. Resumes an interrupted group."""
    started, first = recording.now(), specs[0]
    folder = folders.make_folder(folders.root() / "runs" / first.run_id)
    found = distil(specs, folder, device, console)
    teach.publish(first.place, results)
    paths = [leave_record(spec, d, results, console, started) for spec, d in zip(specs, found, strict=True)]
    (folder / "checkpoint.safetensors").unlink(missing_ok=True)
    return paths


def distil(specs: Sequence[Spec], folder: Path, device: torch.device, console: Console) -> list[Distilled]:
    """Train the students of a group; the test split is sealed. The folder holds an interrupted group's checkpoint."""
    first = specs[0]
    first.task.seal()
    teacher = make_teacher(first, device, console)
    check_classes(first.task, teacher)
    students = [build_student(spec, teacher) for spec in specs]
    dev, path = Dev(first.task, students[0]), folder / "checkpoint.safetensors"
    members = []
    for spec, student in zip(specs, students, strict=True):
        method = build_method(spec, student, teacher, (), dev)
        members.append(Trainer(student, method, teacher, dev.score, path, console))
    Together(members, path).fit()
    return [Distilled(m.student, share(teacher, k, len(specs)), dev.score(m.student), m) for k, m in enumerate(members)]


def share(teacher: Teacher, number: int, count: int) -> Teacher:
    """The teacher with one member's share of what it cost: passes in whole numbers that add up to all."""
    own = copy.copy(teacher)
    own.forwards = {kind: (passes + number) // count for kind, passes in teacher.forwards.items()}
    own.seconds = {kind: seconds / count for kind, seconds in teacher.seconds.items()}
    return own
