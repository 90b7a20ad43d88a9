"""The contract of a method: what the student is trained to match, in one or more stages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from bench.errors import RequestError
from bench.inputs import Examples
from bench.network import Network, Shape
from bench.optimiser import Optimiser
from bench.plugins.contract import place
from bench.task import Task, Track

if TYPE_CHECKING:
    from bench.kind import Kind, Outputs

Names = frozenset[str] | set[str]
Losses = dict[str, Tensor]  # named scalars; the loop minimises their sum
Loss = Callable[..., Losses]  # (signals of the step's roles in order, batch); of several networks a list of Signals


@dataclass(frozen=True)
class Tuned:
    """In the type of a setting: the range that `bench tune` draws it from, on a log scale where `log`."""

    low: float
    high: float
    log: bool = False
    without: Names = frozenset()  # kinds of task for which the setting says nothing


# Of one of two losses, the other has the rest.
Weight = Annotated[float, Field(ge=0, le=1), Tuned(0, 1)]


@dataclass(frozen=True)
class Role:
    """A network that takes part in a stage."""

    who: str  # student, teacher, or a name of Method.wanted
    signals: Names = frozenset({"output"})  # `output`: what the kind of task is evaluated on
    trains: bool = False  # it runs in every update, with gradient; else it is frozen, and the store serves it
    noisy: bool = False  # frozen, but with its dropout on: it runs in every update, and nothing can be stored
    reads_padding: bool = False  # the loss reads its tokens at padding, which depend on the batch: likewise


@dataclass(frozen=True)
class Part:
    """Parameters that one optimiser moves, out of the stage's networks by role and the method as `method`."""

    parameters: Callable[[Mapping[str, nn.Module]], Iterable[Tensor]]
    optimiser: Optimiser


