"""What follows from stored predictions, samples and curves alone: a run writes it, a check computes it again."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.errors import BenchError
from bench.records.arrays import Samples
from bench.scoring.bootstrap import Score, interval, median_interval
from bench.scoring.loyalty import loyalty
from bench.scoring.scores import REFERENCE, TEACHER, Predictions, digest, headline, undefined

SEARCH = "single_search_end_to_end"  # the point of a task whose users search
SPREAD = 0.05  # coefficient of variation between rounds that is still quiet
FOREIGN = 0.05  # share of the machine's cores that others may use
CLOCKS = 0.05  # change of a GPU's clock


class Scorer:
    """What a task's scores give: all metrics, None where one is undefined, and the main one with its interval.

    Equal predictions are scored once: a teacher's and a reference's lie beside those of each of their students.
    """

    def __init__(self, score: Score, metric: str) -> None:
        self.score, self.metric, self.known = score, metric, dict[str, dict[str, Any]]()

    def __call__(self, predictions: Predictions) -> dict[str, Any]:
        """`all`, `main` and `undefined`. BenchError: the main metric is undefined."""
        key = digest(predictions)
        if key not in self.known:
            self.known[key] = self.scored(predictions)
        return self.known[key]

    def scored(self, predictions: Predictions) -> dict[str, Any]:
        scores, metric = self.score(predictions), self.metric
        dataset, value = headline(scores, metric)
        if not math.isfinite(value):
            raise BenchError(f"{metric} on {dataset} is undefined ({value}): a row of a board needs a number")
        ci95 = interval(predictions, self.score, metric, scores=scores)
        odd = undefined(scores)
        every = {d: {m: None if f"{d}.{m}" in odd else v for m, v in own.items()} for d, own in scores.items()}
        main = {"name": metric, "dataset": dataset, "value": value, "ci95": ci95}
        return {"all": every, "main": main, "undefined": odd}


def metrics(scorer: Scorer, predictions: Predictions) -> dict[str, Any]:
    """All that follows from stored predictions alone: scores, the main one's interval, retention, loyalty."""
    own, theirs = scorer(predictions), of_teacher(predictions)
    reference = scorer(theirs)["main"]["value"] if theirs else 0.0
    retention = own["main"]["value"] / reference if reference > 0 else None
    return own | {"retention": retention, "loyalty": loyalty(predictions) if theirs else {}}


def of_teacher(predictions: Predictions) -> Predictions:
    """The teacher's predictions in the student's place; empty where it has none, as it reads the answers."""
    return of_other(predictions, TEACHER)


def of_other(predictions: Predictions, name: str) -> Predictions:
    """Those of the array `name` in the student's place, with nothing beside them; empty where one has none."""
    if any(name not in arrays for arrays in predictions.values()):
        return {}
    return {data: own(arrays) | {"prediction": arrays[name]} for data, arrays in predictions.items()}


def own(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """A data set's arrays without the predictions of others."""
    return {name: array for name, array in arrays.items() if name != TEACHER and not name.startswith(REFERENCE)}


def references(scorer: Scorer, predictions: Predictions) -> dict[str, Any]:
    """What a record says of each reference on test, by name: `metrics` and `main`."""
    names = sorted({n for arrays in predictions.values() for n in arrays if n.startswith(REFERENCE)})
    scored = ((n, scorer(of_other(predictions, n))) for n in names)
    return {n.removeprefix(REFERENCE): {"metrics": s["all"], "main": s["main"]} for n, s in scored}


def teacher(scorer: Scorer, predictions: Predictions) -> dict[str, Any]:
    """What a record says of the teacher on test: `metrics` and `main`, both None where it has no predictions."""
    theirs = of_teacher(predictions)
    found = scorer(theirs) if theirs else {"all": None, "main": None}
    return {"metrics": found["all"], "main": found["main"]}


def choices(curve: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The checkpoint that each stage ended with: the first that was best on dev."""
    best: dict[str, Mapping[str, Any]] = {}
    for point in curve:
        kept = best.get(point["stage"])
        if point.get("dev") is not None and (kept is None or point["dev"] > kept["dev"]):
            best[point["stage"]] = point
    return [
        {"what": f"checkpoint of stage {stage}", "split": "dev", "step": point["step"], "value": point["dev"]}
        for stage, point in best.items()
    ]


def stage_lengths(curve: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """{stage: its last step}."""
    return {point["stage"]: point["step"] for point in curve}


def speeds(samples: Samples, name: str, inputs: int) -> dict[str, dict[str, Any]]:
    """Latency of every `single` point, and throughput of every other point of one network."""
    return {
        "latency": {p: percentiles(by[name]) for p, by in samples.items() if p.startswith("single")},
        "throughput": {
            f"{p}_per_s": (batch or inputs) / (float(np.median(np.concatenate(by[name]))) / 1e9)
            for p, by in samples.items()
            if (batch := batch_of(p)) or p.startswith("offline")
        },
    }


def batch_name(size: int, length: int | None) -> str:
    """The point of batches of a size: `batch_32`, and of inputs of one length `batch_128x512`."""
    return f"batch_{size}" + (f"x{length}" if length else "")


def batch_of(point: str) -> int:
    """The size of its batches; 0: it is none of these points."""
    found = re.match(r"batch_(\d+)", point)
    return int(found[1]) if found else 0


def speedups(samples: Samples, reference: str) -> dict[str, dict[str, dict[str, Any]]]:
    """{network: {point: {value, ci95}}}: median over rounds of the reference's median over this network's."""
    result: dict[str, dict[str, dict[str, Any]]] = {}
    for point, by in samples.items():
        for name in by:
            if name != reference:
                value, ci95 = median_interval(round_medians(by[reference]) / round_medians(by[name]))
                result.setdefault(name, {})[point] = {"value": value, "ci95": ci95}
    return result


def round_medians(rounds: Sequence[Sequence[int]]) -> np.ndarray:
    return np.array([np.median(r) for r in rounds])


def spread(samples: Samples) -> float:
    """The spread between rounds of the network that spreads most, in the two scenarios."""
    both = [samples[point] for point in ("single", "offline") if point in samples]
    return max(variation(round_medians(rounds)) for by in both for rounds in by.values())


def percentiles(rounds: Sequence[Sequence[int]]) -> dict[str, float]:
    """p50 in ms with its interval over rounds, p90, and p99 from 1,000 samples on."""
    flat = np.concatenate([np.asarray(r) for r in rounds]) / 1e6
    low, high = median_interval(round_medians(rounds) / 1e6)[1]
    shown = (50, 90, 99) if len(flat) >= 1000 else (50, 90)
    return {f"p{p}_ms": float(np.percentile(flat, p)) for p in shown} | {"p50_low_ms": low, "p50_high_ms": high}


def variation(medians: np.ndarray) -> float:
    """Coefficient of variation of the rounds' medians."""
    return float(medians.std(ddof=1) / medians.mean()) if len(medians) > 1 else 0.0


def reasons(seen: dict[str, float]) -> list[str]:
    """Why a measurement is noisy, in words; empty: it is not."""
    limits = {
        "spread": (SPREAD, "rounds differ by {:.1%} (standard deviation / mean)"),
        "foreign": (FOREIGN, "other processes used {:.1%} of the cores"),
        "clock": (CLOCKS, "the GPU's clock changed by {:.1%}"),
    }
    return [words.format(seen[key]) for key, (most, words) in limits.items() if seen.get(key, 0.0) > most]
