"""What `--json` prints, command by command: the one source of docs/json.md (`python -m bench.cli.forms`) and its test.

A form is a mapping of keys, a list of one form, or the meaning of a value in words, whatever the value holds. A key
that ends in `?` may be missing; any mapping or list may be null.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

Form = str | Mapping[str, Any] | list[Any]
SCORED = "a share of 1"
RUN = {
    "run_id": "a hash of all that decides a result", "task": "", "method": "", "student": "", "seed": "",
    "status": "done, skipped, failed; of a plan: planned or done", "record": "the path of its record",
    "metric": "of the main score", "value": f"the main score on test, {SCORED}", "retention": "value / the teacher's",
    "kept_start": "whether no update made it better on dev", "error?": "why it failed", "log?": "where the details are",
}  # fmt: skip
PLANNED = RUN | {"spec": "all that the run id is a hash of"}
INTERVAL = {"value": "", "ci95": "95% interval: low, high"}
DIFFERENCES = {
    f"{method}_{key}": f"{words} the row of {method} with the same student, trained alike"
    for method in ("finetune", "kd")
    for key, words in (
        ("difference", "difference to"), ("low", "low end of the difference to"),
        ("high", "high end of the difference to"), ("evidence", "clear, likely or open: the difference to"),
    )
}  # fmt: skip
BOARD = {"slug": "of the board, as in addresses of the site", "task": "", "track": "", "metric": "what it ranks by",
         "dataset": "on which"}  # fmt: skip
ROW = {
    "board": "slug", "task": "", "track": "", "metric": "", "dataset": "", "name": "the row in words",
    "method": "empty: a teacher or a reference", "student": "", "teacher": "", "reference": "as bm25",
    "settings": "what tells it from rows of the same method and student", "seeds": "runs that it is the mean of",
    "provisional": "fewer than three", "score": SCORED, "low": "of the 95% interval", "high": "",
    "interval": "what it covers", "retention": "score / the teacher's", "best": "no method has a better score",
    "tie": "the evidence between it and the best is open", **DIFFERENCES,
    "latency_ms": "of one input at a time", "speedup": "over the teacher", "device": "on which",
    "noisy": "timed beside others", "parameters": "in all", "updates": "of the student",
    "dev": "score of the chosen checkpoints", "marks": "what has to be known before the score is read", "run_ids": "",
}  # fmt: skip
CELL = {
    "value": f"mean over seeds, {SCORED}", "low": "of the 95% interval; null: not known", "high": "", "seeds": "",
    "provisional": "fewer than three", "settings": "that stand for the row here", "board": "slug",
    "key": "of the row there",
}  # fmt: skip
NAMED = {"method": "", "student": "", "teacher": "", "reference": ""}
KEPT = {
    "run_id": "", "state": "whole; broken: its record; left: by a command that was killed", "task": "", "track": "",
    "method": "", "student": "", "seed": "", "metric": "", "score": SCORED, "finished": "", "bytes": "of its files",
    "files": "their paths",
}  # fmt: skip
FOUND = {
    "run_id": "", "board": "slug", "task": "", "track": "", "method": "", "student": "", "teacher": "", "seed": "",
    "metric": "", "dataset": "", "score": SCORED, "score_low": "of the bootstrap interval", "score_high": "",
    "teacher_score": "on the same test set", "retention": "score / teacher_score", "dev": "of the chosen checkpoint",
    "kept_start": "no update made it better on dev", "tuned": "file of the search that chose it",
    "parameters": "in all", "active": "without look-up tables",
    "disk_bytes": "", "flops": "of a mean input", "memory_bytes": "peak", "device": "", "threads": "",
    "latency_ms": "of one input at a time, p50", "latency_p90_ms": "", "latency_p99_ms": "",
    "offline_per_s": "inputs a second", "speedup": "over the teacher", "speedup_low": "", "speedup_high": "",
    "noisy": "", "updates": "of the student", "teacher_forwards": "computed", "teacher_forwards_reused": "stored",
    "train_seconds": "", "teacher_seconds": "", "teacher_seconds_reused": "", "energy_j": "", "commit": "",
    "command": "that made it", "finished": "", "data_identity": "", "licence": "of the data", "record": "its path",
}  # fmt: skip
STUDENT = {
    "name": "the row in words", "role": "student or teacher", "method": "", "student": "", "teacher": "",
    "differs": "settings that tell it from others", "score": INTERVAL, "retention": INTERVAL, "latency_ms": "",
    "noisy": "", "sessions": "in which it was timed", "parameters": "", "speedup": INTERVAL, "seeds": "", "runs": "ids",
    "notes": "",
}  # fmt: skip
OTHER = {"name": "", "score_points": "difference, in points", "retention": "", "times_faster": "", "times_smaller": ""}
PLACED = STUDENT | {"place": "rows as good as each other share one", "given_up": {"teacher": OTHER, "best": OTHER}}
MOVES = {"what": "added, removed, changed, other numbers", "row": "", "score": "", "before": "its score",
         "place": "", "place_before": ""}  # fmt: skip
HEAD = """# What --json prints

