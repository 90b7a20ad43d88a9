"""Numbers that do not follow from the files beside the record, do not fit one another, or cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.damage.tools import Damage, Inapplicable, edit, first, key_to, load, plus, record, save, times, to, without

P50 = "efficiency.latency.single.p50_ms"
TEACHER_P50 = ("teacher.efficiency.latency.single.p50_ms", "teacher.latency_single.p50_ms")
TEACHER_SPEED = ("teacher.efficiency.throughput.offline_per_s", "teacher.throughput_offline_per_s")
TEACHER_SIZE = ("teacher.efficiency.parameters.total", "teacher.parameters.total")


def negated(raw: dict[str, Any]) -> None:
    main = raw["metrics"]["main"]
    main |= {"value": -main["value"], "ci95": [-main["ci95"][1], -main["ci95"][0]]}


def every_score(raw: dict[str, Any]) -> None:
    """All scores of the student better by 0.01, and everything that follows from them made to fit."""
    metrics = raw["metrics"]
    metrics["all"] = {d: {m: v + 0.01 for m, v in scores.items()} for d, scores in metrics["all"].items()}
    main = metrics["main"]
    main |= {"value": main["value"] + 0.01, "ci95": [x + 0.01 for x in main["ci95"]]}
    if metrics["retention"] is not None:
        metrics["retention"] = main["value"] / raw["teacher"]["main"]["value"]


def every_score_of_the_teacher(raw: dict[str, Any]) -> None:
    """The teacher worse by 0.01, so that the student's retention is better. Noticed by the teacher's predictions."""
    teacher = raw["teacher"]
    if "loyalty" not in raw["metrics"]:
        raise Inapplicable("the teacher's predictions are stored since schema 2")
    teacher["metrics"] = {d: {m: v - 0.01 for m, v in scores.items()} for d, scores in teacher["metrics"].items()}
    main = teacher["main"]
    main |= {"value": main["value"] - 0.01, "ci95": [x - 0.01 for x in main["ci95"]]}
    raw["metrics"]["retention"] = raw["metrics"]["main"]["value"] / main["value"]


def wider(raw: dict[str, Any]) -> None:
    """Total and embedding raised together, so that the sum holds but `embedding` is below 0."""
    parameters = raw["efficiency"]["parameters"]
    parameters |= {"embedding": -1, "total": parameters["active"] - 1}


def speedup_doubled(raw: dict[str, Any]) -> None:
    """Value and interval, wherever they stand: found by the samples."""
    e = raw["efficiency"]
    for interval in [e["speedup"], *[v for k, v in e.get("speedups", {}).items() if k == "single"]]:
        interval |= {"value": 2 * interval["value"], "ci95": [2 * x for x in interval["ci95"]]}


def latency_below(raw: dict[str, Any]) -> None:
    single = raw["efficiency"]["latency"]["single"]
    single["p90_ms"] = 0.5 * single["p50_ms"]


def noisy_without_reason(raw: dict[str, Any]) -> None:
    e = raw["efficiency"]
    if "noise" not in e:
        raise Inapplicable("reasons are kept since schema 2")
    e["noisy"] = not e["noise"]


def best_on_dev_removed(raw: dict[str, Any]) -> None:
    """The point of the curve that the run's choice was made by."""
    raw["curve"] = [point for point in raw["curve"] if point.get("dev") != raw["metrics"]["dev"]]


def later_step(raw: dict[str, Any]) -> None:
    raw["curve"][-1]["step"] += 1000


def swapped_times(raw: dict[str, Any]) -> None:
    p = raw["provenance"]
    p |= {"started": "2099-01-01T00:00:00+00:00", "finished": "2098-12-31T23:59:59+00:00"}


def copied_interval(results: Path) -> Path:
    """The teacher's interval in the student's place."""
    raw = load(first(results))
    low, high = raw["teacher"]["main"]["ci95"]
    value = raw["metrics"]["main"]["value"]
    raw["metrics"]["main"]["ci95"] = [min(low, value), max(high, value)]
    return save(first(results), raw)


