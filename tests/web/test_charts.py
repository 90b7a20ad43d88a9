"""Charts: a student's rows in one place, ticks, colours that are the same on all pages, and one axis at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.web import charts, facts
from bench.web.charts import Axis
from tests.factories.records import make
from tests.web.site import page, save, site, task_page


def boards_of(folder: Path, *records: Any) -> dict[str, Any]:
    save(folder / "results", *records)
    ((board, _),) = facts.boards(list(records), folder / "results")
    return board


def faster(ratio: float) -> dict[str, Any]:
    return {"value": ratio, "ci95": (ratio - 0.1, ratio + 0.1)}


def test_rows_of_a_student_stand_in_one_place_and_those_of_another_in_theirs(tmp_path: Path) -> None:
    """By its middle latency, 4 of 2, 4 and 8; each row at its own score, the best first. The teacher takes 8 ms."""
    times = {"kd": 2.0, "disco": 4.0, "finetune": 8.0}
    found = [
        make(m, 0, 0.6 + 0.05 * i, efficiency__flops={"mean": ms}, efficiency__speedup=faster(8 / ms))
        for i, (m, ms) in enumerate(times.items())
    ]
    board = boards_of(tmp_path, *found, make("kd", student="cnn", value=0.5))
    drawn = {chart["name"]: chart for chart in charts.charts(board["rows"], board["hardware"])}
    assert list(drawn) == ["latency", "parameters", "MFLOP of an input", "size on disk", "cost of distilling"]
    chart = drawn["latency"]
    groups = {group["name"]: group for group in chart["groups"]}
    assert groups.keys() == {"bert:3", "cnn", "teacher all-MiniLM-L6-v2"}
    bert = groups["bert:3"]
    assert bert["x"] == chart["x"](4.0) and bert["label"] == "bert:3, 3 rows"
    told = [(row["method"], value, y) for row, value, y in bert["marks"]]
    assert told == [(m, times[m], chart["y"](100 * s)) for m, s in (("finetune", 0.7), ("disco", 0.65), ("kd", 0.6))]
    assert len(drawn["cost of distilling"]["groups"]) == 4, "what a row costs depends on its method"


def test_a_label_without_room_is_said(tmp_path: Path) -> None:
    crowd = [make(f"a method with a long name {n:02}", 0, 0.5 + n / 1e5) for n in range(40)]
    save(tmp_path / "results", *crowd)
    out = site(tmp_path)
    board = boards_of(tmp_path, *crowd)
    cost = charts.charts(board["rows"], board["hardware"])[-1]
    assert cost["unnamed"] == sum(group["place"] is None for group in cost["groups"]) > 0
    text = " ".join(page(task_page(out)).text.split())
    assert f"{cost['unnamed']} marks have no room for a name: point at one to read it" in text


def test_a_log_axis_shows_how_it_is_divided() -> None:
    axis = Axis(1, 100, 0, 200, log=True)
    assert [label for _, label in axis.ticks] == ["1", "2", "5", "10", "20", "50", "100"]
    assert axis.minor == [axis(v) for v in (3, 4, 6, 7, 8, 9, 30, 40, 60, 70, 80, 90)]
    assert Axis(1, 1e8, 0, 200, log=True).minor == [] and Axis(0, 10, 0, 200).minor == []


def test_a_family_has_one_mark_wherever_its_methods_stand(tmp_path: Path) -> None:
    """Whatever other methods are beside it."""
    assert len({charts.look(name) for name in facts.FAMILIES} | {charts.look("labels")}) == 4
    assert charts.look("") is None
    marks = []
    for folder, others in (("a", ()), ("b", ("annealing", "disco", "finetune"))):
        out = site(tmp_path / folder, make("kd"), *(make(m) for m in others))
        uses = [attrs["href"] for tag, attrs in page(task_page(out)).tags if tag == "use"]
        text = task_page(out).read_text(encoding="utf-8")
        marks.append(text.split("methods/kd.html")[0].rsplit('href="#mark-', 1)[1][0])
        assert set(uses) <= {f"#mark-{n}" for n in (0, 1, 2, 3, 4, "teacher")}
    assert marks[0] == marks[1] == str(charts.look("outputs"))


def test_one_chart_at_a_time_whose_axis_is_chosen_and_remembered(opened: Any) -> None:
    pytest.importorskip("playwright", reason="needs playwright, of the extra `dev`")
    page = opened("task")
    figures = page.locator(".charts figure:visible")
    assert figures.count() == 1
    page.locator(".charts select").select_option("size on disk")
    assert figures.count() == 1 and figures.get_attribute("data-axis") == "size on disk"
    page.reload()
    assert figures.count() == 1 and figures.get_attribute("data-axis") == "size on disk"


def test_a_mark_tells_its_row_and_leads_to_it(opened: Any, site: Any) -> None:
    pytest.importorskip("playwright", reason="needs playwright, of the extra `dev`")
    page, row = opened("task", "?axis=cost of distilling on CPU, 2 threads"), site.boards["mini"]["rows"][2]
    mark = page.locator(f'.charts figure:visible [data-mark="{row["key"]}"]')
    assert f"{row['name']}: {100 * row['score']:.2f}" in mark.locator("title").text_content()
    mark.dispatch_event("click")
    assert page.evaluate("location.hash") == f"#{row['key']}" and page.locator("tr:target").is_visible()
