"""Addresses of rows name what a row is: a record that comes leaves them, and one that is gone is said to be gone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.web.build import build
from tests.factories.records import settings
from tests.web.site import board_rows, page, scored, site, task_page


def rows_of(out: Path) -> dict[str, dict[str, Any]]:
    """{key: row} of the only board."""
    (path,) = (out / "api/boards").glob("*.json")
    return {row["key"]: row for row in json.loads(path.read_bytes())["rows"]}


def small(results: Path) -> None:
    for seed in range(2):
        scored(results, "kd", seed, 0.5, settings=settings(queue=1))
        scored(results, "finetune", seed, 0.9)


def test_a_better_row_and_another_setting_leave_every_address_as_it_was(tmp_path: Path) -> None:
    """The new rows stand above the old ones, and give one of them a longer name."""
    results = tmp_path / "results"
    small(results)
    before = rows_of(site(tmp_path))
    for seed in range(2):
        scored(results, "disco", seed, 0.1)
        scored(results, "kd", seed, 0.2, settings=settings(queue=2))
    scored(results, "finetune", 2, 0.9)
    build(results, tmp_path / "out")
    after = rows_of(tmp_path / "out")
    assert len(before) == 3 and len(after) == 5 and before.keys() < after.keys()
    for key, row in before.items():
        same = ("method", "student", "teacher")
        assert [row[name] for name in same] == [after[key][name] for name in same]
    assert {row["name"] for row in after.values()} >= {"kd bert:3 queue=1", "kd bert:3 queue=2"}
    kd = next(row for row in after.values() if row["settings"] == "queue=1")
    assert before[kd["key"]]["settings"] == "" and before[kd["key"]]["score"] == kd["score"]
    assert after[kd["against"]["finetune"]["key"]]["method"] == "finetune", "differences name rows too"


def test_every_row_of_a_page_can_be_linked_to(tmp_path: Path) -> None:
    small(tmp_path / "results")
    out = site(tmp_path)
    ids = page(task_page(out)).values("id")
    assert rows_of(out).keys() <= set(ids) and len(board_rows(out)) == 2 + 3 + 1, "headings, rows, trivial"
    table = json.loads((out / "api/rows.json").read_bytes())
    assert {row["key"] for row in table} == rows_of(out).keys()


playwright = pytest.importorskip("playwright", reason="needs playwright, of the extra `dev`")


def test_an_address_of_two_rows_shows_the_same_two_after_a_record_came(tmp_path: Path, opened: Any) -> None:
    results = tmp_path / "results"
    small(results)
    out = site(tmp_path)
    (slug,) = (path.stem for path in (out / "api/boards").iterdir())
    names = {row["name"]: key for key, row in rows_of(out).items()}
    query = f"?board={slug}&a={names['kd bert:3']}&b={names['finetune bert:3']}"
    told = opened(out / "compare.html", query).locator("#compared table").inner_text()
    for seed in range(2):
        scored(results, "disco", seed, 0.1)
    build(results, out)
    again = opened(out / "compare.html", query).locator("#compared table").inner_text()
    lines, now = told.splitlines(), again.splitlines()
    of_all = ("Holm", "interval", "p-value")  # what all rows of a board tell of the noise between seeds
    assert [x for x in now if not any(w in x for w in of_all)] == [x for x in lines if not any(w in x for w in of_all)]
    assert "kd bert:3" in again and "finetune bert:3" in again


def test_an_address_of_what_is_gone_says_so(opened: Any, site: Any) -> None:
    """A number of a row, which addresses had once, and a board are gone likewise."""
    board = site.boards["mini"]
    key = board["rows"][2]["key"]
    page = opened(site.out / "compare.html", f"?board={board['slug']}&a={key}&b=kd-bert-3-00000000")
    gone = page.locator("#compared .gap")
    assert "The row kd-bert-3-00000000 that this address names is not here" in gone.inner_text()
    assert page.locator("#compared table").count() == 0
    page = opened(site.out / "compare.html", f"?board={board['slug']}&a=1&b=2")
    assert page.locator("#compared .gap").count() == 2
    page = opened(site.out / "compare.html", "?board=sts-mini-00000000&a=1&b=2")
    assert "The board sts-mini-00000000 that" in page.locator("#compared .gap").inner_text()
    page = opened("task", "#kd-bert-3-00000000")
    assert "The row kd-bert-3-00000000" in page.locator(".gone").inner_text()
    page = opened("task", f"#{key}")
    assert page.locator(".gone").count() == 0 and page.locator("tr:target").get_attribute("id") == key
