"""What a record's spec says, checked as far as boards and replays read it."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, field_validator

from bench.errors import RequestError
from bench.records.schemas import Record, first_error

FIRST = ("assistants", "starts")  # runs that came first, among the versions
OF_TEACHER = ("teach", "teach_rate", "teach_precision")  # of a track: part of the teacher's key, and of nothing else
TRACK_ORDER = ("mini", "lite", "full")

Name = Annotated[str, Field(min_length=1, pattern=r"^[^\x00]+$")]  # folders are called so
RUN_ID = re.compile("[0-9a-f]{16}")
Version = int | Name | list[Name]


class CheckedSpec(BaseModel):
    """What is read of a record's spec; other keys are kept and compared too."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)

    task: Name
    track: Name
    method: Name
    student: Name
    teacher: Name
    seed: int = Field(ge=0)
    settings: dict[str, dict[str, JsonValue]]
    versions: dict[str, Version]

    @field_validator("versions")
    @classmethod
    def _run_ids(cls, versions: dict[str, Any]) -> dict[str, Any]:
        for use in FIRST:
            found = versions.get(use, [])
            if not isinstance(found, list) or not all(RUN_ID.fullmatch(run_id) for run_id in found):
                raise ValueError(f"{use} must be a list of run ids")
        return versions

    @property
    def first(self) -> set[str]:
        """The ids of the runs that it asked for."""
        return {run_id for use in FIRST for run_id in self._of(use)}

    @property
    def of_any_seed(self) -> dict[str, Any]:
        """All but the seed, and the ids of the runs that came first, which are of the same seed."""
        counts = {use: len(self._of(use)) for use in FIRST}
        return self.model_dump(exclude={"seed"}) | {"versions": self.versions | counts}

    def _of(self, use: str) -> list[str]:
        found = self.versions.get(use, [])
        return found if isinstance(found, list) else []


def checked_spec(record: Record, where: str = "") -> CheckedSpec:
    """The record's spec, checked. `where`: what an error calls the record."""
    try:
        return CheckedSpec.model_validate(record.spec)
    except ValidationError as error:
        raise RequestError(f"{where or record.run_id} is not a valid record: spec.{first_error(error)}") from None


def in_words(value: Any) -> str:
    """A setting as `--set` takes it."""
    if isinstance(value, str):
        return value
    return "none" if value is None else json.dumps(value, sort_keys=True)
