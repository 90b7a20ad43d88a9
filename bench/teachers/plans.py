"""Where a run's teacher comes from: a ready model, an encoder to fine-tune, or a student's shape to train.

What has to be taught first is known by a key before it is there, and is taught when it is first asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.base.console import Console
from bench.base.processes import main_first
from bench.networks import places
from bench.networks.places import Place
from bench.plugins import registry
from bench.store import folders
from bench.task import Task

if TYPE_CHECKING:
    import torch

    from bench.network import Network

VERSION = 1  # raise it when the same teacher would be taught otherwise
SEED = 0
# settings of a track that do not change how its teacher is taught
OF_STUDENT = ("signals", "precision")


@dataclass(frozen=True)
class Plan:
    """One teacher that is to be there: its key is the same in every process before it is taught."""

    model: str
    task: Task
    base: Place | None  # the encoder; None: a student's shape

    @property
    def key(self) -> str:
        model = self.base.identity if self.base else [self.model, student_of(self.model)[0].version]
        track = self.task.track.settings(without=("teacher", "student", *OF_STUDENT))
        data = [self.task.name, self.task.version, self.task.identity()]
        return folders.content_key(model=model, data=data, track=track, seed=SEED, version=VERSION)

    @property
    def folder(self) -> Path:
        return folders.root() / "teachers" / self.key

    def network(self) -> Network:
        """The network with its first weights."""
        import torch

        from bench.training.loop import derived_seed

        torch.manual_seed(derived_seed(SEED, "teacher"))
        if self.base:
            from bench.networks.transformer import load_classifier

            network: Network = load_classifier(self.base.path, self.task.outputs, new_head=True)
            network.origin = self.base.identity
            return network
        family, size = student_of(self.model)
        return family.build(size, self.task, None)


def locate(reference: str, task: Task) -> Place:
    """A teacher for the task: a ready model, an encoder that will be fine-tuned, or a student's shape, `resnet:20`."""
    if is_shape(reference):
        return taught(Plan(reference, task, None))
    place = places.locate(reference, task)
    if task.kind == "embed" or places.has_head(place):
        return place
    return taught(Plan(reference, task, place))


def is_shape(reference: str) -> bool:
    """Whether a teacher is named as a student is, family:size."""
    return reference.partition(":")[0] in registry.found("student")


def student_of(reference: str) -> tuple[Any, str]:
    """(the family, its size) of `family:size`."""
    name, _, size = reference.partition(":")
    plugin = registry.find("student", name)
    cls = registry.load(plugin)
    return cls(cls.Settings()), cls.check(size or cls.default)


def taught(plan: Plan) -> Place:
    """Where the teacher is, or will be once it is asked for."""
    make = lambda device, console: ensure(plan, device, console)  # noqa: E731
    return Place(plan.model, f"taught {plan.key}", "", plan.folder, make=make)


def untaught(place: Place) -> bool:
    """Whether a teacher has to be taught before it can be asked."""
    return place.identity.startswith("taught ") and not ((place.folder or Path()) / "teacher.safetensors").exists()


@main_first
def ensure(plan: Plan, device: torch.device, console: Console) -> Network:
    """The teacher from the store; taught first where it is not there."""
    from bench.runs.teach import teach
    from bench.training import checkpoint

    with folders.locked(f"teacher-{plan.key}"):
        network = plan.network()
        kept = checkpoint.load(plan.folder / "teacher.safetensors")
        if kept is None:
            teach(plan, network, device, console)
        else:
            network.load_state_dict(kept[0])
        return network
