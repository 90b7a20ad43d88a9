"""Pages of suites: with at least two measured data sets, and the numbers that the records say."""

from __future__ import annotations

import json
from pathlib import Path

from bench.web.build import build
from tests.factories.records import make
from tests.web.site import page, save

HOSTILE = "<script>alert(1)</script>"


def record(task: str, seed: int = 0, f1: float = 0.8, **changes):
    scores = {task: {"f1": f1, "accuracy": f1 - 0.2}}
    return make("kd", seed, f1, task=task, track="lite", metrics__all=scores, **changes)


def built(tmp_path: Path, *records) -> Path:
    save(tmp_path / "results", *records)
    build(tmp_path / "results", tmp_path / "out")
    return tmp_path / "out"


def test_a_suite_has_a_page_with_cells_that_lead_to_their_boards(tmp_path: Path) -> None:
    cola = make("kd", 0, 0.3, task="glue/cola", track="lite", metrics__all={"cola": {"mcc": 0.3}}, student=HOSTILE)
    out = built(tmp_path, record("glue/mrpc"), record("glue/rte", f1=0.9), cola)
    found = page(out / "suites/glue.html")
    table = {row[0]: row for row in found.tables[0]}
    assert table["kd bert:3 provisional"][3:5] == ["\N{EM DASH}", "70.00"] and "3 of 9 data sets" in found.text
    assert "70.00" in table["kd bert:3 provisional"][5] and HOSTILE not in (out / "suites/glue.html").read_text()
    for link in found.values("href"):
        if "tasks/" in link:
            assert (out / "suites" / link.partition("#")[0]).resolve().is_file(), link
    assert 'href="suites/glue.html"' in (out / "index.html").read_text()
    (told,) = json.loads((out / "api/suites/glue.json").read_text())
    assert told["measured"] == 3 and told["averages"]["average"][0] == "cola"
    for path in [*(tmp_path / "results").rglob("rte/**/*.*"), *(tmp_path / "results").rglob("cola/**/*.*")]:
        path.unlink()
    build(tmp_path / "results", out)  # the pages are the site's own: replaced where they change, and removed
    assert not list((out / "suites").iterdir()) and not list((out / "api/suites").iterdir())


def test_a_suite_of_one_measured_data_set_has_none(tmp_path: Path) -> None:
    out = built(tmp_path, record("glue/mrpc"))
    assert not (out / "suites").exists() and "suites/" not in (out / "index.html").read_text()
