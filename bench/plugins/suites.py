"""Suites: tables of data sets that are read as one result, with their averages. A task family declares its own:

    suites = {"glue": {"columns": {"cola": ("mcc",), "mrpc": ("f1", "accuracy")}, "averages": {"average": ()}}}

A column is a data set of the family (of a family that is one task, of its test sets), and its value the mean of these
metrics. An average is the mean of the columns that it names, of all where it names none. A suite may say what its table
is made of where a command does not: `"methods": ("finetune", "kd"), "students": ("bilstm", "cnn")`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from bench.errors import unknown
from bench.plugins import registry
from bench.plugins.registry import Plugin


@dataclass(frozen=True)
class Column:
    """A data set of a suite."""

    name: str
    task: str  # on whose boards it is
    dataset: str  # among the test sets of its records; empty: the mean over all of them
    metrics: tuple[str, ...]  # whose mean it shows


@dataclass(frozen=True)
class Suite:
    """`averages`: {name: columns that it is the mean of}."""

    name: str
    columns: tuple[Column, ...]
    averages: Mapping[str, tuple[str, ...]]
    methods: tuple[str, ...] = ()  # that are run where none are named
    students: tuple[str, ...] = ()

    @property
    def tasks(self) -> list[str]:
        return list(dict.fromkeys(column.task for column in self.columns))


@cache
def found() -> dict[str, Suite]:
    """All suites by name, those of families in the order of these."""
    return {suite.name: suite for plugin in registry.found("task").values() for suite in of_family(plugin)}


def of_family(plugin: Plugin) -> Iterator[Suite]:
    """What the family's file declares."""
    datasets = plugin.declares.get("datasets", ())
    for name, said in plugin.declares.get("suites", {}).items():
        columns = tuple(
            Column(own, f"{plugin.name}/{own}", "", tuple(metrics))
            if own in datasets
            else Column(own, plugin.name, own, tuple(metrics))
            for own, metrics in said["columns"].items()
        )
        every = tuple(column.name for column in columns)
        averages = {title: tuple(own) or every for title, own in said["averages"].items()}
        yield Suite(name, columns, averages, tuple(said.get("methods", ())), tuple(said.get("students", ())))


def find(name: str) -> Suite:
    """RequestError: there is no suite of this name."""
    if name not in found():
        raise unknown("suite", name, found())
    return found()[name]


def of_task(task: str) -> list[tuple[Suite, list[Column]]]:
    """The suites that a task's boards have columns of."""
    pairs = ((suite, [column for column in suite.columns if column.task == task]) for suite in found().values())
    return [(suite, columns) for suite, columns in pairs if columns]