@dataclass(frozen=True)
class Step:
    """One backward pass in an update, whose gradients go to the parts that it moves and to nothing else.

    Those of a step that moves nothing go to all parameters, and wait there: a part moves with all that has added up.
    A network runs once until something moves: such a step and the next see one forward pass of it.
    """

    loss: Loss
    roles: Sequence[str] = ("student", "teacher")
    moves: Sequence[str] = ("all",)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One training stage: who reads what, which losses, what they move, how long. See `Method.stage`."""

    name: str
    data: str | Examples  # a training set of the task by name, or one of the method's own
    updates: int
    batch_size: int | None  # None: all examples of the stage in every update
    roles: Mapping[str, Role | Sequence[Role]]
    steps: Sequence[Step]
    parts: Mapping[str, Part]
    # On dev. `last` where dev says nothing, as no loss is of the output, or speaks for what is to go, as in pruning.
    keep: Literal["best", "last"] = "best"

    def __post_init__(self) -> None:
        """RequestError: no updates, steps move other parts than there are, or networks that train share a role."""
        if self.updates < 1:
            raise RequestError(f"stage {self.name} has {self.updates} updates: every stage needs at least one")
        moved = {part for step in self.steps for part in step.moves}
        if moved != set(self.parts):
            raise RequestError(f"stage {self.name} moves {listed(moved)}, and its parts are {listed(self.parts)}")
        if any(r.trains for role in self.roles.values() if not isinstance(role, Role) for r in role):
            raise RequestError(f"stage {self.name}: each network that trains has a role of its own")


@dataclass(frozen=True)
class Wanted:
    """A run that comes first: an assistant that teaches, a start, a teacher of another task. It leaves a record."""

    name: str  # by which roles and other wanted runs call it
    student: str = ""  # as on the command line: `resnet:14`; empty: the run's own, built with the same settings
    method: str = "kd"
    teacher: str = ""  # the wanted run that teaches it, by name; empty: the run's own teacher
    task: str = ""  # empty: the run's own
    settings: Mapping[str, Any] = field(default_factory=dict)  # of its method, beside the defaults
    use: Literal["teaches", "starts"] = "teaches"  # it teaches, or the student starts from its weights
    weights: tuple[str, ...] = ()  # of a start, how the names of those begin that are taken; empty: all that fit
    seed: int | None = None  # one run for all seeds, as one pre-trained model starts all; none: the run's own
    # of another task: its teacher, as `--teacher` names it (empty: that task's default), and settings of its track
    model: str = ""
    track: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """RequestError: what has to be a name is none."""
        for each in ("name", "student", "method", "teacher", "task", "model"):
            if not isinstance(value := getattr(self, each), str):
                raise RequestError(f"a run that comes first has {value!r:.80} for its {each}, which has to be text")


@dataclass(frozen=True)
class Run:
    """What a method may know of the run it is part of."""

    task: Task
    track: Track
    student_width: int  # of `embedding`
    teacher_width: int
    seed: int
    optimiser: Optimiser = field(default_factory=lambda: Optimiser(lr=5e-5))  # the recipe of the student's architecture
    student_shape: Shape = field(default_factory=Shape)
    teacher_shape: Shape = field(default_factory=Shape)
    student: Network | None = None  # for hooks that read or change it; the losses get signals
    new_student: Callable[[str], Network] | None = None  # purpose -> another one, with other first weights
    dev_outputs: Callable[[str], Outputs] | None = (
        None  # a wanted run's name -> what its student says of dev; None: it is told
    )
    taught: Callable[[Examples], Outputs] | None = (
        None  # a training set -> the teacher's output at each place of its groups, (N, K, ...), from the store
    )
    opened: Callable[[str], Network] | None = None  # a wanted run's name -> its student, frozen
    dev_score: Callable[[Outputs], float] | None = None  # outputs over dev -> the main metric there


class Method(nn.Module):
    """A method owns its losses, and as parameters and buffers whatever they need besides the student.

    A projection, a queue or a learnable scale is a plain attribute of the module: the loop optimises the parameters,
    and a checkpoint holds all of them. The method never touches the optimiser, the device, precision or files.
    Class attributes are literals, so that `bench list` can read them without importing the module.
    """

    needs: ClassVar[Names] = frozenset()  # of teacher and student; `output` stands for the kind's own
    wants: ClassVar[Names] = frozenset()  # of the student alone
    kinds: ClassVar[Names] = frozenset()  # kinds of task it is defined for; empty: all
    recipes: ClassVar[Mapping[str, Optimiser]] = {}  # by kind of task, where the architecture's recipe is not taken
    defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = {}  # settings that are others where inputs are `image` ...
    axes: ClassVar[Mapping[str, Sequence[str]]] = {}  # settings made of several, `a:b`: the axes that these are
    transfers: ClassVar[str] = ""  # the method whose runs on other tasks it begins with; its setting `source` names one
    sources: ClassVar[Mapping[str, str]] = {}  # of such a method: the paper's names of its source tasks -> tasks here
    targets: ClassVar[tuple[str, ...]] = ()  # and those of them that are its targets
    # settings of the student that come with the method, as they are in the baselines that its rows are held against
    brings: ClassVar[Mapping[str, Any]] = {}
    prunes: ClassVar[bool] = False  # `finish` takes parts of the student away: it ends smaller than its name says
    version: ClassVar[int] = 1  # raise it when the same settings would give other numbers

    @dataclass(frozen=True)
    class Settings:
        """Hyper-parameters, each with its source. Set with `--set name=value`."""

    def __init__(self, settings: Any, run: Run) -> None:
        super().__init__()
        self.settings, self.run = settings, run
        self.goal: Kind = run.task.goal
        self.notes: dict[str, float] = {}  # what it found out before training, for the record

    @staticmethod
    def needed(settings: Any, names: Names) -> Names:
        """Those of `needs` that these settings ask for."""
        return names

    @staticmethod
    def content(settings: Any) -> str:
        """Content key of the files that these settings name, for the run id; empty: they name none."""
        return ""

    @staticmethod
    def wanted(settings: Any) -> Sequence[Wanted]:
        """The runs that come first, in this order."""
        return ()

    @staticmethod
    def teachers(settings: Any) -> Sequence[str]:
        """Models that teach beside the run's own, each as `--teacher` takes it, which is its name in roles too:
        `MODEL~1` is taught with seed 1, `teacher~1` is the run's own taught so."""
        return ()

    def recipe(self, **changes: Any) -> Optimiser:
        """The optimiser: of the kind of task or of the student's architecture, with the rate of `--set lr`.

        `changes` are of its settings; None: as it is.
        """
        recipe = self.recipes.get(self.run.task.kind, self.run.optimiser)
        chosen = {"lr": getattr(self.settings, "lr", None)} | changes
        return replace(recipe, **{name: value for name, value in chosen.items() if value is not None})

    def stage(
        self, name: str, loss: Loss, *, data: str | Examples = "distil", needs: Names = frozenset(),
        wants: Names = frozenset({"output"}), updates: int | None = None, optimiser: Optimiser | None = None,
        keep: Literal["best", "last"] = "best", teacher: str | Sequence[str] = "teacher", noisy: bool = False,
        reads_padding: bool = False,
    ) -> Stage:  # fmt: skip
        """The common stage: `loss(student, teacher, batch)` moves the student and the method's own parts.

        `needs`: of the teacher; empty: it is not asked, and its signals are empty. `teacher`: who teaches, by name; of
        several the loss gets a list.
        """
        asked = [Role(w, needs, noisy=noisy, reads_padding=reads_padding) for w in names_of(teacher)] if needs else []
        roles: dict[str, Role | Sequence[Role]] = {"student": Role("student", wants, trains=True)}
        if asked:
            roles["teacher"] = asked[0] if isinstance(teacher, str) else asked
        return Stage(
            name=name, data=data, updates=updates or self.run.track.updates, batch_size=self.run.track.batch_size,
            roles=roles, steps=[Step(loss)], parts={"all": Part(learning, optimiser or self.recipe())}, keep=keep,
        )  # fmt: skip

    def stages(self) -> Iterable[Stage]:
        """The stages in order; each starts from the best dev checkpoint of the one before."""
        raise RequestError(f"{place(type(self))}: {type(self).__name__} defines no stages()")

    def after_backward(self, step: Step) -> None:
        """Called after each backward pass: gradients are there, nothing has moved."""

    def after_update(self, progress: float) -> None:
        """Called after each update with the share of the stage that is done."""

    def finish(self, student: Network, teacher: Network) -> Network:
        """What is kept, scored, timed and exported, after the last stage: smaller than what was trained, or with parts
        that stay. Where a stage keeps the best on dev, that is read of what becomes of a copy of the student. Of a
        student without a blueprint, what it makes has the same shapes before training and after it, as a kept one is
        built again so."""
        return student