DAMAGES: list[Damage] = [
    edit("main value better by 1e-3", plus(1e-3), "metrics.main.value"),
    edit("main value better by 1e-6", plus(1e-6), "metrics.main.value"),
    record("main value and interval negated", negated),
    record("every score better by 0.01, each fitting the others", every_score),
    edit("one entry of metrics.all changed", plus(1e-3), "metrics.all.*.*"),
    record("a data set of metrics.all removed", without("metrics.all.*")),
    record(
        "a data set of metrics.all made up", key_to("metrics.all", "imaginary", {"pearson": 0.99, "spearman": 0.99})
    ),
    record("a metric removed", without("metrics.all.*.*")),
    record("a metric made up", key_to("metrics.all.*", "imaginary", 0.99)),
    edit("main metric renamed", to("imaginary"), "metrics.main.name"),
    edit("main data set renamed", to("imaginary"), "metrics.main.dataset"),
    edit("ci95 swapped", lambda ci: ci[::-1], "metrics.main.ci95"),
    edit("ci95 above the value", lambda ci: [x + 0.5 for x in ci], "metrics.main.ci95"),
    edit("ci95 half as wide", lambda ci: [(3 * ci[0] + ci[1]) / 4, (ci[0] + 3 * ci[1]) / 4], "metrics.main.ci95"),
    edit("ci95 moved by a fifth of its width", lambda ci: [x + (ci[1] - ci[0]) / 5 for x in ci], "metrics.main.ci95"),
    edit("ci95 of three numbers", lambda ci: [*ci, 1.0], "metrics.main.ci95"),
    Damage("ci95 of the teacher", copied_interval),
    edit("retention changed", plus(1e-3), "metrics.retention"),
    edit("retention unknown", to(None), "metrics.retention"),
    edit("dev that is not a number", to(float("nan")), "metrics.dev"),
    edit("dev of no point of the curve", plus(0.05), "metrics.dev"),
    edit("loyalty changed", plus(1e-3), "metrics.loyalty.*.*"),
    edit("loyalty without a data set", lambda found: dict(list(found.items())[1:]), "metrics.loyalty"),
    edit("a choice made on test", to("test"), "metrics.choices.0.split"),
    edit("a choice of another step", plus(1), "metrics.choices.0.step"),
    edit("main value of the teacher changed", plus(-1e-3), "teacher.main.value"),
    edit("one metric of the teacher changed", plus(1e-3), "teacher.metrics.*.*"),
    edit("ci95 of the teacher swapped", lambda ci: ci[::-1], "teacher.main.ci95"),
    record("every score of the teacher worse by 0.01, each fitting the others", every_score_of_the_teacher),
    edit("parameters that are not embedding + active", plus(1), "efficiency.parameters.total"),
    edit("parameters of the teacher that are not embedding + active", plus(-1), *TEACHER_SIZE),
    record("parameters below 0", wider),
    edit("parameters that are not whole", plus(0.5), "efficiency.parameters.total"),
    edit("bytes on disk below 0", to(-1), "efficiency.disk_bytes"),
    edit("speedup outside its ci95", lambda s: s | {"value": s["ci95"][1] + 1}, "efficiency.speedup"),
    edit("ci95 of speedup swapped", lambda s: s | {"ci95": s["ci95"][::-1]}, "efficiency.speedup"),
    record("speedup doubled with its interval", speedup_doubled),
    record("latency p90 below p50", latency_below),
    edit("latency halved", times(0.5), P50),
    edit("latency below 0", times(-1), P50),
    edit("latency of the teacher doubled", times(2), *TEACHER_P50),
    edit("throughput doubled", times(2), "efficiency.throughput.offline_per_s"),
    edit("throughput of the teacher halved", times(0.5), *TEACHER_SPEED),
    record("latency of no point", without(P50.rpartition(".")[0])),
    edit("no threads", to(0), "efficiency.threads"),
    record("noisy that does not fit its reasons", noisy_without_reason),
    edit("student_updates below 0", times(-1), "cost.student_updates"),
    edit("student_updates that are not those of the stages", plus(1), "cost.student_updates"),
    edit("a stage of other length than its curve", plus(1), "cost.stages.*"),
    edit("teacher_forwards below 0", to(-1), "cost.teacher_forwards"),
    edit("train_seconds below 0", to(-1.0), "cost.train_seconds"),
    edit("energy_source without energy", lambda source: "a guess" if source is None else None, "cost.energy_source"),
    record("best point on dev removed from the curve", best_on_dev_removed),
    record("curve longer than its stage", later_step),
    edit("an empty curve", to([]), "curve"),
    edit("a point of the curve that is not a number", to(float("nan")), "curve.0.dev"),
    edit("a step below 0", to(-1), "curve.0.step"),
    record("finished before started", swapped_times),
    edit("started at no date", to("yesterday"), "provenance.started"),
    edit("finished on 30 February", to("2026-02-30T10:00:00+00:00"), "provenance.finished"),
    edit("finished in no time zone", to("2099-01-01T00:00:00"), "provenance.finished"),
]
