"""What cannot be put together in one run, told once for all runs of a command that have the same reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bench.errors import RequestError


class Misfit(RequestError):
    """A method, a task and a student that cannot be put together, and why."""

    parts: tuple[str, str, str, str] = ("", "", "", "")  # method, task, student, why

    @classmethod
    def of(cls, method: str, task: str, student: str, why: str) -> Misfit:
        """Of a sentence alone, as any error, it can be made again elsewhere."""
        error = cls(f"the method '{method}' does not fit {task} with the student '{student}': {why}")
        error.parts = method, task, student, why
        return error


def in_groups(misfits: Iterable[Misfit]) -> Iterator[str]:
    """What does not fit for one reason in one sentence: each method with each student on each task that it names."""
    methods: dict[tuple[str, str, str], list[str]] = {}
    for method, task, student, why in (one.parts for one in misfits):
        methods.setdefault((why, student, task), []).append(method)
    tasks: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for (why, student, task), found in methods.items():
        tasks.setdefault((why, student, tuple(found)), []).append(task)
    for (why, student, names), found in tasks.items():
        yield f"{', '.join(names)} with {student} on {', '.join(found)}: {why}"
