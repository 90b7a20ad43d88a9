"""The first page's answers: sentences, their order, and the student under limits as `bench recommend` names it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bench.board import leaderboard
from bench.board.limits import Limits
from bench.board.recommend import recommend
from bench.export import offers
from bench.plugins import registry
from bench.records import disk
from bench.web import answers, facts
from bench.web.build import build
from tests.web.site import page, scored
from tests.web.site import site as build_site


def board(task: str, title: str = "A title", **row: Any) -> dict[str, Any]:
    """A board with one row, of which only what the first page reads is known."""
    own = {"method": "kd", "student": "cnn", "teacher": "t", "score": 0.9, "retention": 0.95, "best_or_tied": True,
           "timings": [], "settings": "", "board": task, "against": {}, "family": "outputs", "best": True, "key": "own",
           "parameters": 1} | row  # fmt: skip
    teacher = own | {"method": "", "score": 0.95, "best_or_tied": None, "best": False, "key": "teacher"}
    told = {"weakness": "", "within": [{"limit": "any", "key": "own"}], "data": {"title": title}}
    return {"task": task, "track": "lite", "slug": task, "rows": [teacher, own]} | told


def test_a_task_has_a_name_in_words() -> None:
    assert answers.named(board("glue/sst2")) == "Is a review good or bad?"
    assert answers.named(board("sts")) == "Vectors of sentences, by meaning"
    assert answers.named(board("graphs/dblp-raw")) == "In which field does an author write? (DBLP, raw files)"
    assert answers.named(board("mine/one", "My texts")) == "My texts: one"
    assert answers.named(board("mine/one-b", "My ONE B texts")) == "My ONE B texts"
    assert answers.named(board("mine", "My texts")) == "My texts"


def test_every_data_set_says_what_it_is_for() -> None:
    """But for the user's own files, which go by their names."""
    for name, plugin in registry.found("task").items():
        d = plugin.declares
        datasets = set(d.get("datasets", ("",)))
        assert d.get("opens") or set(d.get("purposes", {})) == datasets, name


def test_boards_that_answer_come_first_and_those_that_cannot_tell_last() -> None:
    flagged = board("a", "A") | {"weakness": "This board cannot tell."}
    far, good = board("b", "B", retention=0.3), board("c", "C")
    (section,) = answers.sections([flagged, far, good])
    assert [b["task"] for b in section["boards"]] == ["c", "b", "a"]
    told = [(a["weakness"], a["near"]) for b in section["boards"] if (a := answers.answer(b))]
    assert told == [("", True), ("", False), ("This board cannot tell.", True)]


def test_the_sentence_of_a_board_names_student_method_scores_and_cost(tmp_path: Path) -> None:
    for seed in range(3):
        scored(tmp_path / "results", "kd", seed, 0.3)
        scored(tmp_path / "results", "finetune", seed, 1.0)
    build(tmp_path / "results", tmp_path / "out")
    found = page(tmp_path / "out/index.html")
    row = next(r for r in json.loads((tmp_path / "out/api/rows.json").read_bytes()) if r["method"] == "kd")
    teacher = next(r for r in json.loads((tmp_path / "out/api/rows.json").read_bytes()) if not r["method"])
    scores = (
        f"spearman {100 * row['score']:.1f} of the teacher\N{RIGHT SINGLE QUOTATION MARK}s {100 * teacher['score']:.1f}"
    )
    cost = "1.9 times faster (4.2 ms), 17 M parameters, 70 MB"
    said = f"Use bert:3 with kd: {scores}, {cost}; ahead of all others, likely or clearly."
    assert "".join(said.split()) in "".join(found.text.split())
    assert any(link.endswith(f"#{row['key']}") for link in found.values("href"))


