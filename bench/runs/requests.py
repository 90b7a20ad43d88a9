"""Requests made of a suite, and told as the command that they are."""

from __future__ import annotations

import dataclasses

from bench.errors import RequestError
from bench.plugins import registry, suites
from bench.runs.spec import Request


def of_suite(request: Request, name: str) -> Request:
    """The request with the tasks of a suite that are on its track, and its methods and students where none are named.

    RequestError: no such suite, none of its tasks is on the track, or it has no methods of its own.
    """
    suite, tasks, tracks = suites.find(name), list[str](), dict[str, None]()
    for task in suite.tasks:
        family, _, dataset = task.partition("/")
        tracks |= dict.fromkeys(there := registry.load(registry.find("task", family)).tracks)
        track = there.get(request.track)
        if track and (not dataset or not track.datasets or dataset in track.datasets):
            tasks.append(task)
    if not tasks:
        raise RequestError(
            f"nothing of the suite {name} is on the {request.track} track: say --track {' or '.join(tracks)}"
        )
    methods, students = request.methods or suite.methods, request.students or suite.students
    if not methods:
        raise RequestError(f"the suite {name} has no methods of its own: name them with --method")
    return dataclasses.replace(request, tasks=tasks, methods=methods, students=students, there=True)


def arguments(request: Request) -> list[str]:
    """The command line of a request, without `bench`."""
    options = [("task", request.tasks), ("method", request.methods), ("student", request.students)]
    options += [("teacher", [request.teacher] if request.teacher else []), ("track", [request.track])]
    options += [("seeds", [",".join(map(str, request.seeds))]), ("set", request.settings)]
    options += [("data-dir", [str(request.data_dir)] if request.data_dir else [])]
    return ["run", *(word for name, values in options for value in values for word in (f"--{name}", value))]
