"""A student that the store no longer has, and what a killed export has left."""

from __future__ import annotations

import re
from pathlib import Path

from tests.factories.commands import bench
from tests.factories.runs import Finished


def test_a_student_that_is_gone_is_trained_again(finished: Finished, tmp_path: Path) -> None:
    """In a store that never had it, to the same dev score as in the record."""
    (run,) = [outcome for outcome in finished.outcomes if outcome["method"] == "finetune"]
    out, cache = tmp_path / "out", tmp_path / "cache"
    left = tmp_path / ".out-ab12cd34.partial"
    (left / "new").mkdir(parents=True)
    asked = ("export", run["run_id"][:8], "--format", "hf", "--out", out, "--results", finished.results)
    assert "or say bench export --retrain" in bench(*asked, cache=cache, check=2).err
    said = bench(*asked, "--retrain", cache=cache).err
    now, then = re.search(r"trained again: (\S+) on dev\n.*of the record, with (\S+) on dev", said).groups()
    assert now == then and (out / "model.safetensors").is_file()
    assert not left.exists() and not list(cache.glob("runs/*/checkpoint.safetensors"))
