"""The page of searched settings: every trial, what was chosen on dev, and the runs that have it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.records import tuning
from bench.records.tuning import Tuning
from bench.web.build import build
from tests.factories.records import make
from tests.web.site import page, save

HOSTILE = "<script>alert(1)</script>"


def trial(run_id: str, dev: float | None, **settings: Any) -> dict[str, Any]:
    record = make("kd", 0)
    cost = json.loads(record.cost.model_dump_json(exclude_defaults=True))
    failed = {"dev": None, "error": HOSTILE, "cost": None}
    return {"settings": settings, "run_id": run_id} | (failed if dev is None else {"dev": dev, "cost": cost})


def search(results: Path, key: str, method: str, *trials: dict[str, Any]) -> None:
    """A file as `bench tune` leaves it."""
    told = json.loads(make(method, 0).model_dump_json())
    tuning.write(results, Tuning.model_validate({
        "schema": 1, "key": key, "asked": told["spec"], "metric": "spearman", "sampler": "TPE", "sampler_seed": 0,
        "space": {"lr": {"low": 5e-5, "high": 8e-4, "log": True}}, "trials": list(trials), "spec": told["spec"],
        "environment": told["environment"], "provenance": told["provenance"],
    }))  # fmt: skip


@pytest.fixture
def out(tmp_path: Path) -> Path:
    results = tmp_path / "results"
    own = make("kd", 0)
    save(results, own, make("kd", 1).model_copy(update={"tuned": f"{'a' * 24}.json"}), make("finetune", 0))
    search(
        results, "a" * 24, "kd", trial("1" * 16, 0.5), trial(own.run_id, 0.75, lr=3e-4), trial("2" * 16, None, lr=8e-4)
    )
    search(results, "b" * 24, "rkd", trial("3" * 16, 0.625))
    build(results, tmp_path / "out")
    return tmp_path / "out"


def test_trials_and_what_was_chosen(out: Path) -> None:
    found = page(out / "tuning.html")
    first, of_kd, of_rkd = found.tables
    assert first[1] == ["kd", "3 1 failed", "50.00", "75.00", "lr=0.0003", "160", "30", "seed 0 , seed 1"]
    assert first[2] == ["rkd", "1", "62.50", "62.50", "its own", "80", "15", "none"]
    assert [row[2] for row in of_kd[1:]] == ["50.00", "75.00", HOSTILE] and len(of_rkd) == 2
    assert HOSTILE not in (out / "tuning.html").read_text()
    for link in found.values("href"):
        if "runs/" in link:
            assert (out / link).is_file()
    assert 'href="tuning.html"' in (out / "index.html").read_text()


def test_another_search_is_shown_by_the_next_build(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = out.parent / "results"
    search(results, "c" * 24, "dml", trial("4" * 16, 0.25))
    (results / "tuning" / f"{'d' * 24}.json").write_text("{")
    build(results, out)
    assert "dml" in (out / "tuning.html").read_text() and "left out" in capsys.readouterr().err
    for path in (results / "tuning").iterdir():
        path.unlink()
    build(results, out)
    assert "Nothing was searched yet" in page(out / "tuning.html").text
    assert "tuning.html" not in (out / "index.html").read_text()
