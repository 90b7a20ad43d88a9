"""What lies in a folder of results: found by what it is of, moved and removed with all files that belong to it.

A run is its record and what lies beside it under its id: predictions and samples. It is removed record first, and moved
record last, each file in one step, so that whatever is killed leaves no record without its files. What it leaves is
found by the next command as a run without a record, which `rm` and the same `mv` finish.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bench.base import files
from bench.base.groups import grouped
from bench.errors import BenchError, RequestError
from bench.records import disk
from bench.records.schemas import Record
from bench.records.specs import RUN_ID, CheckedSpec, checked_spec
from bench.store import folders

ENDS = (".json", ".npz", ".samples.npz")  # the record is the first


@dataclass(frozen=True)
class Kept:
    """A run in a folder of results. `record`: None where it is broken, or not there."""

    results: Path
    path: Path  # of its record
    record: Record | None

    @property
    def run_id(self) -> str:
        return self.path.stem

    @cached_property
    def spec(self) -> CheckedSpec | None:
        return checked_spec(self.record) if self.record else None

    @cached_property
    def place(self) -> dict[str, str]:
        """Track, task, method and student, as its folders say them."""
        parts = self.path.relative_to(self.results).parts
        if len(parts) < 5:
            return {}
        return {"track": parts[0], "task": "/".join(parts[1:-3]), "method": parts[-3], "student": parts[-2]}

    @property
    def state(self) -> str:
        if self.record:
            return "whole"
        return "broken" if self.path.is_file() else "left"  # by a command that was killed

    @property
    def files(self) -> list[Path]:
        """All that belong to it and are there, what interrupted writes left of them too."""
        own = [self.path.with_suffix(end) for end in ENDS]
        left = [path for name in own for path in files.left(name, "partial", "ready")]
        return [path for path in (*own, *left) if path.is_file()]

    @property
    def bytes(self) -> int:
        return sum(path.stat().st_size for path in self.files)


@dataclass(frozen=True)
class Wanted:
    """What is looked for; empty: whatever it is."""

    runs: Sequence[str] = ()  # ids, or their beginnings
    task: str = ""  # or a family
    method: str = ""
    student: str = ""  # or a family
    track: str = ""
    seeds: Collection[int] = ()

    @property
    def anything(self) -> bool:
        return not any((self.runs, self.task, self.method, self.student, self.track, self.seeds))

    def fits(self, kept: Kept) -> bool:
        place = kept.place
        size = self.student.replace(":", "-")
        return (
            (not self.runs or any(kept.run_id.startswith(run) for run in self.runs))
            and (not self.task or f"{place.get('task', '')}/".startswith(f"{self.task}/"))
            and self.method in ("", place.get("method"))
            and (not self.student or place.get("student") == size or place.get("student", "").startswith(f"{size}-"))
            and self.track in ("", place.get("track"))
            and (not self.seeds or (kept.spec is not None and kept.spec.seed in self.seeds))
        )


def runs(results: Path) -> list[Kept]:
    """All that a folder holds, in the order of paths. RequestError: there is no such folder."""
    if not results.is_dir():
        raise RequestError(f"there is no results folder {results}: name another with --results")
    apart = (results / disk.PROFILES, results / disk.TEACHERS)
    found = (Path(folder, name) for folder, _, names in os.walk(results) for name in names if name.endswith(ENDS))
    places = {p.with_name(p.name.partition(".")[0] + ".json") for p in found if p.parent not in apart}
    return [Kept(results, path, readable(path)) for path in sorted(places) if RUN_ID.fullmatch(path.stem)]


def readable(path: Path) -> Record | None:
    try:
        return disk.read(path) if path.is_file() else None
    except RequestError:
        return None


def chosen(found: Sequence[Kept], wanted: Wanted) -> list[Kept]:
    """Those that are looked for. RequestError: a name of none or of several, or nothing of the kind."""
    for run in wanted.runs:
        named = [kept for kept in found if run and kept.run_id.startswith(run)]
        if len({kept.run_id for kept in named}) != 1:
            raise RequestError(f"'{run}' names {len(named) or 'no'} runs of these results: see bench results ls")
    own = [kept for kept in found if wanted.fits(kept)]
    if not own and not wanted.anything:
        raise RequestError(f"none of {len(found)} runs is of this kind: see bench results ls")
    return own


def needed(going: Sequence[Kept], found: Iterable[Kept]) -> dict[str, list[str]]:
    """{run that is going: runs that stay and want it}: that it came first for, taught, or was trained together with."""
    ids = {kept.run_id for kept in going}
    wants = {kept.run_id: ids & needs(kept) for kept in found if kept.run_id not in ids}
    together = ((kept.run_id, one.run_id) for kept in found for one in going if stacked(kept, one))
    pairs = [(own, by) for by, all_ in wants.items() for own in all_]
    pairs += [(own, by) for by, own in together if by not in ids]
    return {own: sorted({by for _, by in group}) for own, group in grouped(pairs, lambda pair: pair[0]).items()}


def needs(kept: Kept) -> set[str]:
    """The ids of the runs without whose records this one's is not sound."""
    if kept.record is None or kept.spec is None:
        return set()
    what, _, key = kept.record.teacher.identity.partition(" ")
    return kept.spec.first | ({key} if what == "run" else set())


