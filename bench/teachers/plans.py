"""Where a run's teacher comes from: a ready model, an encoder to fine-tune, or a student's shape to train.

What has to be taught first is known by a key before it is there, and is taught when it is first asked for.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from bench.base.seeds import derived_seed
from bench.errors import RequestError
from bench.network import Network
from bench.networks import places
from bench.networks.places import Place
from bench.networks.transformer import load_model
from bench.plugins import registry
from bench.store import folders
from bench.task import Task, Track, said

VERSION = 1  # raise it when the same teacher would be taught otherwise
SEED = 0
OWN = "teacher"  # in a method's list of teachers: the run's own
RESEEDED = re.compile(r"(.+)~(\d{1,9})")  # MODEL~SEED


@dataclass(frozen=True)
class Plan:
    """One teacher that is to be there: its key is the same in every process before it is taught."""

    model: str  # as it was asked for
    task: Task
    base: Place | None  # the encoder; None: a student's shape
    seed: int = SEED

    @property
    def name(self) -> str:
        """What records call it: a shape by its family's name, wherever that lies."""
        name = self.model if self.base else shape_name(self.model)
        return name if self.seed == SEED else f"{name}~{self.seed}"

    @property
    def key(self) -> str:
        model = self.base.identity if self.base else [shape_name(self.model), version_of(self.model)]
        data = [self.task.name, self.task.version, self.task.identity()]
        kind = {"kind": self.task.goal.version} if self.task.goal.version > 1 else {}
        return folders.content_key(model=model, data=data, track=self.track, seed=self.seed, version=VERSION, **kind)

    @property
    def track(self) -> dict[str, Any]:
        """What of the track teaches: the updates are the teacher's own, and the student's make no other teacher."""
        track = self.task.track
        if track.warmup == "stage":  # keys of before hold both
            track = replace(track, updates=track.teach or track.updates, teach=0)
        return said(track, without=("teacher", "student", *of_student(track)))

    @property
    def folder(self) -> Path:
        return folders.root() / "teachers" / self.key

    @property
    def weights(self) -> Path:
        return self.folder / "teacher.safetensors"

    def network(self) -> Network:
        """The network with its first weights."""
        torch.manual_seed(derived_seed(self.seed, "teacher"))
        if self.base:
            network: Network = load_model(self.base, self.task.goal, new_head=True)
            network.origin = self.base.identity
            return network
        family, size = student_of(self.model)
        return family.build(size, self.task, None)


def of_student(track: Track) -> dict[str, Any]:
    """The settings of a track that do not change how its teacher is taught, with what they are for it."""
    return {f.name: f.default for f in fields(track) if not f.metadata.get("teaches", True)}


def lesson(task: Task) -> Task:
    """The task as its teachers are taught on it."""
    track = replace(task.track, **of_student(task.track) | {"precision": task.track.teach_precision})
    if track == task.track:
        return task
    own = copy.copy(task)
    known = {n for cls in type(task).__mro__ for n, part in vars(cls).items() if isinstance(part, cached_property)}
    for name in known & vars(own).keys():  # they were made for the student's track
        delattr(own, name)
    own.track = track
    return own


def locate(reference: str, task: Task, own: Place | None = None) -> Place:
    """A teacher for the task: a ready model, an encoder that will be fine-tuned, or a student's shape, `resnet:20`.

    `MODEL~1` is taught with seed 1 in place of 0. `teacher` is the run's `own`, where there is one.
    """
    if seeded := RESEEDED.fullmatch(reference):
        return reseeded(locate(seeded[1], task, own), int(seeded[2]))
    if own and reference == OWN:
        return own
    if is_shape(reference):
        return taught(Plan(reference, task, None))
    place = places.locate(reference, task)
    if task.goal.scorers and place.pooling == places.TOGETHER:
        return taught(Plan(reference, task, place))
    if not task.goal.auto or task.goal.loader or places.has_head(place, task.goal):
        return place
    return taught(Plan(reference, task, place))


def reseeded(place: Place, seed: int) -> Place:
    """The same teacher, taught with another seed. RequestError: it is not taught."""
    if not isinstance(place.origin, Plan):
        raise RequestError(f"{place.name} solves the task as it is: there is no seed to teach it with")
    return taught(replace(place.origin, seed=seed))


def is_shape(reference: str) -> bool:
    """Whether a teacher is named as a student is, family:size."""
    family = split_shape(reference)[0]
    return family.endswith(".py") or family in registry.found("student")


def split_shape(reference: str) -> tuple[str, str]:
    """(family, size) of `resnet:20` or `./mine.py:20`; the size may be empty."""
    if reference.endswith(".py"):
        return reference, ""
    family, _, size = reference.rpartition(":") if ".py:" in reference else reference.partition(":")
    return family, size


def shape_name(reference: str) -> str:
    """`mine:20` of `./mine.py:20`; what has no path is its own name."""
    family, size = split_shape(reference)
    if not family.endswith(".py"):
        return reference
    return ":".join(filter(None, (registry.find("student", family).name, size)))


def version_of(reference: str) -> Any:
    """What changes when a shape's family does: its version, or of a file given by path the digest."""
    plugin = registry.find("student", split_shape(reference)[0])
    return plugin.digest or registry.load(plugin).version


def student_of(reference: str) -> tuple[Any, str]:
    """(the family, its size) of `family:size`."""
    family, size = split_shape(reference)
    cls = registry.load(registry.find("student", family))
    return cls(cls.Settings()), cls.check(size or cls.default)


def taught(plan: Plan) -> Place:
    """Where the teacher is, or will be once it is asked for."""
    return Place(plan.name, f"taught {plan.key}", "", plan.folder, origin=plan)


def untaught(place: Place) -> bool:
    """Whether a teacher has to be taught before it can be asked."""
    return isinstance(place.origin, Plan) and not place.origin.weights.exists()
