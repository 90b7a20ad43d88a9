"""The contract of a student: an architecture family that builds networks of many sizes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from bench.errors import RequestError
from bench.inputs import Examples, Pool, single
from bench.kind import Kind
from bench.network import Network
from bench.task import Task


@dataclass(frozen=True)
class Known:
    """What a record says of its task and teacher, which stands for both where a network is made without weights."""

    goal: Kind
    size: float  # of an input, as networks count it (`Encoded.lengths`): the mean over those that were timed
    teacher: Path | None = None  # the folder of the encoder that teaches, or was taught; None: not in a package here
    inputs: Any = ()  # the training set, where a family reads what its inputs are like

    name: ClassVar[str] = ""
    training_sets: ClassVar[Sequence[str]] = ("supervised",)

    @property
    def outputs(self) -> int:
        return self.goal.outputs or 1

    def reading(self, inputs: Pool) -> Any:
        """The same with these inputs, which families take for a task."""
        return replace(self, inputs=inputs)

    def examples(self, purpose: str) -> Examples:
        return single(self.inputs)


@dataclass(frozen=True)
class Outline:
    """A network that a name stands for, without weights."""

    network: Network
    row: int = 0  # parameters of a word in its tables, where data decides how many there are; 0: it does not
    rows: int | None = None  # words that there are at most; None: as many as the teacher's tokenizer has
    # forward passes of one input, by what a record calls their operations
    passes: Mapping[str, Callable[[], Any]] = field(default_factory=dict)


class Student(ABC):
    """One family is one module in `students/`; `family:size` on the command line. Class attributes are literals."""

    offers: ClassVar[set[str] | frozenset[str]]  # signals that its networks' bodies can expose; a kind adds its logits
    kinds: ClassVar[set[str] | frozenset[str]] = frozenset()  # it can be built for; empty: all whose feature it offers
    frozen: ClassVar[bool] = False  # its body does not train, and is not stored with it
    told: ClassVar[bool] = False  # its networks read the answers (`reads_targets`): they teach, and are no students
    reads: ClassVar[str] = "text"  # what its inputs are: text, image ...
    sizes: ClassVar[str] = ""  # the grammar of `size`, for help and errors
    default: ClassVar[str] = ""  # the size when none is given
    exports: ClassVar[tuple[str, ...]] = ()  # formats of `bench export` that its networks fit, the first the plainest
    axes: ClassVar[Mapping[str, Sequence[str]]] = {}  # settings made of several, `a:b`: the axes that these are
    heads: ClassVar[tuple[str, ...]] = ()  # the same of kinds that have a head
    version: ClassVar[int] = 1

    @dataclass(frozen=True)
    class Settings:
        """Choices beside the size. Set with `--set family.name=value`."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    @classmethod
    @abstractmethod
    def check(cls, size: str) -> str:
        """The size in its canonical form. RequestError: it is malformed."""

    def initial(self, task: Task) -> str:
        """Content key of a checkpoint that these settings start from, for the run id; empty: there is none."""
        return ""

    def demands(self) -> set[str] | frozenset[str]:
        """Signals that a method must train with these settings, as nothing else does and they are part of the output:
        a second head."""
        return frozenset()

    @abstractmethod
    def build(self, size: str, task: Task, teacher: Network | None) -> Network:
        """A new network for this task. Random numbers are seeded by the caller; the teacher may lend weights,
        tokenizer and pooling, and is left as it is. Without one the network is to be a teacher itself."""

    def outlines(self, size: str, known: Known) -> Iterator[Outline]:
        """The networks that the name may stand for, of which a record's has to be one; torch's default device is meta
        meanwhile. None: data or a teacher decides its shapes that no record carries."""
        yield from ()

    def rebuild(self, blueprint: Mapping[str, Any], size: str, task: Task, teacher: Network | None) -> Network:
        """The network whose `blueprint()` this was, its weights still to be loaded. RequestError: none of ours."""
        if blueprint:
            raise RequestError(f"{type(self).__name__} builds no network from a blueprint")
        return self.build(size, task, teacher)
