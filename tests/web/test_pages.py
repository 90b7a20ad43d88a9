"""What pages say: their numbers against numbers worked out here, and hostile records."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.cli.showing import described
from bench.errors import RequestError
from bench.records import disk
from bench.records.arrays import flatten
from bench.records.schemas import Record
from bench.scoring.scores import Ragged
from bench.web import formats, sitewide
from bench.web.build import build
from bench.web.charts import CURVE_ROWS, Point, curve_chart
from bench.web.pages import environment
from tests.factories.records import CPU, make, run_id_of, settings
from tests.web.site import board_rows, page, scored, site, task_page

HOSTILE = "\"><script>alert(1)</script><a href='javascript:alert(2)' onclick=x>{{ 7*7 }}&amp;--><!--"
NONE = "\N{EM DASH}"


def test_the_numbers_on_the_board(tmp_path: Path) -> None:
    values = [0.7, 0.76, 0.73]
    out = site(tmp_path, *(make("kd", s, v) for s, v in enumerate(values)), make("finetune", 0, 0.65))
    rows = board_rows(out)
    half = 1.96 * np.sqrt(np.var(values, ddof=1) / 3 + (0.07 / 3.92) ** 2)
    interval = f"{73 - 100 * half:.2f} to {73 + 100 * half:.2f}"
    use = "use it"
    assert rows["kd bert:3"] == [
        "kd bert:3", f"73.00 {interval}", "91.25", NONE, f"3 seeds 0 1 2 {use}", NONE, NONE, "17.4", "5.47", "69.6",
        "219", "4.10 4 sessions", "390", "1.95 \N{MULTIPLICATION SIGN} 1.60 to 2.10", "16.0", "80", "32", "0.0002",
        "1,000", "all-MiniLM-L6-v2", "2025-01-01",
    ]  # fmt: skip
    assert rows["finetune bert:3"][1:5] == ["65.00 61.00 to 68.00", "81.25", NONE, f"1 seed, provisional 0 {use}"]
    assert rows["teacher all-MiniLM-L6-v2"] == [
        "teacher all-MiniLM-L6-v2", "80.00 70.00 to 88.00", "100.00", NONE, NONE, NONE, NONE, "22.7", "10.8", "90.9",
        "432", "8.00 4 sessions", "200", NONE, NONE, NONE, NONE, NONE, NONE, "all-MiniLM-L6-v2", NONE,
    ]  # fmt: skip
    assert list(rows)[-3:] == ["teacher all-MiniLM-L6-v2", "kd bert:3", "finetune bert:3"]
    assert "No comparison of rows" in page(task_page(out)).text


def test_ranks_differences_and_ties_come_from_the_predictions(tmp_path: Path) -> None:
    for seed in range(3):
        for method, noise in (("finetune", 2.0), ("kd", 0.5), ("disco", 0.501)):
            scored(tmp_path / "results", method, seed, noise)
    build(tmp_path / "results", tmp_path / "out")
    rows = board_rows(tmp_path / "out")
    best, second = [name for name in rows if name in ("kd bert:3", "disco bert:3")]
    assert rows[best][3].endswith("\N{ALMOST EQUAL TO}") and rows[second][3].startswith("1\N{EN DASH}2")
    kd, finetune = rows["kd bert:3"], rows["finetune bert:3"]
    assert finetune[3] == "3"
    assert kd[5].endswith("clear") and finetune[6].endswith("clear") and kd[6] == NONE
    assert finetune[6].startswith("\N{MINUS SIGN}") and kd[5].startswith("+")
    assert kd[5].split()[0][1:] == finetune[6].split()[0][1:], "the same difference from either side"


def test_a_tagger_is_shown_type_by_type(tmp_path: Path) -> None:
    """Of persons one of two is found, and of places both, which the teacher does not find."""
    gold = Ragged.of([["B-PER", "O", "B-LOC"], ["B-LOC", "B-PER"]])
    sides = {"prediction": [["B-PER", "O", "B-LOC"], ["B-LOC", "O"]], "teacher": [["O", "O", "O"], ["O", "B-PER"]]}
    found = {name: Ragged.of(rows) for name, rows in sides.items()} | {"gold": gold}
    record = make(metrics__all={"lee": {"spearman": 0.75, "entity_f1": 0.8}})
    path = disk.write(tmp_path / "results", record, flatten({"lee": found}), {"single": {"student": [[1]]}})
    build(tmp_path / "results", tmp_path / "out")
    (own,) = (tmp_path / "out/runs").glob("*.html")
    (table,) = (t for t in page(own).tables if t[0][0] == "Type")
    assert table[1:] == [
        ["LOC", "2", "100.00", "100.00", "100.00", "0.00"],
        ["PER", "2", "66.67", "100.00", "50.00", "66.67"],
    ]
    told = described(tmp_path / "results", path.stem)["types"]
    assert [(one["type"], one["gold"], one["recall"]) for one in told] == [("LOC", 2, 1), ("PER", 2, 0.5)]
    path.with_suffix(".npz").write_bytes(b"broken")
    build(tmp_path / "results", tmp_path / "again")
    assert "Entities by type" not in (tmp_path / "again/runs" / own.name).read_text()
    with pytest.raises(RequestError, match="cannot read the predictions"):
        described(tmp_path / "results", path.stem)


def test_header_cells_cover_the_columns(tmp_path: Path) -> None:
    out = site(tmp_path, make("a"), make("b", efficiency__device="Testium GPU"))
    found = page(task_page(out))
    first, second, *body = found.tables[0]
    head = [a for tag, a in found.tags if tag == "th" and a.get("scope") in ("col", "colgroup")][: len(first)]
    assert sum(int(a.get("colspan") or 1) for a in head) == len(body[0]) == len(second) + 1
    assert {len(row) for row in body} == {len(body[0])}
    assert {a.get("scope") for tag, a in found.tags if tag == "th"} == {"col", "colgroup", "row"}
    assert ("caption", {}) in found.tags


def test_other_hardware_has_columns_of_its_own(tmp_path: Path) -> None:
    out = site(tmp_path, make("a"), make("b", efficiency__device="Testium GPU"))
    head = page(task_page(out)).tables[0][0]
    both = [f"Speed on {CPU}, 2 threads", "Speed on Testium GPU, 2 threads"]
    assert [h for h in head if h.startswith("Speed")] == both
    rows = board_rows(out)
    a, b = rows["a bert:3"], rows["b bert:3"]
    assert a[11:14] == b[11:14] and a[15:18] == b[15:18], "they are one network"
    assert a[11] == b[15] == "4.00 1 session"
    assert (a[14], a[18]) == ("15.0", NONE) == (b[18], b[14]), "seconds of its own runs"


def test_the_board_says_what_is_missing_and_what_differs(tmp_path: Path) -> None:
    found = [make("disco", settings=settings(queue=q)) for q in (1024, 65536)]
    text = " ".join(page(task_page(site(tmp_path, *found))).text.split())
    command = (
        "bench run --task sts --track mini --method finetune --student bert:3 --teacher all-MiniLM-L6-v2 --seeds 0,1,2"
    )
    assert f"No finetune row yet for the student bert:3: run {command}" in text
    assert "No kd row yet" in text and "queue=1024" in text and "queue=65536" in text
    assert "mini track is a small real task" in text and "Inside the clock: model only." in text


def test_a_noisy_measurement_is_marked(tmp_path: Path) -> None:
    scored(tmp_path / "results", "kd", 0, 0.5, efficiency__noisy=True)
    out = site(tmp_path)
    assert board_rows(out)["kd bert:3"][11] == "4.0 1 session, noisy"  # two digits
    assert "the machine was not quiet" in page(task_page(out)).text and "noisy" in page(out / "index.html").text


def test_the_first_page_names_the_best_and_the_fastest_that_ties_with_it(tmp_path: Path) -> None:
    for seed in range(3):
        scored(tmp_path / "results", "kd", seed, 0.5)
        for method, noise, ratio in (("disco", 0.501, 8.0), ("finetune", 2.0, 80.0)):
            faster = {"value": ratio, "ci95": (ratio - 0.1, ratio + 0.1)}
            other = {"efficiency__flops": {"mean": ratio}, "efficiency__speedup": faster}
            scored(tmp_path / "results", method, seed, noise, **other)
    build(tmp_path / "results", tmp_path / "out")
    found = page(tmp_path / "out" / "index.html")
    text = "".join(found.text.split())  # elements may stand within words and their marks
    assert (
        "bert:3withdisco:spearman" in text
        and "8.0timesfaster(1.0ms),17Mparameters,70MB;theevidence" in text
        and "isopen,anditisfaster." in text
    )
    _, methods = found.tables
    counts = {"disco": "1 / 0 / 0 / 0 / 0", "kd": "1 / 0 / 0 / 0 / 0"}  # from clear above finetune to clear below
    assert {row[0]: row[1] for row in methods[1:]} == counts


def test_a_row_far_below_the_best_is_not_offered_for_it_though_its_seeds_tie_with_it(tmp_path: Path) -> None:
    """Two of its three seeds failed: Spearman near 0.3 where the best has 0.9, and an interval that holds 0. Though it
    is another network, and faster."""
    for seed, noise in enumerate((3.0, 2.5, 0.5)):
        scored(tmp_path / "results", "kd", seed, 0.5)
        faster = {"efficiency__flops": {"mean": 1.0}, "efficiency__speedup": {"value": 8.0, "ci95": (7.9, 8.1)}}
        scored(tmp_path / "results", "disco", seed, noise, **faster)
    build(tmp_path / "results", tmp_path / "out")
    text = "".join(page(tmp_path / "out" / "index.html").text.split())
    assert "bert:3withkd:" in text and "openagainst1other." in text


def test_a_run_page_tells_how_to_repeat_it_and_what_it_stands_on(tmp_path: Path) -> None:
    record = make("kd", 0, 0.75)
    found = page(site(tmp_path, record) / f"runs/{record.run_id}.html")
    text = " ".join(found.text.split())
    rows = [row for table in found.tables for row in table]
    assert "bench run --task sts --method kd --seeds 0" in text and f"bench verify {record.run_id}" in text
    assert f"{record.run_id}.json" in found.values("href") and f"{record.run_id}.npz" in found.values("href")
    assert (
        "The method kd trained the student bert:3 on sts (mini track) with seed 0. The teacher is all-MiniLM-L6-v2."
        in text
    )
    for row in (
        ["distil", "80", "80", "50.00", "kl 0.125"], ["distil", "40", "40", NONE, "kl 0.250"],
        ["lee", "pearson", "76.00", "81.00"], ["lee", "spearman", "75.00", "80.00"],
        ["Latency single, p50 ms", "4.00", "8.00"], ["Parameters", "17,389,824", "22,713,216"],
        ["Licence", "LGPL-2.1"], ["Citation", "Lee et al. 2005"], ["lr", "0.0002"], ["libraries.torch", "2.11.0"],
        ["Commit", NONE], ["Energy, J", NONE], ["Teacher forwards, computed", "1,000"],
        ["Record", f"mini/sts/kd/bert-3/{record.run_id}.json"],
    ):  # fmt: skip
        assert row in rows, row


def test_a_method_s_page_has_its_paper_s_numbers_beside_ours(tmp_path: Path) -> None:
    trec = make("kd", task="text/trec")
    out = site(tmp_path, trec, make("kd"), make("mine_of_my_own"))
    text = " ".join(page(out / "methods/tinybert.html").text.split())
    assert "Jiao et al. 2020, table 1" in text and "No run of this method is among the records yet" in text
    own = " ".join(page(out / "methods/mine_of_my_own.html").text.split())
    assert "not installed where the page was built" in own and "75.00" in own
    rows = page(out / "methods/kd.html").tables[0]
    assert {row[0].split()[0] for row in rows[1:]} == {"text/trec", "sts"}
    papers = " ".join(page(out / "papers.html").text.split())
    assert "glue/mnli-matched" in papers and "nothing measured here yet" in papers


def test_the_curve_counts_updates_across_stages() -> None:
    curve = [{"stage": s, "step": n, "losses": {}, "dev": 0.5 + n / 100} for s in ("one", "two") for n in (0, 10)]
    chart = curve_chart([Point.model_validate(p) for p in curve])
    assert [update for _, update in chart["table"]] == [0, 10, 10, 20]
    (_, one), (_, two) = chart["lines"]
    assert one[1][0] == two[0][0] and one[1][1] < one[0][1], "the second begins where the first ended; up is better"
    assert chart["x"](20) == two[1][0] == 690


def test_a_long_curve_is_thinned_to_its_dev_scores() -> None:
    raw = [{"stage": "s", "step": n} | ({"dev": n / 5000} if n % 10 == 0 else {}) for n in range(5001)]
    chart = curve_chart([Point.model_validate(p) for p in raw])
    assert len(chart["table"]) <= CURVE_ROWS and chart["all"] == 5001 and not chart["dots"]
    assert all(p.dev is not None for p, _ in chart["table"]) and chart["table"][-1][1] == 5000


def hostile(value: Any, keep: set[str]) -> Any:
    """Every text and every key of a record replaced, but for what the schema fixes."""
    if isinstance(value, dict):
        return {k if k in keep else f"{k}{HOSTILE}": hostile(v, keep) for k, v in value.items()}
    if isinstance(value, list):
        return [hostile(v, keep) for v in value]
    return f"{value}{HOSTILE}" if isinstance(value, str) else value


def attack(record: Record) -> Record:
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
    bad["predictions"] = raw["predictions"]
    bad["efficiency"]["samples"] = raw["efficiency"]["samples"]
    bad["metrics"]["all"][HOSTILE] = {HOSTILE: 0.5}
    bad["environment"][HOSTILE] = {HOSTILE: HOSTILE}
    bad["data"]["sizes"][HOSTILE] = 3
    bad["run_id"] = run_id_of(bad["spec"])
    return Record.model_validate(bad)


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    record = attack(make("kd"))
    place = disk.path_of(tmp_path / "results", record.spec, record.run_id)
    place.parent.mkdir(parents=True)
    place.write_text(record.model_dump_json(by_alias=True), encoding="utf-8")
    build(tmp_path / "results", tmp_path / "out")
    for path in (tmp_path / "out").rglob("*.html"):
        found = page(path)
        scripts = [attrs for tag, attrs in found.tags if tag in ("script", "img", "iframe")]
        assert all(attrs.keys() == {"src", "defer"} for attrs in scripts) and scripts[0]["src"].endswith("page.js")
        assert not [name for _, attrs in found.tags for name in attrs if name.startswith("on")]
        assert not [v for v in found.values("href", "src") if v.startswith("javascript") or "<" in v]
    for path in (tmp_path / "out").rglob("*.js"):
        assert "<" not in path.read_text(encoding="utf-8") or path.name in sitewide.STATIC
    shown = page(next((tmp_path / "out").glob("tasks/*.html"))).text
    assert f"kd{HOSTILE}" in shown and f"gensim{HOSTILE}" in shown and f"queue{HOSTILE}" not in shown
    shown = page(tmp_path / f"out/runs/{record.run_id}.html").text
    for text in (
        "LGPL-2.1", "Lee et al. 2005", "0.1.0", "model only", "128 inputs", "a small task", "pairs of documents", "kl"
    ):  # fmt: skip
        assert f"{text}{HOSTILE}" in shown, text


def test_a_value_is_escaped_once_and_a_name_cannot_turn_the_words_beside_it() -> None:
    source = "{% macro cell(x) %}<td>{{ x }}</td>{% endmacro %}{{ cell('&') }}{{ name }}{{ '<' }}{{ cell(name)|trim }}"
    name = "<\N{RIGHT-TO-LEFT OVERRIDE}>"
    safe = "&lt;\N{REPLACEMENT CHARACTER}&gt;"
    shown = environment().from_string(source).render(name=name)
    assert shown == f"<td>&amp;</td>{safe}&lt;<td>{safe}</td>"


@pytest.mark.parametrize("name", ["../secret.npz", "../../secret.npz", "/etc/hostname", "..", "", "W" * 300])
def test_a_record_cannot_have_other_files_published(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "secret.npz").write_bytes(b"secret")
    record = make("kd", predictions__file=name)
    place = disk.path_of(tmp_path / "results", record.spec, record.run_id)
    place.parent.mkdir(parents=True)
    place.write_text(record.model_dump_json(by_alias=True), encoding="utf-8")
    with pytest.raises(RequestError, match="none of the records"):
        build(tmp_path / "results", tmp_path / "out")
    assert "which cannot lie beside it" in capsys.readouterr().err
    assert not list((tmp_path / "out").rglob("*.npz"))


def test_links_lead_somewhere_and_nowhere_else(tmp_path: Path) -> None:
    out = site(tmp_path, *(make(m, s) for m in ("kd", "finetune") for s in range(2)), make("kd", track="lite"))
    for path in out.rglob("*.html"):
        for link in page(path).values("href", "src"):
            if link.startswith(("https://arxiv.org/abs/", "https://doi.org/")):
                continue  # of a citation; nothing is loaded from there
            assert not re.match(r"\w+:|//", link), link
            name, _, anchor = link.partition("#")
            target = (path.parent / name.partition("?")[0]) if name else path
            assert target.is_file(), f"{path}: {link}"
            assert not anchor or anchor in page(target).values("id"), f"{path}: {link}"
        ids = page(path).values("id")
        assert len(ids) == len(set(ids))
    assert not re.search(r"url\(|@import", (out / "style.css").read_text())


def test_pages_stay_small(tmp_path: Path) -> None:
    point = {"stage": "distil", "losses": {"kl": 0.25, "contrast": 0.5}, "dev": 0.5}
    curve = [point | {"step": n} for n in range(5000)]
    found = [make(f"method{m}", 0, 0.5 + m / 1000, student=f"bert:{s}") for m in range(60) for s in range(4)]
    out = site(tmp_path, make("kd").model_copy(update={"curve": curve}), *found)
    sizes = {path.name: path.stat().st_size for path in out.rglob("*.html") if not path.stem.endswith("-all")}
    assert max(sizes.values()) < 300_000, max(sizes.items(), key=lambda item: item[1])
    (whole,) = out.glob("tasks/*-all.html")
    assert len(page(whole).tables[0]) == 2 + 1 + 241 > len(page(task_page(out)).tables[0])


def test_odd_numbers_and_long_names_still_make_a_page(tmp_path: Path) -> None:
    same = [make(f"m{n}" * 40, value=0.5) for n in range(12)]
    wild = make("wild", value=1e300), make("zero", efficiency__latency={"single": {"p50_ms": 0.0}})
    huge = make("huge", efficiency__disk_bytes=10**30)
    assert page(task_page(site(tmp_path, *same, *wild, huge))).tables


def test_names_become_different_file_names() -> None:
    names = ["kd", "KD", "k d", "k-d", "../kd", "ta_ensemble", "\u202ekd", "", "x" * 300, "x" * 299, "bert:3", "bert-3"]
    slugs = [formats.slug(name) for name in names]
    assert len(set(slugs)) == len(names) and all(re.fullmatch(r"[a-z0-9_-]{1,70}", s) for s in slugs)
    assert formats.slug("kd") == "kd" and formats.slug("ta_ensemble") == "ta_ensemble"