def finished(method: Method, student: Network, teacher: Network) -> Network:
    """What the method ends with, in place or not. RequestError: it is no network."""
    found = method.finish(student, teacher)
    if not isinstance(found, Network):
        raise RequestError(f"{place(method.finish)}: finish() returns {kind_of(found)}, and has to return a network")
    return found


def finishes(method: type[Method]) -> bool:
    """Whether it ends with another network than it trains."""
    return method.finish is not Method.finish


def listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"


def names_of(teacher: str | Sequence[str]) -> Sequence[str]:
    return [teacher] if isinstance(teacher, str) else teacher


def learning(modules: Mapping[str, nn.Module]) -> list[Tensor]:
    """All parameters of the stage's networks and the method that learn."""
    return [p for module in modules.values() for p in module.parameters() if p.requires_grad]


def stages_of(method: Method) -> Iterable[Stage]:
    """The method's stages. RequestError: it yields something else, or none."""
    made = method.stages()
    if not isinstance(made, Iterable) or isinstance(made, Stage):
        raise RequestError(f"{place(method.stages)}: stages() has to yield stages, as self.stage(...) makes them")
    count = 0
    for count, stage in enumerate(made, 1):  # noqa: B007 - told below
        if not isinstance(stage, Stage):
            raise RequestError(f"{place(method.stages)}: stages() yields {kind_of(stage)}, which is no stage")
        yield stage
    if not count:
        raise RequestError(f"{place(method.stages)}: stages() yields none")


def named_losses(loss: Loss, found: Any) -> Losses:
    """What a loss returned. RequestError: it is no mapping of names to scalars that something learns from."""
    if not isinstance(found, Mapping) or not found:
        wrong = f"it returns {kind_of(found)}" if not isinstance(found, Mapping) else "it returns no losses"
        raise RequestError(f"{place(loss)}: {wrong}; a loss returns named scalars, as in {{'mine': value}}")
    for name, value in found.items():
        if not isinstance(value, Tensor):
            raise RequestError(f"{place(loss)}: the loss {name!r} is {kind_of(value)}, and has to be a scalar tensor")
        if value.ndim:
            raise RequestError(f"{place(loss)}: the loss {name!r} is of shape {tuple(value.shape)}: take its mean()")
    if not any(value.requires_grad for value in found.values()):
        raise RequestError(f"{place(loss)}: no loss depends on anything that trains ({', '.join(map(str, found))})")
    return dict(found)


def kind_of(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