One JSON document on standard output, and nothing else; progress goes to standard error. A key that ends in `?` may be
missing, `[]` is a list and `*` any name; any value may be null where it is unknown. Scores are shares of 1. Made by
`python -m bench.cli.forms > docs/json.md`; a test holds every command against it."""
FORMS: dict[str, Form] = {
    "list": {
        "tasks?": [{"name": "", "title": "", "kind": "of output", "reads": "its inputs", "metric": ""}],
        "suites?": [{"name": "", "tasks": "", "columns": "{data set: metrics whose mean its cell is}",
                     "averages": "{average: data sets that it is the mean of}",
                     "methods": "run where a command names none", "students": "run where a command names none"}],
        "methods?": [{"name": "", "title": "", "needs": "signals", "fits": "tasks", "misfits": "{task: why not}"}],
        "students?": [{"name": "", "title": "", "sizes": "how they are written", "default": "", "offers": "signals",
                       "kinds": "empty: all", "reads": "inputs"}],
        "teachers?": [{"name": "", "where": "", "tasks": ""}],
        "metrics?": [{"name": "", "title": ""}],
    },
    "reported": {
        "method": "",
        "rows": [{"system": "as the paper calls it", "teacher": "", "student": "", "dataset": "", "metric": "",
                  "value": "in the units of its source", "split": "", "aggregation": "", "seeds": "", "source": "",
                  "known": "how the number is known"}],
    },
    "teach": {"teachers": [{"task": "", "model": "", "key": "in the store", "dev": SCORED, "record": "its path"}]},
    "run": {"runs": [RUN]},
    "run --dry-run": {"cells": "of the grid", "runs": [PLANNED]},
    "sweep": {"runs": [RUN]},
    "sweep --dry-run": {"cells": "of the grid", "runs": [PLANNED]},
    "transfer": {
        "cells": [{"method": "", "student": "", "source": "empty: no transfer", "target": "", "seeds": "",
                   "value": SCORED, "gain": "to no transfer"}],
        "runs": [RUN],
    },
    "transfer --dry-run": {"runs": [RUN | {"source": ""}]},
    "board": {
        "boards": [BOARD | {"rows": "how many", "runs": "how many", "best": "row", "method": "of the best",
                            "student": "of the best", "score": "of the best", "retention": "of the best",
                            "teacher": "", "teacher_score": ""}],
    },
    "board --task": {
        "boards": [BOARD | {
            "version": "of the task", "identity": "of the data", "rows": [ROW],
            "no_comparison": "why rows are not compared",
            "weakness": "why it tells no students apart", "missing": [{"method": "", "students": "", "command": ""}],
            "suites": "its columns of suites",
        }],
    },
    "board --suite": {
        "suite": "",
        "tables": [{
            "suite": "", "track": "", "measured": "data sets with a row",
            "columns": [{"name": "", "task": "", "metrics": "whose mean a cell is",
                         "board": "slug; null: nothing is measured"}],
            "averages": "{name: the columns that it is the mean of}",
            "rows": [NAMED | {"name": "", "provisional": "fewer than three seeds in a cell",
                              "cells": {"*": CELL}, "averages": {"*": {"value": SCORED, "low": "", "high": ""}}}],
        }],
    },
    "show": FOUND | {
        "metrics": "{data set: {metric: value}}", "loyalty": "agreement with the teacher",
        "types": [{"data": "", "type": "of entity, where there are several", "gold": "how many are to be found",
                   "f1": "", "precision": "", "recall": "", "teacher_f1": ""}],
        "settings": "of track, "
        "method and student", "notes": "what the method noted before training", "came_first": "runs that it needed",
        "seconds": "of all that it took", "energy_source": "",
        "kept": [{"what": "", "split": "", "step": "", "value": ""}], "curve": [{"stage": "", "step": "", "dev": ""}],
        "student_file": "where the store keeps it; null: no longer",
        "next": [{"what": "", "command": "", "refused": "why it would be"}],
    },
    "push": {
        "run_id": "", "repository": "owner/name", "revision": "branch", "private": "",
        "files": [{"path": "", "bytes": ""}], "bytes": "of all", "commit": "null: a dry run",
    },
    "tune": {
        "methods": [{
            "method": "", "trials": "", "failed": "of them", "metric": "", "own": f"of the method's own settings on "
            f"dev, {SCORED}", "best": f"on dev, {SCORED}", "settings": "that were best", "updates": "of all trials",
            "seconds": "of all trials", "file": "of the trials", "command": "that runs the best settings",
        }],
    },
    "tune --dry-run": {
        "methods": [{"method": "", "trials": "", "updates": "of all trials",
                     "space": {"*": {"low": "", "high": "", "log": "whether it is drawn on a logarithmic scale"}}}],
    },
    "test": {
        "file": "", "kind": "task, method, student or kind", "ok": "",
        "checks": [{"what": "was checked", "why": "it failed; empty: it holds", "seen": "numbers of it"}],
    },
    "results ls": {"results": "the folder", "runs": [KEPT]},
    "results mv": {"to": "the folder", "dry_run": "", "runs": [KEPT]},
    "results rm": {"dry_run": "", "runs": [KEPT]},
    "compare": {
        "task": "", "track": "", "a": "", "b": "", "metric": "", "difference": "A minus B", "ci95": "its interval",
        "evidence": "clear, likely, open", "sentence": "", "p_value": "", "p_holm": "after Holm's correction",
        "family": "over what", "examples": "", "seeds": "common ones", "noise": "what the interval covers",
        "speed": [{"hardware": "", "a": "", "b": "", "same_network": ""}], "board_sees": "the smallest difference",
        "marks": "{row: what has to be known of it}",
    },
    "recommend": {
        "task": "", "track": "", "limits": "", "board": {"slug": "", "data": "", "metric": "", "dataset": ""},
        "hardware": {"device": "", "threads": "", "scope": "", "inputs": ""},
        "not_timed": "{row: why it was not, with --here}", "recommended": [PLACED],
        "pareto": [STUDENT], "rejected": [STUDENT | {
            "misses": [{"limit": "", "value": "", "by": "as a share of the limit", "reason": ""}]
        }],
        "nearest": "of the rejected, where nothing keeps the limits", "teacher": STUDENT,
        "export": {"run_id": "", "seed": "", "dev": "", "name": "", "command": "", "refused": ""},
    },
    "check": {"records": "how many", "ok": "", "problems": [{"path": "", "problem": ""}],
              "data?": {"boards": "whose gold answers were compared", "left_out": "{task: why}"}},
    "verify": {
        "run_id": "", "verdict": "same, within interval, different", "metric": "", "value": "in the record",
        "ci95": "in the record", "again": "now", "metrics": "{data set: {metric: {record, again}}}",
        "record": "its path",
    },
    "profile": {
        "schema": "", "task": "", "track": "", "reference": "the network that others are compared with",
        "models": "{network: parameters, latency, throughput ... as a record's efficiency}",
        "speedups": "{network: {point: value, ci95}}", "scope": "what is inside the clock", "device": "", "threads": "",
        "inputs": "", "noise": "why it is noisy", "seen": "of the machine", "notes": "", "environment": "",
        "provenance": "",
    },
    "export": {"run_id": "", "format": "", "out": "", "files": "", "largest_difference": "of an output",
               "dev": {"student": "its dev score", "int8": "that of what was written, --format int8"}},
    "doctor": {"ok": "", "checks": [{"name": "", "ok": "", "detail": ""}]},
    "store ls": {"root": "", "entries": [{"kind": "", "key": "", "detail": "", "bytes": "", "used": "s since 1970"}]},
    "site diff": {"boards": [{"what": "new, gone, changed", "task": "", "track": "", "metric": "", "best": "row",
                              "best_before": "", "rows": [MOVES]}]},
}  # fmt: skip


def paths(form: Form, place: str = "") -> Iterator[tuple[str, str]]:
    """(key with those above it, meaning) of all values."""
    if isinstance(form, str):
        yield place, form
    elif isinstance(form, list):
        yield from paths(form[0], f"{place}[]")
    else:
        for key, own in form.items():
            yield from paths(own, f"{place}.{key}" if place else key)


def problems(form: Form, found: Any, place: str = "") -> Iterator[str]:
    """Where an answer is not of a form."""
    if isinstance(form, str) or (found is None and place):
        return
    if isinstance(form, list) and isinstance(found, list):
        for own in found:
            yield from problems(form[0], own, f"{place}[]")
    elif isinstance(form, list) or not isinstance(found, dict):
        yield f"{place}: {type(found).__name__}"
    elif "*" in form:
        for key, own in found.items():
            yield from problems(form["*"], own, f"{place}.{key}")
    else:
        known = {key.rstrip("?"): own for key, own in form.items()}
        yield from (f"{place}.{key}: said nowhere" for key in found.keys() - known.keys())
        yield from (f"{place}.{key}: missing" for key in form.keys() - found.keys() if not key.endswith("?"))
        for key in found.keys() & known.keys():
            yield from problems(known[key], found[key], f"{place}.{key}")


def page() -> str:
    """docs/json.md."""
    lines = HEAD.split("\n")
    for command, form in FORMS.items():
        lines += ["", f"## bench {command}", "", "| key | meaning |", "|---|---|"]
        for (_, meaning), own in groupby(paths(form), lambda pair: (pair[0].rpartition(".")[0], pair[1])):
            lines.append(f"| {', '.join(f'`{path}`' for path, _ in own)} | {meaning or 'as its name says'} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
