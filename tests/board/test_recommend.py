"""`bench recommend`: limits, intervals and fronts against cases worked out by hand, and the committed records."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from bench.base.archive import pack
from bench.base.files import sha256
from bench.board.limits import Limits, parse_count, parse_share
from bench.board.recommend import recommend
from bench.errors import RequestError
from bench.export import offers
from bench.plugins import registry
from bench.records import disk, exportable
from bench.records.arrays import flatten
from bench.records.schemas import Record
from bench.records.specs import checked_spec
from bench.store import folders
from tests.factories.commands import Typed, bench
from tests.factories.records import CPU, GOLD, make
from tests.factories.runs import ROOT

Asked = Callable[..., dict[str, Any]]
LITE = ROOT / "results"
SHARED = np.random.default_rng(7).normal(size=400)


def student(method: str, score: float, latency: float | None, params: int, seed: int = 0, **changes: Any) -> Record:
    """The teacher has 0.8 [0.7, 0.88], 8 ms and 22,713,216 parameters; the interval is -0.04 to +0.03. Each latency is
    of a network of its own."""
    timed: dict[str, Any] = {} if latency is None else {"single": {"p50_ms": latency}}
    size = {"total": params, "embedding": 0, "active": params}
    ratio = 8 / (latency or 8)
    told = {
        "efficiency__latency": timed, "efficiency__parameters": size, "efficiency__flops": {"mean": latency or 0.0},
        "efficiency__speedup": {"value": ratio, "ci95": (ratio - 0.2, ratio + 0.2)},
    }  # fmt: skip
    return make(method, seed, score, **told | changes)


def exporting(record: Record) -> tuple[list[str], str]:
    """Any run can be exported."""
    return ["bench", "export", record.run_id, "--format", "hf", "--out", "DIR"], ""


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    """The answer for these records on one board."""

    def ask(*found: Record, device: str = "", board: str = "", **limits: Any) -> dict[str, Any]:
        for record in found:
            path_for(tmp_path, record).write_text(record.model_dump_json(by_alias=True))
        return recommend(tmp_path, "sts", "mini", Limits(**limits), exporting, device, board)

    return ask


def path_for(results: Path, record: Record) -> Path:
    path = disk.path_of(results, record.spec, record.run_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def names(rows: list[dict[str, Any]]) -> list[str]:
    return [row["method"] or "teacher" for row in rows]


@pytest.mark.parametrize(
    "rows, front",
    [
        # b: as good as a and faster. c: smaller than all. d: worse than b in score and size, and slower.
        ([("a", 0.7, 4, 900), ("b", 0.7, 3, 900), ("c", 0.5, 3, 100), ("d", 0.6, 5, 950)], ["teacher", "b", "c"]),
        # one in each direction
        ([("a", 0.7, 5, 500), ("b", 0.6, 4, 500), ("c", 0.5, 5, 400)], ["teacher", "a", "b", "c"]),
        # equal rows do not beat each other
        ([("a", 0.7, 5, 500), ("b", 0.7, 5, 500), ("c", 0.6, 5, 500)], ["teacher", "a", "b"]),
        # better than the teacher in everything
        ([("a", 0.9, 5, 500)], ["a"]),
        # better than the teacher in score alone, and slower
        ([("a", 0.9, 9, 500)], ["a", "teacher"]),
        # not timed: can neither be placed nor beat another
        ([("a", 0.7, None, 100), ("b", 0.6, 5, 500)], ["teacher", "b"]),
        ([("a", 0.7, None, 100)], ["teacher"]),
    ],
)
def test_pareto_fronts(asked: Asked, rows: list[tuple], front: list[str]) -> None:
    answer = asked(*(student(*row) for row in rows))
    assert names(answer["pareto"]) == front


def test_rows_outside_the_limits_stay_on_the_front(asked: Asked) -> None:
    answer = asked(student("a", 0.7, 4, 900), student("b", 0.6, 2, 900), max_latency_ms=3)
    assert names(answer["pareto"]) == ["teacher", "a", "b"] and names(answer["recommended"]) == ["b"]


def test_best_first_and_every_other_row_with_its_reason(asked: Asked) -> None:
    rows = (
        student("slow", 0.78, 5.5, 10), student("good", 0.72, 4, 1000), student("fair", 0.68, 2, 900),
        student("large", 0.77, 4, 1001), student("poor", 0.4, 1, 10),
    )  # fmt: skip
    answer = asked(*rows, max_latency_ms=4, max_params=1000, min_retention=0.85)
    assert names(answer["recommended"]) == ["good", "fair"], "0.68 / 0.8 is 0.85; a limit itself is kept"
    missed = {r["method"]: [(m["limit"], m["by"]) for m in r["misses"]] for r in answer["rejected"]}
    assert missed == {
        "slow": [("max_latency_ms", pytest.approx(1.5))], "large": [("max_params", 1)],
        "poor": [("min_retention", pytest.approx(0.35))],
    }  # fmt: skip
    reasons = {r["method"]: r["misses"][0]["reason"] for r in answer["rejected"]}
    assert reasons["slow"] == "latency 5.5 ms is 1.5 ms above 4 ms"
    assert reasons["large"] == "1,001 parameters are 1 above 1,000"
    assert reasons["poor"] == "retention 0.5000 [0.4500, 0.5375] is 0.35 below 0.85"


def test_a_row_that_misses_several_limits_names_each(asked: Asked) -> None:
    answer = asked(student("a", 0.4, 9, 2000), max_latency_ms=4, max_params=1000, min_retention=0.9)
    assert [m["limit"] for m in answer["rejected"][0]["misses"]] == ["max_latency_ms", "max_params", "min_retention"]


def test_an_interval_that_holds_the_limit_is_said_on_either_side_of_it(asked: Asked) -> None:
    """0.76 [0.72, 0.79] of 0.8 is 0.95 [0.90, 0.9875]."""
    above = asked(student("a", 0.76, 4, 10), min_retention=0.94)["recommended"][0]
    assert above["retention"] == {"value": pytest.approx(0.95), "ci95": [pytest.approx(0.9), pytest.approx(0.9875)]}
    assert above["notes"][0] == "retention 0.9500 [0.9000, 0.9875] may be below 0.94"
    below = asked(min_retention=0.98)["rejected"][0]
    assert below["misses"][0]["reason"].endswith("is 0.03 below 0.98, though its interval reaches it")
    assert asked(min_retention=0.89)["recommended"][0]["notes"] == ["fewer than 3 seeds"]
    assert asked(min_retention=0.99)["rejected"][0]["misses"][0]["reason"].endswith("is 0.04 below 0.99")


def test_what_is_given_up(asked: Asked) -> None:
    answer = asked(student("a", 0.76, 5, 2_000_000), student("b", 0.72, 2, 500_000), max_latency_ms=3)
    lost = answer["recommended"][0]["given_up"]
    assert lost["teacher"] == {
        "name": "teacher all-MiniLM-L6-v2", "score_points": pytest.approx(-8), "retention": pytest.approx(0.9),
        "times_faster": 4.0, "times_smaller": pytest.approx(22_713_216 / 500_000),
    }  # fmt: skip
    assert lost["best"] == {
        "name": "a bert:3", "score_points": pytest.approx(-4), "retention": pytest.approx(0.72 / 0.76),
        "times_faster": 2.5, "times_smaller": 4.0,
    }  # fmt: skip


def test_a_row_over_seeds(asked: Asked) -> None:
    runs = [student("a", 0.76, 4, 10 + s, s, metrics__dev=d) for s, d in enumerate((0.5, 0.7, 0.7))]
    answer = asked(*runs)
    row = answer["recommended"][0]
    assert (row["latency_ms"], row["parameters"], row["seeds"]) == (4, 12, [0, 1, 2]), "the largest run has to fit"
    assert row["runs"] == [r.run_id for r in runs] and row["notes"] == []
    assert row["speedup"] == {"value": 2.0, "ci95": [pytest.approx(1.8), pytest.approx(2.2)]} and row["sessions"] == 3
    assert answer["export"]["run_id"] == runs[1].run_id, "the highest dev score, of equal ones the first seed"
    assert answer["export"]["command"] == f"bench export {runs[1].run_id} --format hf --out DIR"


def test_one_row_is_its_own_best(asked: Asked) -> None:
    answer = asked(student("a", 0.76, 4, 10, efficiency__noisy=True))
    row = answer["recommended"][0]
    assert row["given_up"]["best"]["score_points"] == 0 and row["given_up"]["best"]["times_faster"] == 1
    assert row["noisy"] and row["notes"] == ["noisy timings", "fewer than 3 seeds"]
    assert answer["teacher"]["score"] == {"value": 0.8, "ci95": [0.7, 0.88]} and answer["teacher"]["latency_ms"] == 8
    assert answer["rejected"] == []


def test_a_board_that_was_not_timed_tells_scores_and_sizes(asked: Asked) -> None:
    rows = [student(name, score, None, 10, efficiency__samples=None) for name, score in (("a", 0.7), ("b", 0.6))]
    answer = asked(*rows, min_retention=0.8)
    assert names(answer["recommended"]) == ["a"] and answer["hardware"] is None and answer["pareto"] == []
    for limits in ({"max_latency_ms": 5}, {"device": "EPYC"}):
        with pytest.raises(RequestError, match="no run of this board was timed: --here times its networks"):
            asked(**limits)


def test_a_latency_that_is_not_known_keeps_no_limit(asked: Asked) -> None:
    kept = asked(student("a", 0.7, None, 10))["recommended"][0]
    assert kept["latency_ms"] is None and "latency not measured on this hardware" in kept["notes"]
    assert kept["given_up"]["best"]["times_faster"] is None
    answer = asked(max_latency_ms=100)
    assert answer["recommended"] == [] and answer["export"] is None
    assert answer["nearest"] == "a bert:3: latency not measured on this hardware"


def test_a_retention_that_is_not_known_keeps_no_limit(asked: Asked) -> None:
    answer = asked(student("a", 0.7, 4, 10, metrics__retention=None), min_retention=0.1)
    assert "retention not known" in answer["rejected"][0]["misses"][0]["reason"]


def test_the_nearest_miss_is_the_smallest_part_of_its_limit(asked: Asked) -> None:
    """a misses by 1 of 4 ms, b by 100 of 1000 parameters, c by less of the latency and twice the parameters."""
    rows = (student("a", 0.7, 5, 10), student("b", 0.5, 3, 1100), student("c", 0.7, 4.1, 3000))
    answer = asked(*rows, max_latency_ms=4, max_params=1000)
    assert answer["nearest"] == "b bert:3: 1,100 parameters are 100 above 1,000" and answer["export"] is None


def test_timings_of_several_devices_need_a_choice(asked: Asked) -> None:
    rows = (student("a", 0.7, 4, 10), student("b", 0.6, 1, 10, efficiency__device="Testium GPU"))
    with pytest.raises(RequestError, match=rf"choose with --device: {CPU}, 2 threads, model only, 128 inputs; Testium"):
        asked(*rows)
    answer = asked(device="testium gpu")
    assert answer["hardware"] == {"device": "Testium GPU", "threads": 2, "scope": "model only", "inputs": 128}
    assert {r["method"]: r["latency_ms"] for r in answer["recommended"]} == {"a": None, "b": 1}
    assert names(answer["pareto"]) == ["teacher", "b"]
    with pytest.raises(RequestError, match="nothing here is of --device TPU: there are CPU"):
        asked(device="TPU")
    with pytest.raises(RequestError, match="choose with --device"):
        asked(device="testium")


def test_threads_tell_hardware_apart_too(asked: Asked) -> None:
    rows = (student("a", 0.7, 4, 10), student("b", 0.6, 1, 10, efficiency__threads=8))
    assert asked(*rows, device="8 threads")["hardware"]["threads"] == 8


def test_what_is_inside_the_clock_is_chosen_by_the_whole_description(asked: Asked) -> None:
    rows = (student("a", 0.7, 4, 10), student("b", 0.6, 1, 10, efficiency__scope="with outputs"))
    with pytest.raises(RequestError, match="nothing here is of --device TPU"):
        asked(*rows, device="TPU")
    assert asked(device=f"{CPU}, 2 threads, with outputs, 128 inputs")["hardware"]["scope"] == "with outputs"


def test_several_boards_need_a_choice(asked: Asked) -> None:
    other = {"source": "packaged", "identity": "e" * 16}
    rows = (student("a", 0.7, 4, 10), student("b", 0.6, 1, 10, data=other))
    with pytest.raises(RequestError, match=r"choose with --board: sts-mini-\w{8} \(data dddddddddddd, spearman on lee"):
        asked(*rows)
    answer = asked(board="eee")
    assert names(answer["recommended"]) == ["b"]
    assert names(asked(board=answer["board"]["slug"])["recommended"]) == ["b"]
    with pytest.raises(RequestError, match="nothing here is of --board f: there are sts-mini-"):
        asked(board="f")


def test_each_student_is_held_against_its_own_teacher(asked: Asked) -> None:
    second = {"versions": {"teacher": "mini==0.2#", "task": 1, "method": 1, "student": 1}}
    better = {"name": "spearman", "dataset": "lee", "value": 0.9, "ci95": (0.8, 0.95)}
    answer = asked(student("a", 0.7, 4, 10), student("b", 0.6, 1, 10, teacher__main=better, **second))
    lost = {r["method"]: r["given_up"]["teacher"]["score_points"] for r in answer["recommended"]}
    assert lost == {"a": pytest.approx(-10), "b": pytest.approx(-30)}
    assert answer["teacher"]["score"]["value"] == 0.9 and names(answer["pareto"]) == ["teacher", "a", "b"]


@pytest.mark.parametrize(
    "text, count",
    [("20M", 20_000_000), ("20_000_000", 20_000_000), ("1.5b", 1_500_000_000), ("2e7", 20_000_000), ("17.4k", 17_400)],
)
def test_counts(text: str, count: int) -> None:
    assert parse_count(text) == count


@pytest.mark.parametrize("text, share", [("0.97", 0.97), ("97%", 0.97), ("99.5%", 0.995), ("1", 1.0), (".9", 0.9)])
def test_shares(text: str, share: float) -> None:
    assert parse_share(text) == share


@pytest.mark.parametrize(
    "text", ["", "0", "-5", "20X", "M", "1.M", "nan", "inf", "0.4", "٣", "20\N{KELVIN SIGN}", "1e999"]
)
def test_what_is_no_count(text: str) -> None:
    with pytest.raises(RequestError, match="give a number of parameters above 0"):
        parse_count(text)


@pytest.mark.parametrize("text", ["", "0", "97", "-0.9", "nan", "0%", "201%", "0.9%%", "٣%"])
def test_what_is_no_share(text: str) -> None:
    with pytest.raises(RequestError, match="give a share of the teacher"):
        parse_share(text)


@pytest.mark.parametrize("latency", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_latency(latency: float) -> None:
    with pytest.raises(RequestError, match="give milliseconds above 0"):
        Limits(max_latency_ms=latency)


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Type `bench recommend ...` in a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    return partial(bench, "recommend", check=None)


def test_the_committed_records_as_json(typed: Typed) -> None:
    status, out, err = typed(
        "--task", "sts", "--track", "lite", "--results", str(LITE), "--min-retention", "98%", "--json"
    )
    answer = json.loads(out)
    assert (status, err) == (0, "")
    assert set(answer) >= {"task", "track", "limits", "hardware", "recommended", "pareto", "rejected", "teacher"}
    assert answer["limits"] == {"max_latency_ms": None, "max_params": None, "min_retention": 0.98}
    means = {m: mean_retention(m) for m in ("kd", "disco", "finetune")}
    kept = {m for m, value in means.items() if value >= 0.98}
    assert set(names(answer["recommended"])) == kept and kept
    assert names(answer["rejected"]) == [m for m, value in means.items() if value < 0.98]
    first = answer["recommended"][0]
    assert first["retention"]["value"] == pytest.approx(means[first["method"]])


def mean_retention(method: str) -> float:
    files = list((LITE / "lite/sts" / method).rglob("*.json"))
    return sum(json.loads(f.read_text())["metrics"]["retention"] for f in files) / len(files)


def fits(out: str) -> bool:
    """The tables fit a terminal; a command that is there to be copied is not broken."""
    return all(len(line) <= 80 or line.startswith("    bench ") for line in out.splitlines())


def test_the_committed_records_in_a_terminal(typed: Typed) -> None:
    status, out, err = typed("--task", "sts", "--track", "lite", "--results", str(LITE), "--max-params", "20M")
    assert (status, err) == (0, "")
    assert fits(out)
    retention = f"{100 * mean_retention('kd'):.1f}%"
    for words in ("max-params 20,000,000", "kd bert:3", "Pareto front", retention, "points"):
        assert words in out
    assert "highest dev score" in out and "trains it again" in out and "--retrain" in out, (
        "it is not in the store of this test"
    )


def test_no_student_within_the_limits(typed: Typed) -> None:
    arguments = ["--task", "sts", "--track", "lite", "--results", str(LITE), "--max-params", "17_389_823"]
    for more in ([], ["--json"]):
        status, out, err = typed(*arguments, *more)
        said = r"\w+ bert:3: 17,389,824 parameters are 1 above 17,389,823"
        assert (status, err) == (0, "")
        if more:
            answer = json.loads(out)
            assert answer["recommended"] == [] and re.fullmatch(said, answer["nearest"])
        else:
            words = " ".join(out.split())
            assert "Pareto front" in out and re.search(f"nothing keeps these limits; nearest: {said}", words)


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--task", "stss", "--track", "lite"], "unknown task 'stss': did you mean sts?"),
        (["--task", "sts"], "holds no record of sts on track mini"),
        (["--task", "sts", "--track", "lite", "--max-params", "many"], "--max-params many: give a number"),
        (["--task", "sts", "--track", "lite", "--min-retention", "97"], "--min-retention 97: give a share"),
        (["--task", "sts", "--track", "lite", "--max-latency-ms", "fast"], "Invalid value for '--max-latency-ms'"),
        (["--task", "sts", "--track", "lite", "--max-latency-ms", "nan"], "--max-latency-ms nan"),
        (["--task", "sts", "--track", "lite", "--device", "TPU"], "nothing here is of --device TPU"),
        (["--task", "sts", "--track", "lite", "--board", "x"], "nothing here is of --board x"),
        (["--track", "lite"], "Missing option '--task'"),
    ],
)
def test_wrong_requests(typed: Typed, arguments: list[str], sentence: str) -> None:
    status, out, err = typed(*arguments, "--results", str(LITE))
    assert (status, out, err.count("\n")) == (2, "", 1) and sentence in err


def test_no_records(typed: Typed, tmp_path: Path) -> None:
    for folder, sentence in ((tmp_path, "holds no records"), (tmp_path / "none", "there is no results folder")):
        status, out, err = typed("--task", "sts", "--results", str(folder))
        assert (status, out) == (2, "") and sentence in err


def test_recommending_imports_no_torch() -> None:
    code = f"""
