"""The contract of a task: where its data comes from, how it is split, what is measured."""

from __future__ import annotations

import functools
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from bench.errors import BenchError, RequestError, unknown
from bench.inputs import Examples, Pool
from bench.kind import Kind
from bench.kind import Outputs as Outputs
from bench.plugins import registry
from bench.scoring.scores import Predictions as Predictions
from bench.scoring.scores import Scores as Scores
from bench.sources import HubSet, Source

if TYPE_CHECKING:
    from torch import nn


def later(default: Any, was: Any = None, teaches: bool = True) -> Any:
    """A setting that came later, of a track, a method or a student: run ids and teachers' keys know it where it is not
    what `was` always before; None: the default. One of a track that `teaches` not is the student's alone: teachers are
    taught with its default, and rows with and without it have one teacher."""
    return field(default=default, metadata={"was": default if was is None else was, "teaches": teaches})


def said(settings: Any, without: Collection[str] = ()) -> dict[str, Any]:
    """What keys and records hold of settings: what came later only where it says something else than was before."""
    known = {f.name: f.metadata for f in fields(settings) if f.name not in without}
    values = {name: getattr(settings, name) for name in known}
    return {n: value for n, value in values.items() if "was" not in known[n] or value != known[n]["was"]}


@dataclass(frozen=True)
class Track:
    """How much data and compute: the part of the protocol that a task fixes for every method alike."""

    updates: int  # student updates of a method's main stage
    batch_size: int | None  # None: every update reads the whole training set, as is usual on a graph
    examples: int | None = None  # at most this many training inputs; None: all
    evaluations: int = 4  # how often dev is read in a stage, its end included
    max_length: int = 64  # tokens a training input is cut to, where the network reads tokens
    batching: Literal["dealt", "bucketed", "plain"] = "dealt"  # see bench.training.order
    teacher: str = ""
    student: str = ""
    datasets: tuple[str, ...] = ()  # the family's data sets that are on this track; empty: all
    signals: Literal["float32", "float16"] = later("float32", teaches=False)  # how teacher signals are stored
    precision: Literal["float32", "bfloat16"] = later("float32", teaches=False)  # of the student's forward pass
    warmup: Literal["stage", "epoch"] = later("stage", was="epoch")  # what the optimiser's warm-up is a share of
    ema: float = later(0.0)  # decay of the mean of a network's weights, which is judged and kept; 0: the weights are
    teach: int = 0  # updates in which a teacher is fine-tuned that does not solve the task yet; 0: as many as `updates`
    teach_rate: float = later(0.0)  # the learning rate of that; 0: its architecture's, which suits a small new head
    teach_precision: Literal["float32", "bfloat16"] = later("float32")  # of the forward pass of that

    def __post_init__(self) -> None:
        for name in ("updates", "batch_size", "examples", "evaluations", "max_length"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise RequestError(f"{name} must be at least 1, not {value}")
        if self.teach < 0:
            raise RequestError(
                f"teach must be a number of updates, or 0 for as many as the student's, not {self.teach}"
            )
        if not 0 <= self.teach_rate < 1:
            raise RequestError(f"teach_rate must be from 0 to below 1, not {self.teach_rate}")
        if not 0 <= self.ema < 1:
            raise RequestError(f"ema must be from 0 to below 1, not {self.ema}")


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


@dataclass(frozen=True)
class Search:
    """What a user of a search engine waits for: a query is encoded, and compared with an index of documents."""

    queries: Pool
    documents: int  # vectors in the index
    depth: int  # best documents that are picked
    together: Pool | None = None  # the first query with documents, for networks that read the two together
    suffix: str = ""  # of its name, where a task has several


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
    opens: ClassVar[tuple[str, ...]] = ()  # endings of files that are its data sets; `hf:`: so are those of the Hub
    training_sets: ClassVar[tuple[str, ...]] = ("distil", "supervised")  # that `examples` can be asked for
    main_metric: str
    main_metrics: ClassVar[Mapping[str, str]] = {}  # of the data sets that have another main metric
    version: ClassVar[int] = 1  # raise it when the same data would give other numbers
    versions: ClassVar[Mapping[str, int]] = {}  # by data set, where one's own was raised: the others' runs stay
    suites: ClassVar[Mapping[str, Any]] = {}  # tables of its data sets with averages: bench/plugins/suites.py
    teachers: ClassVar[Mapping[str, str]] = {}  # short names of teachers, see bench.networks.places.locate
    tracks: ClassVar[Mapping[str, Track]]
    max_lengths: ClassVar[Mapping[str, int]] = {}  # of the data sets whose texts a track's own would cut too short
    lengths: ClassVar[tuple[int, ...]] = (128,)  # fixed input lengths, in tokens, that are timed for comparison

    classes: tuple[str, ...] = ()  # names of the classes in the order of their numbers; of the chosen data set
    name: str = ""  # family, or family/dataset; set by the engine from the module's name

    def __init_subclass__(cls) -> None:
        """Whatever the author of the task wrote, every way to the test split asks `open_split` first, and to a training
        set `open_set`."""
        super().__init_subclass__()
        for name, part, check in GUARDED:
            if name in vars(cls):
                setattr(cls, name, guarded(vars(cls)[name], part, check))
        if "identity" in vars(cls):  # asked for by every run of a command, and it may read all the data
            cls.identity = remembered(vars(cls)["identity"])  # type: ignore[assignment, method-assign]

    def __init__(self, source: Source, track: str, dataset: str = "") -> None:
        self.source, self.track_name, self.dataset = source, track, dataset
        self.track = self.track_of(track, dataset)
        self.kind = self.kinds.get(dataset, self.kind)
        self.main_metric = self.main_metrics.get(dataset, self.main_metric)
        self._sealed = True

    @classmethod
    def track_of(cls, name: str, dataset: str = "") -> Track:
        """The track as it is of a data set."""
        track, longer = cls.tracks[name], cls.max_lengths.get(dataset)
        return replace(track, max_length=max(track.max_length, longer)) if longer else track

    @abstractmethod
    def identity(self) -> str:
        """Content key of the data: pinned revisions of the Hub, a hash of what was read elsewhere."""

    @abstractmethod
    def card(self) -> Card:
        """Where the data came from, its licence, splits and sizes."""

    def on_hub(self) -> Mapping[str, HubSet]:
        """The data sets of test that were read from the Hub, by name; none where they are from elsewhere."""
        return {}

    def misfit(self) -> str:
        """Why the data that it was given by path are none of its own, in words; empty: they are."""
        return ""

    def plan(self) -> str:
        """What a dry run tells of the work that is done once for all runs; empty: nothing that is worth a line."""
        return ""

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
        return kind.of(self.outputs if kind.output == "logits" else 0, self.classes, self.labels)

    def labels(self) -> Any:
        """Those of the supervised training set; None: there are none."""
        return self.examples("supervised").labels if "supervised" in self.training_sets else None

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

    def together(self, split: str) -> Pool:
        """What networks that `reads_together` are given in the place of `inputs(split)`. RequestError: nothing."""
        raise RequestError(f"{self.name} has nothing for networks that read two texts together")

    def predict_together(self, outputs: Any, split: str) -> Predictions:
        """As `predict`, of what was decoded of each of `together(split)`."""
        raise RequestError(f"{self.name} has nothing for networks that read two texts together")

    def doubt(self, outputs: Any) -> str:
        """Why a teacher of which the kind decoded these `outputs` over dev does not fit the data; empty: it does."""
        return self.goal.doubt(list(self.predict(outputs, "dev").values()))

    def references(self, split: str) -> dict[str, Predictions]:
        """What a board shows beside teacher and students that no network predicted, by name: BM25 of a collection."""
        return {}

    def run_files(
        self, rankings: Mapping[str, Predictions], taught: Callable[[], Any]
    ) -> Iterable[tuple[str, Iterable[str]]]:
        """(name, lines) of files that the field's tools read, of predictions on test by whose they are; `taught()`:
        what the kind decodes of each input of `distil`, as the teacher reads that. RequestError: there are none."""
        raise RequestError(f"{self.name} ranks no documents: its predictions lie beside the record, as .npz")

    def searches(self) -> Sequence[Search]:
        """What is timed beside the network alone, of a task whose users search, the one that boards show first; asked
        for after `unseal`."""
        return ()

    @staticmethod
    @abstractmethod
    def score(predictions: Predictions) -> Scores:
        """Metrics from predictions alone, so that a stored record can be scored again without the data."""

    def open_split(self, split: str) -> None:
        """Raise TestSealed when the test split is asked for before `unseal`."""
        if split == "test" and self._sealed:
            raise TestSealed("the test split is read once, after training; choices are made on dev")

    def open_set(self, purpose: str) -> None:
        """RequestError: the task has no such training set."""
        if purpose not in self.training_sets:
            raise unknown("training set", purpose, self.training_sets)

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


# (method, the argument of it, what checks that)
GUARDED = (
    ("inputs", "split", "open_split"), ("predict", "split", "open_split"), ("references", "split", "open_split"),
    ("together", "split", "open_split"), ("predict_together", "split", "open_split"),
    ("examples", "purpose", "open_set"),
)  # fmt: skip


def guarded(method: Callable[..., Any], part: str, check: str) -> Callable[..., Any]:
    """The method behind a check of one argument, which is found by name."""
    signature = inspect.signature(method)

    @functools.wraps(method)
    def checked(self: Task, *arguments: Any, **keywords: Any) -> Any:
        getattr(self, check)(signature.bind(self, *arguments, **keywords).arguments[part])
        return method(self, *arguments, **keywords)

    return checked
