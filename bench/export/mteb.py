"""Scores of a run as result files of MTEB, where the data set on the Hub and the way it is read are MTEB's own.

    results/<model>/<revision>/<Task>.json

as MTEB's result repository has them (mteb.TaskResult, version 2). MTEB did not run here: `mteb_version` is null, and so
are time and emissions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.records.schemas import Record
from bench.sources import HubSet

LANGUAGES = ["eng-Latn"]  # of all data sets that are tasks of MTEB here


def write(folder: Path, model: str, record: Record, sets: Mapping[str, HubSet]) -> list[str]:
    """One file a task, of a model under its run id; the tasks' names. No folder where there are none."""
    place = folder / "results" / model / record.run_id
    defined = {n: {m: v for m, v in scores.items() if v is not None} for n, scores in record.metrics.all.items()}
    found = {n: kept for n, kept in sets.items() if kept.mteb and defined.get(n, {}).keys() >= kept.metrics.keys()}
    for name, kept in found.items():
        place.mkdir(parents=True, exist_ok=True)
        text = json.dumps(result(kept, defined[name]), indent=2) + "\n"
        (place / f"{kept.mteb}.json").write_text(text, encoding="utf-8")
    return [kept.mteb for kept in found.values()]


def result(data: HubSet, scores: Mapping[str, float]) -> dict[str, Any]:
    """What a file says, scores as shares."""
    named = {theirs: round(scores[ours], 6) for ours, theirs in data.metrics.items()}  # as many places as MTEB keeps
    split = {**named, "main_score": next(iter(named.values())), "hf_subset": "default", "languages": LANGUAGES}
    return {
        "dataset_revision": data.revision, "task_name": data.mteb, "mteb_version": None,
        "scores": {data.split: [split]}, "evaluation_time": None, "kg_co2_emissions": None,
    }  # fmt: skip
