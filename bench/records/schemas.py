"""What records hold: those of runs (docs/record.schema.json is made from it), of taught teachers and of profiles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NotRequired, TypeVar

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError
from typing_extensions import TypedDict

from bench.errors import BenchError

SCHEMA: Literal[2] = 2
HARDLY, FEW = 0.01, 2  # how far dev may move, and by how many of its examples, of a student that hardly has


class Part(BaseModel):
    """Unknown keys and numbers that are not finite are errors. What checks a part is built when one is first read."""

    model_config = ConfigDict(
        extra="forbid", allow_inf_nan=False, ser_json_inf_nan="constants", defer_build=True, populate_by_name=True
    )


P = TypeVar("P", bound=Part)


def first_error(error: ValidationError) -> str:
    """Where a file is not of its form, and why, in one sentence."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}"


def made(form: type[P], values: Mapping[str, Any]) -> P:
    """A part of a record of what a run has found. BenchError: it cannot hold that, in one sentence."""
    try:
        return form(**values)
    except ValidationError as error:
        raise BenchError(f"this cannot be kept in a record: {first_error(error)}") from None


class Point(TypedDict):
    """One entry of a learning curve: the means of the losses since the entry before, and dev where it was read."""

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)  # type: ignore[misc]

    stage: str
    step: Annotated[int, Field(ge=0)]
    losses: dict[str, float]
    dev: NotRequired[float | None]  # none: the metric was undefined


Environment = dict[str, str | int | dict[str, str] | None]  # hardware and versions, and those of libraries


class Interval(Part):
    value: float
    ci95: tuple[float, float]


class Main(Interval):
    """The metric the board ranks by, with its bootstrap interval over test examples."""

    name: str
    dataset: str


class Choice(Part):
    """Something that was chosen, and the split that it was chosen on."""

    what: str
    split: Literal["dev"]
    step: int
    value: float


class Metrics(Part):
    main: Main
    all: dict[str, dict[str, float | None]] = Field(description="by data set; none: undefined there")
    undefined: dict[str, str] = Field(default={}, description="data set.metric -> what it gave in place of a number")
    retention: float | None = Field(description="student score / teacher score on the same test set")
    loyalty: dict[str, dict[str, float]] = Field(description="agreement with the teacher on test, by data set")
    dev: float = Field(description="dev score of the chosen checkpoint")
    choices: list[Choice] = Field(description="every choice that the run made; test was read once, after all of them")


class Data(Part):
    """The task's card, and the content key of what was read."""

    source: Literal["packaged", "directory", "hub"]
    identity: str
    title: str
    origin: str
    revision: str
    licence: str
    citation: str
    splits: dict[str, str]
    sizes: dict[str, int]
    notes: list[str]


class Parameters(Part):
    """`active`: all but look-up tables, of which a forward pass reads a few rows."""

    total: int = Field(ge=0)
    embedding: int = Field(ge=0)
    active: int = Field(ge=0)


class Energy(Part):
    joules_per_1000: float = Field(description="inputs, scenario offline")
    source: str = Field(description="nvml, rapl, or an estimate, which is never ranked")


class Size(Part):
    """Counts and timings of one network. Points: single, offline, with _end_to_end, a length or a thread count."""

    parameters: Parameters
    disk_bytes: int = Field(ge=0, description="weights in safetensors; 0: never stored")
    flops: dict[str, float] = Field(description="of one input, a multiply-add as two; mean over test inputs, lengths")
    memory_bytes: int | None = Field(description="weights, and the peak beside them in a pass over all inputs")
    tokens: dict[str, float] = Field(description="mean of an input, and padding as a share of the offline batches")
    latency: dict[str, dict[str, float]] = Field(description="point -> p50_ms with its interval, p90_ms, p99_ms")
    throughput: dict[str, float] = Field(description="<point>_per_s: inputs a second at the median pass")
    energy: Energy | None
    index_bytes: int | None = Field(
        default=None, description="of the vectors of all documents, fp32, where a task's users search"
    )


class Teacher(Part):
    name: str
    identity: str
    fingerprint: str
    metrics: dict[str, dict[str, float | None]] | None = Field(
        description="none: it reads the answers, and has no row on test"
    )
    main: Main | None
    efficiency: Size


class Reference(Part):
    """What no network predicted, on the same test set."""

    metrics: dict[str, dict[str, float | None]]
    main: Main


class ByPath(Part):
    """What a plug-in given by path says of itself: nobody else has its file."""

    title: str = Field(max_length=500)
    notes: str = Field(max_length=20_000, description="its docstring")


class Student(Part):
    name: str
    origin: str = Field(description="where its initial weights came from")
    width: int


class StoredFile(Part):
    """A file beside the record."""

    file: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Efficiency(Size):
    """Measured in one session with the teacher, interleaved; see `scope` for what is inside the clock.

    Of a run that was not timed (`bench run --no-measure`) there are the counts alone, and `measured` is none.
    """

    speedup: Interval | None = Field(
        description="point single: median over rounds of teacher latency / student latency"
    )
    speedups: dict[str, Interval] = Field(description="the same at every point")
    scope: str
    device: str
    threads: int = Field(ge=1)
    inputs: int = Field(ge=1, description="test inputs of a pass")
    noisy: bool
    noise: list[str] = Field(description="why it is noisy")
    seen: dict[str, float] = Field(description="spread between rounds, others' share of the cores, load beforehand")
    notes: list[str]
    samples: StoredFile | None
    measured: str | None = Field(description="when; none: not measured")
    commit: str | None = Field(description="of the code that measured")
    dirty: bool | None


