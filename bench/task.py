"""The contract of a task: where its data comes from, how it is split, what is measured."""

from __future__ import annotations

import functools
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from bench.errors import BenchError, RequestError
from bench.inputs import Examples
from bench.kind import Kind
from bench.kind import Outputs as Outputs
from bench.plugins import registry
from bench.scoring.scores import Predictions as Predictions
from bench.scoring.scores import Scores as Scores
from bench.sources import Source

if TYPE_CHECKING:
    from torch import nn


def later(default: Any) -> Any:
    """A setting that came later: run ids and teachers' keys know it where it is not what had always been."""
    return field(default=default, metadata={"later": True})


@dataclass(frozen=True)
class Track:
    """How much data and compute: the part of the protocol that a task fixes for every method alike."""

    updates: int  # student updates of a method's main stage
    batch_size: int
    examples: int | None = None  # at most this many training inputs; None: all
    evaluations: int = 4  # how often dev is read in a stage, its end included
    max_length: int = 64  # tokens a training input is cut to, where the network reads tokens
    batching: Literal["bucketed", "plain"] = "bucketed"  # by length, or in plain shuffled order
    teacher: str = ""
    student: str = ""
    datasets: tuple[str, ...] = ()  # the family's data sets that are on this track; empty: all
    signals: Literal["float32", "float16"] = later("float32")  # how teacher signals are stored
    precision: Literal["float32", "bfloat16"] = later("float32")  # of the student's forward pass
    teach: int = 0  # updates in which a teacher is fine-tuned that does not solve the task yet; 0: as many as `updates`

    def __post_init__(self) -> None:
        for name in ("updates", "batch_size", "examples", "evaluations", "max_length"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise RequestError(f"{name} must be at least 1, not {value}")

    def settings(self, without: Collection[str] = ()) -> dict[str, Any]:
        """What keys are made of."""
        known = [f for f in fields(self) if f.name not in without]
        chosen = [f for f in known if not (f.metadata.get("later") and getattr(self, f.name) == f.default)]
        return {f.name: getattr(self, f.name) for f in chosen}


@dataclass(frozen=True)
class Card:
    """What a reader must know of the data; copied into every record."""

    title: str
    source: str
    revision: str
    licence: str
    citation: str
    splits: Mapping[str, str]  # split -> what it is
    sizes: Mapping[str, int]  # split or training set -> examples
    notes: Sequence[str] = field(default=())


class TestSealed(BenchError):
    """The test split was asked for before the final evaluation."""

    __test__ = False  # not a pytest class


class Task(ABC):
    """One unit of distillation. A family is one module in `tasks/`; it holds one subclass.

    Class attributes are literals, so that `bench list` can read them without importing the module.
    """

    title: ClassVar[str] = ""
    purposes: ClassVar[
        Mapping[str, str]
    ] = {}  # data set -> what it is for, in words for the board; "": of a family that is one task
    kind: str  # of its output, the name of a file in bench/kinds: embed, classify, tag ...
    kinds: ClassVar[Mapping[str, str]] = {}  # of the data sets that are of another kind than the family
    datasets: ClassVar[tuple[str, ...]] = ()  # `family/dataset` names; empty: the family is one task
    reads: ClassVar[str] = "text"  # what its inputs are: text, image ... : students that read the same fit
    training_sets: ClassVar[tuple[str, ...]] = ("distil", "supervised")  # that `examples` can be asked for
    main_metric: str
    main_metrics: ClassVar[Mapping[str, str]] = {}  # of the data sets that have another main metric
    version: ClassVar[int] = 1  # raise it when the same data would give other numbers
    teachers: ClassVar[Mapping[str, str]] = {}  # short names of teachers, see bench.networks.places.locate
    tracks: ClassVar[Mapping[str, Track]]
    lengths: ClassVar[tuple[int, ...]] = (128,)  # fixed input lengths, in tokens, that are timed for comparison

    classes: tuple[str, ...] = ()  # names of the classes in the order of their numbers; of the chosen data set
    name: str = ""  # family, or family/dataset; set by the engine from the module's name

    def __init_subclass__(cls) -> None:
        """Every way to the test split asks `open_split` first, whatever the author of the task wrote."""
        super().__init_subclass__()
        for name in ("inputs", "predict"):
            if name in vars(cls):
                setattr(cls, name, guarded(vars(cls)[name]))
        if "identity" in vars(cls):  # asked for by every run of a command, and it may read all the data
            cls.identity = remembered(vars(cls)["identity"])  # type: ignore[assignment, method-assign]

    def __init__(self, source: Source, track: str, dataset: str = "") -> None:
        self.source, self.track_name, self.dataset = source, track, dataset
        self.track = self.tracks[track]
        self.kind = self.kinds.get(dataset, self.kind)
        self.main_metric = self.main_metrics.get(dataset, self.main_metric)
        self._sealed = True

    @abstractmethod
    def identity(self) -> str:
        """Content key of the data: pinned revisions of the Hub, a hash of what was read elsewhere."""

    @abstractmethod
    def card(self) -> Card:
        """Where the data came from, its licence, splits and sizes."""

    @abstractmethod
    def examples(self, purpose: str) -> Examples:
        """A training set by name: `distil` (what student and teacher both read), `supervised` (with labels, or in
        groups), and whatever else `training_sets` names."""

    @property
    def outputs(self) -> int:
        """Numbers that the head gives for an input: one a class; one of a regression."""
        return len(self.classes) or 1

    @property
    def goal(self) -> Kind:
        """What is asked of a network: the kind of the task's output."""
        kind: type[Kind] = registry.load(registry.installed("kind", self.kind))
        return kind(self.outputs if kind.output == "logits" else 0, tuple(self.classes))

    def objective(self) -> nn.Module:
        """The supervised loss as a module (it may own parameters): forward(student, batch) -> named losses."""
        return self.goal.objective()

    @abstractmethod
    def inputs(self, split: str) -> Sequence[Any]:
        """Raw inputs of `dev` or `test`; `predict` reads the network's outputs in this order."""

    def answers(self) -> Any:
        """The labels of `inputs("dev")`, as `Examples` has those of training: for the dev score of a teacher that is
        told them. Nobody is told those of test. RequestError: this task tells none."""
        raise RequestError(f"{self.name} tells no answers of dev, which a teacher that reads them is told")

    @abstractmethod
    def predict(self, outputs: Any, split: str) -> Predictions:
        """What the kind decoded of each of `inputs(split)` -> predictions beside their gold values."""

    @staticmethod
    @abstractmethod
    def score(predictions: Predictions) -> Scores:
        """Metrics from predictions alone, so that a stored record can be scored again without the data."""

    def open_split(self, split: str) -> None:
        """Raise TestSealed when the test split is asked for before `unseal`."""
        if split == "test" and self._sealed:
            raise TestSealed("the test split is read once, after training; choices are made on dev")

    def seal(self) -> None:
        """Called by the protocol before training."""
        self._sealed = True

    def unseal(self) -> None:
        """Called by the protocol when training has ended."""
        self._sealed = False


def remembered(method: Callable[[Any], str]) -> Callable[[Any], str]:
    """The method's result for each object, worked out once for one track."""

    @functools.wraps(method)
    def once(self: Any) -> str:
        known = self.__dict__.setdefault("_identity", {})
        if self.track not in known:
            known[self.track] = method(self)
        return str(known[self.track])

    return once


def guarded(method: Callable[..., Any]) -> Callable[..., Any]:
    """The method behind `open_split`; its `split` is found by name."""
    signature = inspect.signature(method)

    @functools.wraps(method)
    def checked(self: Task, *arguments: Any, **keywords: Any) -> Any:
        self.open_split(signature.bind(self, *arguments, **keywords).arguments["split"])
        return method(self, *arguments, **keywords)

    return checked