def test_differences_to_finetune_stand_by_method_and_board(tmp_path: Path) -> None:
    """Better ones first, each row with its own student; finetune itself has none."""
    for seed in range(3):
        for student, more in (("bert:3", 0.0), ("cnn", 0.4)):
            scored(tmp_path / "results", "finetune", seed, 2.0 + more, student=student)
            scored(tmp_path / "results", "kd", seed, 0.5 + more, student=student)
            scored(tmp_path / "results", "disco", seed, 2.0 + more, student=student)
    found = list(disk.read_all(tmp_path / "results"))
    ((told, _),) = facts.boards(found, tmp_path / "results")
    kd, disco = answers.differences([told])
    assert (kd["method"], disco["method"]) == ("kd", "disco") and list(kd["counts"].values()) == [1, 1, 0, 0, 0]
    cells = kd["cells"][told["slug"]]
    assert [row["student"] for row in cells] == ["bert:3", "cnn"]
    finetune = {row["student"]: row["score"] for row in told["rows"] if row["method"] == "finetune"}
    for row in cells:
        assert row["against"]["finetune"]["value"] == pytest.approx(row["score"] - finetune[row["student"]])


def test_the_table_of_limits_holds_what_recommend_says(tmp_path: Path) -> None:
    results = tmp_path / "results"
    sizes = {"bert:3": (17_000_000, 5.0, 0.3), "cnn": (4_000_000, 1.0, 0.9)}
    for student, (total, ms, noise) in sizes.items():
        for seed in range(2):
            size = {"efficiency__parameters": {"total": total, "embedding": 0, "active": total},
                    "efficiency__latency": {"single": {"p50_ms": ms}}}  # fmt: skip
            scored(results, "kd", seed, noise, student=student, **size)
    found = list(disk.read_all(results))
    ((told, _),) = facts.boards(found, results)
    keys = {row.name: row.key for row in leaderboard.rows(found)[0].rows}
    assert [own["limit"] for own in told["within"]] == list(facts.LIMITS)
    for own in told["within"]:
        limits = Limits(own["max_latency_ms"], own["max_params"], own["min_retention"])
        kept = recommend(results, "sts", "mini", limits, offers.command)["recommended"]
        assert own["key"] == (keys[kept[0]["name"]] if kept else None)
    assert len({own["key"] for own in told["within"]}) == 3, "the limits are to make a difference, and some keep nobody"


FORMS = [({}, Limits()), ({"ms": "3"}, Limits(3)), ({"parameters": "20"}, Limits(None, 20_000_000)),
         ({"keep": "97"}, Limits(None, None, 0.97)), ({"ms": "4", "keep": "90"}, Limits(4, None, 0.9))]  # fmt: skip


@pytest.mark.parametrize(("typed", "limits"), FORMS, ids=[" ".join(typed) or "none" for typed, _ in FORMS])
def test_the_form_says_what_recommend_says(opened: Any, site: Any, typed: dict[str, str], limits: Limits) -> None:
    """On the first hardware of the board; by its address too."""
    pytest.importorskip("playwright", reason="needs playwright, of the extra `dev`")
    board = site.boards["mini"]
    page = opened("index", f"?board={board['slug']}")
    for name, value in typed.items():
        page.locator(f"#limits [name={name}]").fill(value)
    device = board["hardware"][0]["device"]
    kept = [
        own["name"] for own in recommend(site.results, "sts", "mini", limits, offers.command, device)["recommended"]
    ]

    def check() -> None:
        rows = page.locator("#chosen tbody th")
        if not kept:
            page.locator("#chosen .gap").wait_for()
            assert "No student keeps these limits" in page.locator("#chosen").inner_text()
            return
        page.locator("#chosen strong", has_text=kept[0]).wait_for()
        assert rows.all_inner_texts() == kept[:5]

    check()
    page.reload()
    check()


def test_a_row_within_limits_says_where_it_keeps_little_of_its_teacher(tmp_path: Path) -> None:
    for noise, told in ((0.3, False), (2.0, True)):
        folder = tmp_path / str(noise)
        for seed in range(3):
            scored(folder / "results", "kd", seed, noise)
        text = page(build_site(folder) / "index.html").text
        assert bool(re.search(r", keeps \d\d%", text)) == told


def test_limits_that_nobody_keeps_name_the_nearest(opened: Any, site: Any) -> None:
    pytest.importorskip("playwright", reason="needs playwright, of the extra `dev`")
    page = opened("index", f"?board={site.boards['mini']['slug']}&ms=0.1")
    page.locator("#chosen .gap").wait_for()
    assert "the nearest is finetune cnn: latency misses the limit by" in page.locator("#chosen").inner_text()