class Before(Part):
    """Of runs that came first: assistants, starts, and what these needed in turn; from their records."""

    runs: int = Field(ge=1)
    student_updates: int = Field(ge=0)
    teacher_forwards: int = Field(ge=0, description="computed or read from a store")
    seconds: float = Field(ge=0, description="of training and of teachers, whether or not a store served them")


class Cost(Part):
    """What distilling cost; signals that an earlier run had stored are counted apart."""

    student_updates: int = Field(ge=0)
    stages: dict[str, int]
    teacher_forwards: int | None = Field(ge=0, description="null: the code that ran did not count those of assistants")
    teacher_forwards_reused: int = Field(ge=0)
    train_seconds: float = Field(ge=0, description="of seeds that were trained together (spec.stack) an equal share")
    teacher_seconds: float | None = Field(ge=0, description="null: likewise")
    teacher_seconds_reused: float = Field(ge=0)
    energy_j: float | None = Field(ge=0, description="of the student's training loop")
    energy_source: str | None
    before: Before | None = Field(default=None, description="runs that had to come first; none: there were none")

    @property
    def forwards(self) -> int | None:
        """Of all networks that taught, whichever run paid for them; None: unknown."""
        return None if self.teacher_forwards is None else self.teacher_forwards + self.teacher_forwards_reused

    @property
    def own_seconds(self) -> float | None:
        """Without the runs that came first; None: unknown."""
        if self.teacher_seconds is None:
            return None
        return self.train_seconds + self.teacher_seconds + self.teacher_seconds_reused

    @property
    def seconds(self) -> float | None:
        """Of all that the student took, whichever run paid for it; None: unknown."""
        own = self.own_seconds
        return own if own is None or self.before is None else own + self.before.seconds


class Provenance(Part):
    command: str
    commit: str | None
    dirty: bool | None
    version: str
    started: str
    finished: str


class Record(Part):
    """One run."""

    schema_: Literal[2] = Field(alias="schema")
    run_id: str = Field(pattern="^[0-9a-f]{16}$")
    spec: dict[str, Any]
    data: Data
    teacher: Teacher
    student: Student
    metrics: Metrics
    references: dict[str, Reference] = Field(default={}, description="by name, as bm25; the task declares them")
    by_path: dict[Literal["task", "method", "student"], ByPath] = Field(
        default={}, description="of what was given by path"
    )
    notes: dict[str, FiniteFloat] = Field(default={}, description="what the method found before training, by name")
    efficiency: Efficiency
    cost: Cost
    curve: list[Point]
    environment: Environment
    provenance: Provenance
    predictions: StoredFile
    tuned: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{24}\.json$",
        description="the file in the folder `tuning` whose best trial on dev had these settings",
    )

    @property
    def kept_start(self) -> bool:
        """Whether the student is as it was before its first update: on dev no later checkpoint of any stage was
        better. A stage that keeps its end makes no choice, and has moved the student."""
        steps = [choice.step for choice in self.metrics.choices]
        return bool(steps) and not any(steps) and len(steps) == len(self.cost.stages)

    @property
    def hardly_moved(self) -> bool:
        """Whether dev tells what every stage ended with from the start by no more than a few examples may: such a
        student, of a few updates, may say what another one says."""
        choices, start = self.metrics.choices, next((p.get("dev") for p in self.curve if not p["step"]), None)
        room = max(HARDLY, FEW / max(1, self.data.sizes.get("dev", 1)))
        told = start is not None and 0 < len(choices) == len(self.cost.stages)
        return told and all(abs(choice.value - start) <= room for choice in choices)  # type: ignore[operator]


class Taught(Part):
    """The record of a teacher that was fine-tuned here."""

    schema_: Literal[1] = Field(alias="schema")
    key: str = Field(description="hash of the model, the data and the settings")
    model: str = Field(description="what it was made from: a model, or family:size of a student")
    origin: str = Field(description="where its first weights came from")
    task: str
    track: str
    seed: int
    settings: dict[str, dict[str, Any]]
    data: Data
    parameters: Parameters
    dev: float = Field(description="main metric on dev of the checkpoint that was kept")
    told: bool = Field(default=False, description="it reads the answers, and was told those of dev for its score there")
    diagnosis: dict[str, float] = Field(default={}, description="what else the network says of itself on dev, by name")
    metric: str
    cost: Cost
    curve: list[Point]
    environment: Environment
    provenance: Provenance
    weights: str = Field(description="sha256 of the weights")


class Profiled(Size):
    origin: str = Field(description="where its weights came from; speed does not depend on what they are")


class Profile(Part):
    """One session: networks timed in turn, the first of them the reference of every speed-up."""

    schema_: Literal[1] = Field(alias="schema")
    task: str
    track: str
    reference: str
    models: dict[str, Profiled]
    speedups: dict[str, dict[str, Interval]]
    scope: str
    device: str
    threads: int
    inputs: int
    noise: list[str]
    seen: dict[str, float]
    notes: list[str]
    environment: Environment
    provenance: Provenance
    samples: StoredFile
