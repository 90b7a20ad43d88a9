"""Records by what they are called: a run id, its beginning, or the path of the file."""

from __future__ import annotations

import difflib
from pathlib import Path

from bench.errors import RequestError
from bench.records.specs import RUN_ID

NEAR = 3  # run ids that an error offers


def record(results: Path, run: str) -> Path:
    """The record of a run given by path, run id or unambiguous beginning of it. RequestError: none, or several."""
    if run.endswith(".json"):
        if not Path(run).is_file():
            raise RequestError(f"there is no record {run}: give its path, or a run id and the folder with --results")
        return Path(run)
    known = sorted(p for p in results.rglob("*.json") if RUN_ID.fullmatch(p.stem))
    found = [p for p in known if p.stem == run] or [p for p in known if run and p.stem.startswith(run)]
    if len(found) == 1:
        return found[0]
    if not known:
        raise RequestError(f"there are no records in {results}: name another folder with --results")
    ids = [p.stem for p in found or known]
    near = ids if found else difflib.get_close_matches(run, ids, n=NEAR, cutoff=0.5)
    if not near:
        raise RequestError(f"no record of a run '{run}' in {results}: bench results ls names its {len(known)} runs")
    shown = ", ".join(near[:NEAR]) + (f" and {len(ids) - NEAR} more" if len(near) > NEAR else "")
    what = f"'{run}' names {len(found)} records" if found else f"no record of a run '{run}'"
    raise RequestError(f"{what} in {results}: did you mean {shown}?")
