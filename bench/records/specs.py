"""What a record's spec says, checked as far as boards and replays read it."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.errors import RequestError
from bench.records.schemas import Record

FIRST = ("assistants", "starts")  # runs that came first, among the versions
TRACK_ORDER = ("mini", "lite", "full")


class CheckedSpec(BaseModel):
    """What is read of a record's spec; other keys are kept and compared too."""

    model_config = ConfigDict(extra="allow")

    task: str
    track: str
    method: str
    student: str
    teacher: str
    seed: int = Field(ge=0, strict=True)
    settings: dict[str, dict[str, Any]]
    versions: dict[str, Any]

    @property
    def first(self) -> set[str]:
        """The ids of the runs that it asked for."""
        return {run_id for use in FIRST for run_id in self.versions.get(use, ())}

    @property
    def of_any_seed(self) -> dict[str, Any]:
        """All but the seed, and the ids of the runs that came first, which are of the same seed."""
        counts = {use: len(self.versions.get(use, ())) for use in FIRST}
        return self.model_dump(exclude={"seed"}) | {"versions": self.versions | counts}


def checked_spec(record: Record, where: str = "") -> CheckedSpec:
    """The record's spec, checked. `where`: what an error calls the record."""
    try:
        return CheckedSpec.model_validate(record.spec)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(p) for p in ("spec", *first["loc"]))
        raise RequestError(f"{where or record.run_id} is not a valid record: {key}: {first['msg']}") from None


def in_words(value: Any) -> str:
    """A setting as `--set` takes it."""
    if isinstance(value, str):
        return value
    return "none" if value is None else json.dumps(value, sort_keys=True)
