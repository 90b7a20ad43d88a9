"""What `bench tune` tried: one file a method in results/tuning, with every trial. No trial leaves a record of a run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, JsonValue, ValidationError, field_validator

from bench.base import files
from bench.base.console import warn
from bench.errors import RequestError
from bench.records import disk
from bench.records.schemas import Cost, Environment, Part, Provenance, Record, first_error
from bench.records.specs import CheckedSpec


class Range(Part):
    """What a setting is drawn from, on a log scale where `log`."""

    low: float
    high: float
    log: bool


class Trial(Part):
    settings: dict[str, JsonValue] = Field(description="of the method, that were drawn; none: as the method has them")
    run_id: str = Field(description="of the run with these settings and the seed of the trials")
    dev: float | None = Field(description="main metric on dev of the student; null: the trial failed")
    error: str | None = Field(default=None, description="why it failed")
    cost: Cost | None = Field(description="null: the trial failed")


class Tuning(Part):
    schema_: Literal[1] = Field(alias="schema")
    key: str = Field(description="the file's name: hash of the runs that were asked for, and of the space")
    asked: dict[str, Any] = Field(description="spec of the first trial: that of the method's own settings")
    metric: str
    sampler: str
    sampler_seed: int
    space: dict[str, Range]
    trials: list[Trial]
    spec: dict[str, Any] = Field(description="of the best trial so far, the first of equals")
    environment: Environment
    provenance: Provenance

    @field_validator("asked", "spec")
    @classmethod
    def _of_runs(cls, values: dict[str, Any]) -> dict[str, Any]:
        try:
            settings = CheckedSpec.model_validate(values).settings
        except ValidationError as error:
            raise ValueError(first_error(error)) from None
        if "method" not in settings:
            raise ValueError("settings.method: there are none")
        return values

    @property
    def best(self) -> Trial:
        """ValueError: all failed."""
        return max((t for t in self.trials if t.dev is not None), key=lambda t: t.dev or 0.0)

    @property
    def updates(self) -> int:
        return sum(t.cost.student_updates for t in self.trials if t.cost)

    @property
    def seconds(self) -> float:
        return sum(t.cost.own_seconds or 0.0 for t in self.trials if t.cost)


def path_of(results: Path, key: str) -> Path:
    return results / disk.TUNING / f"{key}.json"


def read(path: Path) -> Tuning:
    """RequestError: broken."""
    return disk.read_form(path, Tuning, "record of a tuning")


def write(results: Path, tuning: Tuning) -> Path:
    path = path_of(results, tuning.key)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = tuning.model_dump_json(by_alias=True, indent=1, exclude_defaults=True) + "\n"
    files.replace(path, text.encode(), alone=True)
    return path


def naming(results: Path, values: Mapping[str, Any]) -> str | None:
    """The tuning whose best trial has the settings of a run, whatever its seed, by the name of its file. One that
    cannot be read is told, and left out."""
    wanted = of_any_seed(values)
    for path in sorted((results / disk.TUNING).glob("*.json")):
        try:
            if of_any_seed(read(path).spec) == wanted:
                return path.name
        except (RequestError, ValidationError) as error:
            warn(f"left out: {path}: {error}")
    return None


def unnamed(record: Record, results: Path) -> Iterator[str]:
    """Why the tuning that a run names is not there, or did not try its settings."""
    if record.tuned is None:
        return
    path = results / disk.TUNING / record.tuned
    if not path.is_file():
        yield f"tuned: there is no {disk.TUNING}/{record.tuned}"
    elif of_any_seed(record.spec) not in [of_any_seed(spec) for spec in specs(read(path))]:
        yield f"tuned: no trial of {disk.TUNING}/{record.tuned} had these settings"


def specs(tuning: Tuning) -> Iterator[dict[str, Any]]:
    """What each trial was, up to the ids of runs that came first."""
    for trial in tuning.trials:
        settings = tuning.asked["settings"]
        yield tuning.asked | {"settings": settings | {"method": settings["method"] | trial.settings}}


def of_any_seed(values: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON holds it."""
    return CheckedSpec.model_validate(json.loads(json.dumps(values))).of_any_seed


def doubts(tuning: Tuning, name: str) -> Iterator[str]:
    """What in a file does not follow from the rest of it."""
    tried = [t for t in tuning.trials if t.dev is not None]
    if tuning.key != name:
        yield f"key: {tuning.key!r:.60} is not the file's name"
    if not tried:
        yield "trials: none has a score on dev"
    elif disk.run_id_of(tuning.spec) != tuning.best.run_id:
        yield "spec: not that of the best trial"
    if any((t.dev is None) != (t.cost is None) or (t.dev is None) != (t.error is not None) for t in tuning.trials):
        yield "trials: one has neither a score nor a reason, or both"
    if tuning.trials and disk.run_id_of(tuning.asked) != tuning.trials[0].run_id:
        yield "asked: not the spec of the first trial"
    if outside := [n for t in tuning.trials for n in t.settings if n not in tuning.space]:
        yield f"trials: {outside[0]!r:.60} is no setting that was searched"
