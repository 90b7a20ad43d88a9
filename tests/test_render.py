"""The site: its numbers, its safety with hostile records, and that a build is repeatable and minds its own files."""

from __future__ import annotations

import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import records, render
from bench.errors import RequestError
from tests.test_leaderboard import CPU, make, settings

VOID = {"meta", "link", "br", "hr", "img", "input"}
HOSTILE = "\"><script>alert(1)</script><a href='javascript:alert(2)' onclick=x>{{ 7*7 }}&amp;--><!--"


class Page(HTMLParser):
    """Checks that tags match, and keeps what a test asks for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[list[list[str]]] = []
        self.text = ""
        self.cell = False
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes another tag"

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.open and {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] = " ".join((self.tables[-1][-1][-1] + " " + data).split())

    def values(self, *names: str) -> list[str]:
        return [attrs[n] or "" for _, attrs in self.tags for n in names if n in attrs]


def save(results: Path, *found: records.Record) -> None:
    for record in found:
        records.write(results, record, {"lee/prediction": np.zeros(2, np.float32)}, {"single": {"student": [[1]]}})


def site(tmp_path: Path, *found: records.Record) -> Path:
    save(tmp_path / "results", *found)
    render.build(tmp_path / "results", tmp_path / "out")
    return tmp_path / "out"


def page(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def board_rows(path: Path) -> dict[str, list[str]]:
    """Rows of the first board by their first cell."""
    return {row[0]: row for row in page(path).tables[0]}


def test_the_numbers_on_the_board(tmp_path: Path) -> None:
    values = [0.7, 0.76, 0.73]
    out = site(tmp_path, *(make("kd", s, v) for s, v in enumerate(values)), make("finetune", 0, 0.65))
    rows = board_rows(out / "index.html")
    half = 1.96 * np.sqrt(np.var(values, ddof=1) / 3 + (0.07 / 3.92) ** 2)
    interval = f"{73 - 100 * half:.2f} to {73 + 100 * half:.2f}"
    assert rows["kd"] == [
        "kd", "bert:3", f"73.00 {interval}", "91.25", "3 seeds 0 1 2", "17.4", "5.47", "69.6",
        "5.00", "400", "1.90 \N{MULTIPLICATION SIGN} 1.60 to 2.10", "16.0", "80", "1,000", "all-MiniLM-L6-v2",
    ]  # fmt: skip
    assert rows["finetune"][2:5] == ["65.00 61.00 to 68.00", "81.25", "1 seed, provisional 0"]
    assert rows["teacher all-MiniLM-L6-v2"] == [
        "teacher all-MiniLM-L6-v2", "—", "80.00 70.00 to 88.00", "100.00", "not trained here", "22.7",
        "10.8", "90.9", "8.00", "200", "—", "—", "—", "—", "all-MiniLM-L6-v2",
    ]  # fmt: skip
    assert list(rows)[-3:] == ["teacher all-MiniLM-L6-v2", "kd", "finetune"]


def test_header_cells_cover_the_columns(tmp_path: Path) -> None:
    out = site(tmp_path, make("a"), make("b", efficiency__device="Testium GPU"))
    found = page(out / "index.html")
    first, second, *body = found.tables[0]
    spans = [
        int(a.get("colspan") or 1) for tag, a in found.tags if tag == "th" and a.get("scope") in ("col", "colgroup")
    ]
    assert sum(spans[: len(first)]) == len(body[0]) == len(second) + 3
    assert {len(row) for row in body} == {len(body[0])}
    scopes = [a.get("scope") for tag, a in found.tags if tag == "th"]
    assert set(scopes) == {"col", "colgroup", "row"}
    assert ("caption", {}) in found.tags


def test_other_hardware_has_columns_of_its_own(tmp_path: Path) -> None:
    out = site(tmp_path, make("a"), make("b", efficiency__device="Testium GPU"))
    head = page(out / "index.html").tables[0][0]
    assert [h for h in head if h.startswith("Speed")] == [
        f"Speed on {CPU}, 2 threads",
        "Speed on Testium GPU, 2 threads",
    ]
    rows = board_rows(out / "index.html")
    assert rows["a"][12:16] == ["—"] * 4 and rows["b"][8:12] == ["—"] * 4
    assert rows["a"][8] == rows["b"][12] == "4.00"


def test_the_board_says_what_is_missing_and_what_differs(tmp_path: Path) -> None:
    found = [make("disco", settings=settings(queue=q)) for q in (1024, 65536)]
    text = " ".join(page(site(tmp_path, *found) / "index.html").text.split())
    command = (
        "bench run --task sts --track mini --method finetune --student bert:3 --teacher all-MiniLM-L6-v2 --seeds 0,1,2"
    )
    assert f"No finetune row yet for the student bert:3: run {command}" in text
    assert "No kd row yet" in text and "queue=1024" in text and "queue=65536" in text
    assert "mini track is a small real task" in text and "Inside the clock: model only." in text


def test_a_noisy_measurement_is_marked(tmp_path: Path) -> None:
    out = site(tmp_path, make("kd", efficiency__noisy=True))
    assert board_rows(out / "index.html")["kd"][8] == "4.00 noisy"
    assert "the machine was not quiet" in page(out / "index.html").text


def test_a_run_page_tells_how_to_repeat_it_and_what_it_stands_on(tmp_path: Path) -> None:
    record = make("kd", 0, 0.75)
    found = page(site(tmp_path, record) / f"runs/{record.run_id}.html")
    text = " ".join(found.text.split())
    rows = [row for table in found.tables for row in table]
    assert "bench run --task sts --method kd --seeds 0" in text
    assert (
        "The method kd trained the student bert:3 on sts (mini track) with seed 0. The teacher is all-MiniLM-L6-v2."
        in text
    )
    for row in (
        ["distil", "80", "80", "50.00", "kl 0.125"],
        ["distil", "40", "40", "—", "kl 0.250"],
        ["lee", "pearson", "76.00", "81.00"],
        ["lee", "spearman", "75.00", "80.00"],
        ["Latency single, p50 ms", "4.00", "8.00"],
        ["Parameters", "17,389,824", "22,713,216"],
        ["Licence", "LGPL-2.1"],
        ["Citation", "Lee et al. 2005"],
        ["lr", "0.0002"],
        ["libraries.torch", "2.11.0"],
        ["Commit", "—"],
        ["Energy, J", "—"],
        ["Teacher forwards, computed", "1,000"],
        ["Record", f"mini/sts/kd/bert-3/{record.run_id}.json"],
    ):
        assert row in rows, row


def test_the_curve_counts_updates_across_stages() -> None:
    curve = [{"stage": s, "step": n, "losses": {}, "dev": 0.5 + n / 100} for s in ("one", "two") for n in (0, 10)]
    chart = render.curve_chart([render.Point.model_validate(p) for p in curve])
    assert [update for _, update in chart["table"]] == [0, 10, 10, 20]
    (_, one), (_, two) = chart["lines"]
    assert one[1][0] == two[0][0] and one[1][1] < one[0][1], (
        "the second stage begins where the first ended; up is better"
    )
    assert chart["x"](20) == two[1][0] == 690


def hostile(value: Any, keep: set[str]) -> Any:
    """Every text and every key of a record replaced, but for what the schema fixes."""
    if isinstance(value, dict):
        return {k if k in keep else f"{k}{HOSTILE}": hostile(v, keep) for k, v in value.items()}
    if isinstance(value, list):
        return [hostile(v, keep) for v in value]
    return f"{value}{HOSTILE}" if isinstance(value, str) else value


def attack(record: records.Record) -> records.Record:
    raw = record.model_dump(by_alias=True)
    fixed = {
        *raw,
        *(k for part in raw.values() if isinstance(part, dict) for k in part),
        "value",
        "ci95",
        "name",
        "dataset",
    }
    fixed |= {
        "total",
        "embedding",
        "active",
        "settings",
        "versions",
        "task",
        "track",
        "method",
        "student",
        "stage",
        "step",
    }
    fixed |= {"dev", "losses", "p50_ms", "single", "offline_per_s", "what", "split"}
    bad = hostile(raw, fixed - {"torch", "libraries"})
    bad["run_id"], bad["data"]["source"] = record.run_id, "packaged"
    bad["metrics"]["choices"] = raw["metrics"]["choices"]  # a split is dev or nothing
    for part, good in ((bad["predictions"], raw["predictions"]), (bad["efficiency"], raw["efficiency"])):
        part |= {"sha256": good["sha256"]} if "sha256" in part else {"samples": good["samples"]}
    bad["metrics"]["all"][HOSTILE] = {HOSTILE: 0.5}
    bad["environment"][HOSTILE] = [HOSTILE, {HOSTILE: HOSTILE}]
    bad["data"]["sizes"][HOSTILE] = 3
    return records.Record.model_validate(bad)


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    record = attack(make("kd"))
    place = tmp_path / "results" / "r.json"
    place.parent.mkdir()
    place.write_text(record.model_dump_json(by_alias=True), encoding="utf-8")
    render.build(tmp_path / "results", tmp_path / "out")
    for path in (tmp_path / "out").rglob("*.html"):
        found = page(path)
        assert not [tag for tag, _ in found.tags if tag in ("script", "img", "iframe")]
        assert not [name for _, attrs in found.tags for name in attrs if name.startswith("on")]
        assert not [v for v in found.values("href", "src") if v.startswith("javascript") or "<" in v]
    shown = page(tmp_path / "out" / "index.html").text
    assert f"kd{HOSTILE}" in shown and f"gensim{HOSTILE}" in shown and f"queue{HOSTILE}" not in shown
    shown = page(tmp_path / f"out/runs/{record.run_id}.html").text
    for text in (
        "LGPL-2.1",
        "Lee et al. 2005",
        "0.1.0",
        "model only",
        "128 inputs",
        "a small task",
        "pairs of documents",
        "kl",
    ):
        assert f"{text}{HOSTILE}" in shown, text


def test_two_builds_give_the_same_bytes(tmp_path: Path) -> None:
    save(tmp_path / "results", *(make(m, s, 0.7 + s / 100) for m in ("kd", "finetune") for s in range(3)))
    for out in ("a", "b"):
        render.build(tmp_path / "results", tmp_path / out)
    files = {p.relative_to(tmp_path / "a"): p.read_bytes() for p in (tmp_path / "a").rglob("*") if p.is_file()}
    assert files == {p.relative_to(tmp_path / "b"): p.read_bytes() for p in (tmp_path / "b").rglob("*") if p.is_file()}
    assert len(files) == 6 + 4 and not any(str(tmp_path).encode() in data for data in files.values())


def test_unchanged_files_are_left_alone(tmp_path: Path) -> None:
    out = site(tmp_path, make("kd"))
    for path in out.rglob("*"):
        os.utime(path, ns=(1, 1))
    save(tmp_path / "results", make("finetune"))
    render.build(tmp_path / "results", out)
    fresh = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file() and p.stat().st_mtime_ns != 1}
    assert fresh == {"index.html", ".bench-site", f"runs/{make('finetune').run_id}.html"}


def test_pages_of_records_that_are_gone_are_removed_and_nothing_else(tmp_path: Path) -> None:
    out = site(tmp_path, make("kd"), make("finetune"))
    mine = out / "runs" / "0123456789abcdef.html"
    mine.write_text("mine")
    precious = tmp_path / "precious.html"
    precious.write_text("mine")
    with (out / ".bench-site").open("a") as manifest:
        manifest.write(f"../precious.html\n{precious}\nruns/../../precious.html\n")
    next((tmp_path / "results").rglob(f"{make('kd').run_id}.json")).unlink()
    render.build(tmp_path / "results", out)
    assert not (out / f"runs/{make('kd').run_id}.html").exists()
    assert (out / f"runs/{make('finetune').run_id}.html").exists() and mine.exists() and precious.exists()


def test_links_lead_somewhere_and_nowhere_else(tmp_path: Path) -> None:
    out = site(tmp_path, *(make(m, s) for m in ("kd", "finetune") for s in range(2)), make("kd", track="lite"))
    for path in out.rglob("*.html"):
        for link in page(path).values("href", "src"):
            if link == "data:,":
                continue
            assert not re.match(r"\w+:|//", link), link
            name, _, anchor = link.partition("#")
            target = (path.parent / name) if name else path
            assert target.is_file(), f"{path}: {link}"
            assert not anchor or anchor in page(target).values("id"), f"{path}: {link}"
        ids = page(path).values("id")
        assert len(ids) == len(set(ids))
    assert not re.search(r"url\(|@import", (out / "style.css").read_text())


def test_pages_stay_small(tmp_path: Path) -> None:
    point = {"stage": "distil", "losses": {"kl": 0.25, "contrast": 0.5}, "dev": 0.5}
    curve = [point | {"step": n} for n in range(5000)]
    found = [make(f"method{m}", s, 0.5 + m / 100) for m in range(25) for s in range(3)]
    out = site(tmp_path, make("kd").model_copy(update={"curve": curve}), *found)
    assert max(p.stat().st_size for p in out.rglob("*.html")) < 300_000


def test_a_long_curve_is_thinned_to_its_dev_scores() -> None:
    raw = [{"stage": "s", "step": n} | ({"dev": n / 5000} if n % 10 == 0 else {}) for n in range(5001)]
    chart = render.curve_chart([render.Point.model_validate(p) for p in raw])
    assert len(chart["table"]) <= render.CURVE_ROWS and chart["all"] == 5001 and not chart["dots"]
    assert all(p.dev is not None for p, _ in chart["table"]) and chart["table"][-1][1] == 5000


def test_what_build_returns_is_the_site(tmp_path: Path) -> None:
    save(tmp_path / "results", make())
    found = render.build(tmp_path / "results", tmp_path / "out")
    assert {p.relative_to(tmp_path / "out").as_posix() for p in found} == {
        "index.html", "about.html", "style.css", f"runs/{make().run_id}.html",
    }  # fmt: skip


@pytest.mark.parametrize("there", [False, True])
def test_no_records_says_what_to_run(tmp_path: Path, there: bool) -> None:
    if there:
        (tmp_path / "results").mkdir()
    with pytest.raises(RequestError, match=r"results folder .* run `bench run --task sts"):
        render.build(tmp_path / "results", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:100],
        lambda text: text.replace('"student":"bert:3",', ""),
        lambda text: text.replace('"step":80', '"step":"x"'),
        lambda text: text.replace('"width":384', '"width":384,"extra":1'),
    ],
)
def test_a_broken_record_is_named(tmp_path: Path, damage: Any) -> None:
    path = tmp_path / "results" / "broken.json"
    path.parent.mkdir()
    text = make().model_dump_json(by_alias=True)
    assert damage(text) != text
    path.write_text(damage(text))
    with pytest.raises(RequestError, match=r"broken\.json is not a valid record: .+"):
        render.build(tmp_path / "results", tmp_path / "out")


def test_a_record_that_is_there_twice_is_named(tmp_path: Path) -> None:
    save(tmp_path / "results", make())
    (tmp_path / "results" / "copy.json").write_text(make().model_dump_json(by_alias=True))
    with pytest.raises(RequestError, match=r"copy\.json hold the same run"):
        render.build(tmp_path / "results", tmp_path / "out")


def test_an_output_folder_that_is_not_ours(tmp_path: Path) -> None:
    save(tmp_path / "results", make())
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "index.html").write_text("my own page")
    (tmp_path / "file").write_text("")
    for out, why in (
        ("home", "was not made by bench"),
        ("file", "cannot write the site"),
        ("results/site", "lies in the results"),
    ):
        with pytest.raises(RequestError, match=why):
            render.build(tmp_path / "results", tmp_path / out)
    assert (tmp_path / "home" / "index.html").read_text() == "my own page"


def test_odd_numbers_and_long_names_still_make_a_page(tmp_path: Path) -> None:
    same = [make(f"m{n}" * 40, value=0.5) for n in range(12)]
    out = site(
        tmp_path, *same, make("wild", value=1e300), make("zero", efficiency__latency={"single": {"p50_ms": 0.0}})
    )
    assert page(out / "index.html").tables


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "—"), (0.0, "0.00"), (-0.00001, "0.00"), (0.78125, "78.12"), (-0.5, "-50.00")]
)
def test_scores_are_times_100(value: float | None, shown: str) -> None:
    assert render.hundred(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "—"), (0, "0"), (0.01234, "0.0123"), (12.345, "12.3"), (1234.5, "1,234"), (0.99996, "1.000")],
)
def test_three_figures(value: float | None, shown: str) -> None:
    assert render.figures(value) == shown