import sys
sys.argv = ["bench", "recommend", "--task", "sts", "--track", "lite", "--results", {str(LITE)!r}]
from bench.cli.main import main
main()
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)


def scored(results: Path, method: str, seed: int, noise: float, latency: float, **changes: Any) -> Record:
    """A record beside its predictions, so that rows can be compared: gold with noise, half of it shared by all rows."""
    rng = np.random.default_rng([seed, round(1000 * noise), len(method)])
    arrays = flatten({"lee": {"prediction": GOLD + noise * (SHARED + rng.normal(size=400)), "gold": GOLD}})
    value = float(spearmanr(arrays["lee/prediction"], GOLD).statistic)
    told = {
        "metrics__all": {"lee": {"spearman": value}}, "metrics__retention": value / 0.99,
        "predictions__sha256": sha256(pack(arrays)),
    }  # fmt: skip
    record = student(method, value, latency, 10, seed, **told | changes)
    disk.write(results, record, arrays, {"single": {"student": [[1]]}})
    return record


def test_equal_networks_whose_scores_are_open_share_a_place_and_dev_chooses(tmp_path: Path) -> None:
    """`a` is ahead on test by noise and behind on dev; `fast` is another network, as good; `poor` is clearly worse."""
    for seed in range(3):
        scored(tmp_path, "aa", seed, 0.500, 4, metrics__dev=0.5)
        scored(tmp_path, "bb", seed, 0.505, 4, metrics__dev=0.6)
        scored(tmp_path, "poor", seed, 0.9, 4, metrics__dev=0.9)
        scored(tmp_path, "fast", seed, 0.502, 2, metrics__dev=0.4, student="cnn")
    answer = recommend(tmp_path, "sts", "mini", Limits(max_latency_ms=5), exporting)
    assert [(row["place"], row["method"]) for row in answer["recommended"]] == [
        (1, "fast"), (1, "bb"), (1, "aa"), (4, "poor"),
    ]  # fmt: skip
    kept = recommend(tmp_path, "sts", "mini", Limits(max_latency_ms=5, max_params=10), exporting)
    assert kept["export"]["name"] == "bb bert:3", "of the first place, the run that was best on dev"
    assert [row["method"] for row in answer["pareto"] if row["role"] == "student"] == ["fast"], "as good, and faster"
    scored(tmp_path, "cc", 0, 0.4999, 2, student="cnn")
    again = recommend(tmp_path, "sts", "mini", Limits(), exporting)
    assert {row["method"] for row in again["pareto"]} >= {"fast", "cc"}, (
        "equal networks do not beat each other by noise"
    )


