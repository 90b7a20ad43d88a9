"""What scores a record's predictions again: its task; of a task that is a file, metrics that everybody knows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial

from bench.errors import RequestError
from bench.plugins import registry
from bench.records import typed
from bench.records.specs import CheckedSpec
from bench.scoring.bootstrap import Score
from bench.scoring.metrics import METRICS
from bench.scoring.scores import Predictions, Scores

Said = Mapping[str, Collection[str]]  # the metrics of each data set, by name


def of(spec: CheckedSpec, said: Said) -> Score:
    """From the metrics that its records say. RequestError: the task is not here, and has a metric of its own."""
    family = spec.task.partition("/")[0]
    plugin = registry.known("task").get(family)
    if not typed.by_path(spec, "task") or (plugin and plugin.version(spec.task) == spec.versions["task"]):
        score: Score = registry.load(plugin or registry.installed("task", family)).score
        return score
    if unknown := sorted({metric for metrics in said.values() for metric in metrics} - set(METRICS)):
        raise RequestError(
            f"the task {spec.task} is a file with a metric of its own, {unknown[0]}: name it with --file {family}.py"
        )
    return partial(by_name, said)


def by_name(said: Said, predictions: Predictions) -> Scores:
    """The metrics that are said, by the engine's own definitions."""
    return {
        name: {m: METRICS[m].value(arrays["prediction"], arrays["gold"]) for m in said.get(name, ())}
        for name, arrays in predictions.items()
    }
