"""A board's table: sets of columns that fit a window, cards on a phone, data sets, notes, and how rows were trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.board import leaderboard
from bench.web import facts, tables
from bench.web.build import build
from tests.factories.records import make, settings
from tests.web.site import board_rows, page, save, site, task_page

NOISE = "<b>Noisy</b> host: *see* {{ 7*7 }}"


def test_a_board_over_several_data_sets_has_a_column_of_each(tmp_path: Path) -> None:
    """The mean over seeds; the teacher's too. Data sets without the board's metric are none of its columns."""
    for seed, (one, two) in enumerate(((0.5, 0.7), (0.6, 0.8))):
        scores = {"sts12": {"spearman": one, "pearson": 0.1}, "sick r": {"spearman": two}, "other": {"pearson": 0.3}}
        above = {"sts12": {"spearman": 0.9}, "sick r": {"spearman": 0.95}}
        save(tmp_path / "results", make("kd", seed, metrics__all=scores, teacher__metrics=above))
    out = site(tmp_path)
    head, below, *_ = page(task_page(out)).tables[0]
    assert "spearman x 100 by data set" in head and below[4:6] == ["sts12", "sick r"]
    rows = board_rows(out)
    assert rows["kd bert:3"][5:7] == ["55.00", "75.00"] and rows["teacher all-MiniLM-L6-v2"][5:7] == ["90.00", "95.00"]
    row = next(row for row in json.loads((out / "api/rows.json").read_bytes()) if row["method"])
    assert json.loads(row["by_dataset"]) == pytest.approx({"sts12": 0.55, "sick r": 0.75})


def test_one_data_set_has_no_columns_of_its_own(tmp_path: Path) -> None:
    save(tmp_path / "results", make("kd"))
    ((told, _),) = facts.boards([make("kd")], tmp_path / "results")
    assert [row["datasets"] for row in told["rows"]] == [{}, {}] and told["finished"] == make("kd").provenance.finished


def test_how_rows_were_trained_is_told_with_what_differs(tmp_path: Path) -> None:
    given = settings() | {"track": {"updates": 80, "batch_size": 64, "warmup": "stage"}, "method": {"lr": None}}
    save(tmp_path / "results", make("kd"), make("finetune", 1, settings=given))
    text = " ".join(page(task_page(site(tmp_path))).text.split())
    assert "updates of the student: 80; examples in a batch: 32, 64; learning rate: 0.0002, the student's own" in text
    assert "teacher: all-MiniLM-L6-v2; seeds: 0, 1;" in text and "warmup: not set, stage." in text
    assert f"the last was finished on {make('kd').provenance.finished[:10]}" in text
    row = next(r for r in tables.of_boards([b for b, _ in facts.boards([make("kd")], tmp_path)]) if r["method"])
    assert (row["batch_size"], row["lr"]) == (32, "0.0002")


def test_a_note_beside_the_records_stands_on_the_board_as_text(tmp_path: Path, capsys: Any) -> None:
    """And a changed note is a reason to build the board again."""
    save(tmp_path / "results", make("kd"), make("kd", track="lite"))
    note = tmp_path / "results/mini/sts/NOTE.md"
    note.write_text(f"{NOISE}\nsame paragraph\n\nsecond one\n", encoding="utf-8")
    out = site(tmp_path)
    found = page(task_page(out))
    assert f"{NOISE}\nsame paragraph" in found.text and "second one" in found.text
    assert [attrs.get("class") for tag, attrs in found.tags if tag == "p"].count("note") == 2
    assert NOISE not in page(task_page(out, "sts-lite")).text
    assert json.loads(next((out / "api/boards").glob("sts-mini-*")).read_bytes())["note"].startswith(NOISE)
    note.write_text("quiet now", encoding="utf-8")
    build(tmp_path / "results", out)
    assert "quiet now" in page(task_page(out)).text and NOISE not in page(task_page(out)).text
    note.write_bytes(b"\xff\xfe")
    build(tmp_path / "results", out)
    assert "quiet now" not in page(task_page(out)).text and "NOTE.md is not a text in UTF-8" in capsys.readouterr().err


def test_the_note_is_no_record(tmp_path: Path) -> None:
    save(tmp_path / "results", make("kd"))
    (tmp_path / "results/mini/sts/NOTE.md").write_text("x")
    _, (board,) = leaderboard.chosen(tmp_path / "results", "sts", "mini")
    assert len(board.rows) == 2


SETS = ["Overview", "Research", "Deploy", "Cost", "All"]


def shown(page: Any) -> list[str]:
    return page.eval_on_selector_all("#rows th[data-col]", "all => all.filter(h => !h.hidden).map(h => h.dataset.col)")


def test_sets_of_columns_fit_a_window_and_the_address_remembers_them(opened: Any) -> None:
    pytest.importorskip("playwright", reason="needs playwright, of the extra `dev`")
    page = opened("task", viewport={"width": 1300, "height": 800})
    columns = {}
    for name in SETS:
        page.get_by_role("button", name=name, exact=True).click()
        columns[name] = shown(page)
        assert page.get_by_role("button", name=name, exact=True).get_attribute("aria-pressed") == "true"
        fits = page.evaluate(
            "document.querySelector('#rows').scrollWidth <= document.querySelector('main').clientWidth"
        )
        assert fits or name == "All"
    assert set(columns["All"]) == set().union(*columns.values()) and len(set(map(tuple, columns.values()))) == 5
    assert {"score", "latency0", "parameters", "against-finetune"} <= set(columns["Overview"])
    assert {"updates", "batch", "lr", "date"} <= set(columns["Cost"]) and "disk" in columns["Deploy"]
    page.reload()
    assert shown(page) == columns["All"]
    page.get_by_role("button", name="Overview", exact=True).click()
    assert "?" not in page.url and shown(page) == columns["Overview"]


def test_headings_stay_at_the_top_of_the_window(opened: Any) -> None:
    pytest.importorskip("playwright", reason="needs playwright, of the extra `dev`")
    page = opened("task", viewport={"width": 1300, "height": 500})
    page.locator("#rows tbody tr").last.scroll_into_view_if_needed()
    page.evaluate("document.querySelector('#rows tbody tr:last-child').scrollIntoView({ block: 'end' })")
    box = page.locator("#rows thead").bounding_box()
    assert box and 0 <= box["y"] < 120, "the heading is on the screen while the last row is"


def test_on_a_phone_a_row_is_a_card_whose_cells_say_what_they_are(opened: Any, site: Any) -> None:
    pytest.importorskip("playwright", reason="needs playwright, of the extra `dev`")
    page = opened("task", viewport={"width": 375, "height": 700})
    card = page.locator("#rows tbody tr").nth(1)
    box = card.bounding_box()
    assert box and box["width"] <= 375 and page.locator("#rows thead").is_hidden()
    assert card.evaluate("c => c.scrollWidth <= c.clientWidth")
    labels = card.locator("td:visible").evaluate_all("all => all.map(c => getComputedStyle(c, '::before').content)")
    assert '"spearman x 100"' in labels and '"Latency, ms"' in labels
    page.get_by_label("Sort by").select_option("parameters")
    rows = [row for row in site.boards["mini"]["rows"] if row["method"]]
    keys = [row["key"] for row in sorted(rows, key=lambda row: -row["parameters"])]
    assert page.eval_on_selector_all("#rows tbody tr", "all => all.map(r => r.id)")[1:] == keys
