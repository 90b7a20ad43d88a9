"""What an author's task gives: training sets that hold together, a dev split, scores by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from bench.errors import RequestError
from bench.inputs import IGNORED, Examples
from bench.network import Network
from bench.plugins.contract import place
from bench.task import Task
from bench.training.evaluation import Evaluation


def check(task: Task) -> None:
    """RequestError: training sets and dev are not what the contract says, with file and line."""
    for name in task.training_sets:
        found = task.examples(name)
        wrong = wrong_set(found, task)
        if name == "supervised" and task.classes and not wrong and found.labels is None:
            wrong = "has no labels"
        if wrong:
            raise RequestError(f"{place(task.examples)}: the training set {name!r} {wrong}")
    if not len(task.inputs("dev")):
        raise RequestError(f"{place(task.inputs)}: there are no inputs of 'dev', and every choice is made on dev")


def wrong_set(examples: Any, task: Task) -> str:
    """What is wrong with a training set; empty: nothing."""
    if not isinstance(examples, Examples):
        return f"is a {type(examples).__name__}, and has to be Examples"
    groups, labels = examples.groups, examples.labels
    if groups.ndim != 2 or not groups.size:
        return f"has groups of shape {groups.shape}: give (N, K), with N and K above 0"
    if groups.min() < 0 or groups.max() >= len(examples.inputs):
        return f"has a group of input {groups.max()}, and {len(examples.inputs)} inputs"
    if labels is not None and len(labels) != len(groups):
        return f"has {len(labels)} labels for {len(groups)} examples"
    return wrong_labels(labels, task.outputs) if task.classes and isinstance(labels, np.ndarray) else ""


def wrong_labels(labels: np.ndarray, classes: int) -> str:
    """Of class numbers; other labels are the kind's own affair."""
    if labels.ndim > 1 or labels.dtype.kind == "f":
        return ""
    if labels.dtype.kind not in "iu":
        return f"has labels of type {labels.dtype}: give class numbers"
    outside = labels[(labels != IGNORED) & ((labels < 0) | (labels >= classes))]
    return f"has the label {outside[0]}, and there are {classes} classes" if len(outside) else ""


def check_scores(task: Task, network: Network) -> None:
    """RequestError: what the task makes of a network's outputs on dev are no scores with the main metric among them."""
    dev = Evaluation(task, "dev")
    scores = task.score(dev.predictions(dev.outputs(network)))
    fits = isinstance(scores, Mapping) and scores and all(isinstance(own, Mapping) for own in scores.values())
    if not fits or not all(task.main_metric in own for own in scores.values()):
        wanted = f"{{data set: {{metric: number}}}} with {task.main_metric!r} in each"
        raise RequestError(f"{place(task.score)}: it returns {scores!r:.80}, and has to return {wanted}")
    for name, own in scores.items():
        if odd := [metric for metric, value in own.items() if not number(value)]:
            raise RequestError(f"{place(task.score)}: {odd[0]} of {name} is {own[odd[0]]!r:.80}, which is no number")


def number(value: Any) -> bool:
    try:
        math.isfinite(value)
    except TypeError:
        return False
    return True
