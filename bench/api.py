"""bench from Python: run, look at the results, take a student. The commands of the same names do the same.

    import bench

    bench.run(task="sts", method=["finetune", "kd"], student="bow", seeds=range(3))
    bench.board("sts")          the rows, with intervals and evidence
    bench.records()             a pandas DataFrame, a row a run
    bench.load("687b64")        the student

What is wrong is told by BenchError (RequestError: the request was wrong), and nothing ends the process.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import TYPE_CHECKING, Any

from bench.base import processes
from bench.base.console import Console
from bench.base.provenance import standing_for
from bench.board import leaderboard, table
from bench.board.runs import RunRow, run_row
from bench.board.table import BoardRow
from bench.errors import BenchError, RequestError
from bench.records import disk, finding
from bench.records.schemas import Record
from bench.records.specs import in_words

if TYPE_CHECKING:
    import pandas

Names = str | Sequence[str]
Place = str | Path


class RunsFailed(BenchError):
    """Some runs failed. `records`: of those that did not; `outcomes`: of all, as `bench run --json` says them."""

    def __init__(self, message: str, records: list[Record], outcomes: list[dict[str, Any]], status: int) -> None:
        super().__init__(message)
        self.records, self.outcomes, self.exit_status = records, outcomes, status


def run(
    task: Names = (), method: Names = (), student: Names = (), teacher: str = "", track: str = "mini",
    seeds: int | Iterable[int] = 0, settings: Mapping[str, Any] | None = None, data_dir: Place | None = None,
    results: Place = "results", device: str = "auto", suite: str = "", quiet: bool = False,
) -> list[Record]:  # fmt: skip
    """Carry out the runs of every task, method, student and seed, as `bench run` does, and return their records.

    Finished runs are skipped and interrupted ones go on. Progress is told on standard error unless `quiet`. `settings`:
    of method, student or track, by the names of `--set`; a plug-in file is named by its path. `suite`, in the place of
    `task`: all its data sets that are there.

    RequestError: something cannot be run; nothing was. RunsFailed: some failed; the others have their records.
    """
    from bench.runs import ahead, rehearsal, sweep
    from bench.runs.grid import spread
    from bench.runs.requests import arguments, of_suite
    from bench.runs.spec import Request

    words = [f"{key}={in_words(value)}" for key, value in (settings or {}).items()]
    request = Request(
        several(task), several(method), several(student), teacher, track, numbers(seeds),
        None if data_dir is None else Path(data_dir), words,
    )  # fmt: skip
    if bool(task) == bool(suite) or not (method or suite):
        raise RequestError("name what to run: a method, and a task or a suite")
    request = of_suite(request, suite) if suite else request
    processes.start(device)
    specs, done = ahead.planned(spread(request, []), Path(results))
    sweep.choose_device(device)
    rehearsal.rehearse(spec for spec in specs if spec.run_id not in done)
    with standing_for([*arguments(request), "--results", str(results)]), without_script():
        outcomes, status = sweep.run_all(specs, Path(results), device, Console(quiet))
    found = [disk.read(Path(outcome["record"])) for outcome in outcomes if outcome["record"]]
    if status:
        raise RunsFailed(sweep.failure(outcomes), found, outcomes, status)
    return found


@contextmanager
def without_script() -> Iterator[None]:
    """Inside, processes that are started, as networks are timed in one, do not carry out the caller's script again."""
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


def several(names: Names) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def numbers(seeds: int | Iterable[int]) -> list[int]:
    """RequestError: no seeds, one twice, or something else."""
    found = [seeds] if isinstance(seeds, int) else list(seeds)
    if not all(isinstance(seed, int) and 0 <= seed < 2**32 for seed in found) or not 0 < len(set(found)) == len(found):
        raise RequestError(f"seeds {found}: give different whole numbers from 0 to {2**32 - 1}")
    return found


def records(results: Place = "results") -> pandas.DataFrame:
    """All runs of a folder, one a row, in the order of their paths; docs/api.md says what the columns are.

    RequestError: there is no such folder, or pandas is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise RequestError("bench.records needs pandas: pip install 'bench-kd[pandas]'") from None
    return pandas.DataFrame(run_rows(Path(results)), columns=list(RunRow.__annotations__))


def run_rows(results: Path) -> list[RunRow]:
    """A row a run that is on a board."""
    found = list(disk.read_all(leaderboard.folder(results)))
    boards = leaderboard.rows(found)
    home = {run_id: board.slug for board in boards for row in board.rows for _, run_id in row.runs}
    return [run_row(r, str(disk.path_of(results, r.spec, r.run_id)), home[r.run_id]) for r in found if r.run_id in home]


def board(task: str, track: str = "", results: Place = "results") -> list[BoardRow]:
    """The rows of a task's boards, of all its tracks where none is named, as the site and `bench board` show them:
    teachers first, then the best score. `pandas.DataFrame(bench.board("sts"))` makes a table of them.

    RequestError: there are no such records.
    """
    return [row for found in table.boards(Path(results), task, track) for row in found["rows"]]


def load(
    run: str, results: Place = "results", data_dir: Place | None = None, files: Sequence[Place] = (),
    quiet: bool = False,
) -> Any:  # fmt: skip
    """The student of a finished run, in memory: a SentenceTransformer where its output is a vector, else a model of
    transformers with its tokenizer as `model.tokenizer`. Exported and checked as `bench export --format hf` does.

    run: its id, the beginning of it, or the path of its record; `files`: plug-ins given by path that it may name.
    RequestError: no such run, its student is no longer in the store, or no library loads such a student.
    """
    from bench.export.export import export
    from bench.export.hf import opened

    place, folders = Path(results), [Path(file) for file in files]
    path = finding.record(place, run)
    with TemporaryDirectory(prefix="bench-") as scratch:
        out, data = Path(scratch) / "student", None if data_dir is None else Path(data_dir)
        export(str(path), "hf", out, place, data, False, Console(quiet), folders)
        return opened(out)