def stacked(kept: Kept, other: Kept) -> bool:
    """Whether the seeds of both were trained together."""
    if kept.spec is None or other.spec is None:
        return False
    stack = (kept.spec.model_extra or {}).get("stack")
    return isinstance(stack, list) and other.spec.seed in stack and kept.spec.of_any_seed == other.spec.of_any_seed


def check(going: Sequence[Kept], found: Sequence[Kept], forced: bool) -> None:
    """RequestError: records that stay want one that goes."""
    if forced or not (wanted := needed(going, found)):
        return
    run_id, others = next(iter(wanted.items()))
    more = f" and {len(others) - 1} more" if len(others) > 1 else ""
    also = f", and so for {len(wanted) - 1} others" if len(wanted) > 1 else ""
    raise RequestError(
        f"the record of {others[0]}{more} wants that of {run_id}{also}: choose those too, or say --force"
    )


def remove(kept: Kept) -> None:
    """The record first: files without one are found again."""
    with locked(kept):
        for path in kept.files:
            path.unlink()
        clear(kept)


def move(kept: Kept, target: Path) -> Path:
    """To the same place in another folder, with a copy of its teacher's record; the record comes last.

    RequestError: another record of the run is there. BenchError: it cannot be written.
    """
    new = target / kept.path.relative_to(kept.results)
    with locked(kept):
        if kept.record is None and not (kept.state == "left" and new.is_file()):
            raise RequestError(f"{kept.path} is {kept.state}, and no record that could be moved: bench results rm")
        if kept.record is not None:
            copy(kept, new, target)
        for path in kept.files:
            path.unlink()
        clear(kept)
    return new


def copy(kept: Kept, new: Path, target: Path) -> None:
    data = kept.path.read_bytes()
    if new.is_file() and new.read_bytes() != data:
        raise RequestError(f"{new} is another record of the run {kept.run_id}: remove one of them first")
    try:
        new.parent.mkdir(parents=True, exist_ok=True)
        for end in reversed(ENDS):
            if (own := kept.path.with_suffix(end)).is_file():
                files.replace(new.with_suffix(end), own.read_bytes())
        for teacher in taught(kept):
            if not (there := target / disk.TEACHERS / teacher.name).is_file():
                there.parent.mkdir(parents=True, exist_ok=True)
                files.replace(there, teacher.read_bytes())
    except OSError as error:
        raise BenchError(f"cannot write {new}: {error.strerror}") from error


def taught(kept: Kept) -> Iterator[Path]:
    """The record of its teacher, where that was fine-tuned here."""
    what, _, key = kept.record.teacher.identity.partition(" ") if kept.record else ("", "", "")
    if what == "taught" and (path := disk.beside(kept.results / disk.TEACHERS / "_", f"{key}.json")).is_file():
        yield path


def locked(kept: Kept) -> AbstractContextManager[None]:
    """While nobody carries the run out. RequestError: somebody does."""
    return folders.locked(f"run-{kept.run_id}", seconds=0)


def clear(kept: Kept) -> None:
    """Folders that are empty now."""
    for folder in kept.path.parents:
        if folder == kept.results or any(folder.iterdir()):
            return
        folder.rmdir()
