"""Commands as a user types them, carried out in this process: torch is imported once, and a failure has its traceback.

Where a process is the point (Ctrl-C, SIGKILL, a launcher, what is imported) there is `tests.factories.runs.spawned`.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, chdir, contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from bench.cli import main


class Answer(NamedTuple):
    status: int
    out: str
    err: str


Typed = Callable[..., Answer]  # a command typed where a test wants it


def bench(*arguments: object, cache: Path | None = None, cwd: Path | str = ".", check: int | None = 0) -> Answer:
    """Run `bench` with these arguments; assert its exit status unless `check` is None. `cache`: another store."""
    with typed(arguments, cache, cwd) as (out, err):
        status = status_of_main()
    assert check is None or status == check, err.getvalue() or out.getvalue()[-2000:]
    return Answer(status, out.getvalue(), err.getvalue())


@contextmanager
def typed(arguments: tuple[object, ...], cache: Path | None, cwd: Path | str) -> Iterator[tuple[StringIO, StringIO]]:
    """Inside, this process is one that was started so; what it prints goes into the two."""
    out, err = StringIO(), StringIO()
    with ExitStack() as stack:
        for change in (
            patch.object(sys, "argv", ["bench", *map(str, arguments)]),
            patch.dict(os.environ, {} if cache is None else {"BENCH_CACHE": str(cache)}),
            chdir(cwd), redirect_stdout(out), redirect_stderr(err), brief_clock(),
        ):  # fmt: skip
            stack.enter_context(change)
        yield out, err


def status_of_main() -> int:
    """The exit status of the command in sys.argv."""
    try:
        main.main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@contextmanager
def brief_clock() -> Iterator[None]:
    """Networks are timed in this process, for a moment; in full in tests/measuring and in commands that are spawned."""
    from bench.measuring import clock, session

    brief = clock.Effort(inputs=8, rounds=clock.FEWEST, seconds=0.02, most=40, limit=0.2)
    efforts = {"QUICK": brief, "STANDARD": brief, "EFFORTS": {"mini": brief, "lite": brief}}

    def here(job: clock.Job, console: Any) -> dict[str, Any]:
        return clock.carry_out(pickle.loads(pickle.dumps(job)), lambda *progress: None)  # noqa: S301 - just made

    with patch.multiple(session, in_child=here, **efforts):
        yield


def runs_of(answer: Answer) -> list[dict[str, Any]]:
    """What `bench run --json` says of its runs."""
    return json.loads(answer.out)["runs"]


def refused(answer: Answer, *words: str) -> str:
    """The one sentence on standard error, which holds the words; exit status 2, nothing on standard output."""
    assert (answer.status, answer.out) == (2, ""), answer
    assert answer.err.startswith("bench: ") and answer.err.count("\n") == 1, answer.err
    assert "Traceback" not in answer.err
    for word in words:
        assert word in answer.err
    return answer.err