def test_no_export_is_named_that_would_be_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))

    def told(student: str = "bert:3", **changes: Any) -> tuple[list[str], str]:
        versions = {
            kind: registry.found(kind)[name].declares.get("version", 1)
            for kind, name in (
                ("task", changes.get("task", "sts").partition("/")[0]),
                ("method", "kd"),
                ("student", "bow"),
            )
        }
        record = make(student=student, **{"versions": versions | {"teacher": "mini==0.1#"}} | changes)
        kept = folders.student_of(record.run_id)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.touch()
        return offers.command(record)

    words, refused = told("bow:16")
    assert (words[:2], words[3:], refused) == (["bench", "export"], ["--format", "hf", "--out", "DIR"], "")
    assert told("cnn:8")[0][4] == "onnx" if not offers.onnx_missing() else "onnx" in told("cnn:8")[1]
    assert told(task="glue/sst2")[0][4] == "hf"
    assert "glue/sst2 has another 'classify' student" in told("dan:8x4", task="glue/sst2")[1]
    assert "'regress' student" in told("dan:8x4", task="glue/stsb")[1]
    assert (
        "method of this run is given by path"
        in told(versions={"teacher": "x", "task": 1, "student": 1, "method": "0" * 16})[1]
    )
    assert told("bow:16", data__source="directory")[0][-2:] == ["--data-dir", "DATA"]
    gone = make(student="bow:16", versions=dict.fromkeys(("task", "method", "student"), 1) | {"teacher": "x"}, seed=9)
    if exportable.installed("task", checked_spec(gone)):
        words, why = offers.command(gone)
        assert words[-1] == "--retrain" and "not in this store: this trains it again, 80 updates" in why


def test_the_readme_s_own_example_works(typed: Typed) -> None:
    example = next(line for line in (ROOT / "README.md").read_text().splitlines() if "bench recommend --task" in line)
    words = example.partition("#")[0].split()[2:]
    status, out, err = typed(*words, "--results", str(LITE))
    assert (status, err) == (0, "") and "recommended" in out
    words[words.index("--max-latency-ms") + 1] = "1"
    status, out, err = typed(*words, "--results", str(LITE))
    said = r"nothing keeps these limits; nearest: \w+ bert:3: latency [\d.]+ ms"
    assert (status, err) == (0, "") and re.search(said, " ".join(out.split()))


def test_long_names_are_broken_between_words(typed: Typed) -> None:
    _, out, _ = typed("--task", "images/cifar10", "--track", "lite", "--results", str(LITE))
    assert fits(out) and "vit.distillation=false" in out and "no export: " in out
