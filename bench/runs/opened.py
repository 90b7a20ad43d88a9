"""A file or folder of data, or a data set of the Hub, as the task of the family that it fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from bench.errors import RequestError
from bench.plugins import registry
from bench.sources import Source
from bench.task import Task, Track


def open_table(name: str, families: Sequence[registry.Plugin], track: str, settled: Callable[[Track], Track]) -> Task:
    """The first family that takes it. `settled`: a track with the settings of the command, which say what is read.

    RequestError: it is none of these families.
    """
    source, why = source_of(name), []
    dataset = registry.data_name(name)
    for plugin in families:
        cls = registry.load(plugin)
        if track not in cls.tracks:
            raise RequestError(f"{name} has no {track} track: there are {', '.join(cls.tracks)}")
        task: Task = cls(source, track, dataset)
        task.name, task.version = f"{plugin.name}/{dataset}", cls.version  # type: ignore[misc]
        task.track = settled(task.track)
        if not (misfit := task.misfit()):
            return task
        why.append(f"{plugin.name}: {misfit}")
    raise RequestError(f"{name} is no data of any task ({'; '.join(why)})")


def source_of(name: str) -> Source:
    """Where such data is read."""
    if name.startswith(registry.ON_HUB):
        return Source("hub", place=name.removeprefix(registry.ON_HUB))
    return Source("directory", Path(name).expanduser().resolve())
