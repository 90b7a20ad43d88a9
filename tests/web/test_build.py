"""Builds: repeatable, done again only where records changed, and careful with files that are not theirs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bench.errors import RequestError
from bench.records import disk
from bench.web import build as module
from bench.web.build import build, stamps_of
from tests.factories.records import make
from tests.factories.runs import ROOT, command
from tests.web.site import files, save, scored, site, task_page


def test_two_builds_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With another store too: what it knows decides what is done again, and not what a page says."""
    for seed in range(3):
        scored(tmp_path / "results", "kd", seed, 0.5)
        scored(tmp_path / "results", "finetune", seed, 1.0, track="lite")
    for out in ("a", "b"):
        monkeypatch.setenv("BENCH_CACHE", str(tmp_path / f"cache-{out}"))
        build(tmp_path / "results", tmp_path / out)
    found = files(tmp_path / "a")
    assert found == files(tmp_path / "b")
    assert not any(str(tmp_path).encode() in data for data in found.values())
    assert {"index.html", "api/rows.parquet", "api/runs.csv", "methods/kd.html", "404.html"} <= found.keys()


def test_an_incremental_build_gives_the_bytes_of_a_whole_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = tmp_path / "results"
    for seed in range(2):
        scored(results, "kd", seed, 0.5)
        scored(results, "finetune", seed, 1.0)
        scored(results, "kd", seed, 0.7, track="lite")
    build(results, tmp_path / "a")
    scored(results, "kd", 2, 0.4)
    next(results.glob("lite/sts/kd/bert-3/*.json")).unlink()
    build(results, tmp_path / "a")
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "fresh"))
    build(results, tmp_path / "b")
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_unchanged_files_are_left_alone(tmp_path: Path) -> None:
    out = site(tmp_path, make("kd"), make("kd", track="lite"))
    for path in out.rglob("*"):
        os.utime(path, ns=(1, 1))
    save(tmp_path / "results", make("finetune"))
    build(tmp_path / "results", out)
    fresh = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file() and p.stat().st_mtime_ns != 1}
    board, run = task_page(out).stem, make("finetune").run_id
    assert {"index.html", f"tasks/{board}.html", f"runs/{run}.html", f"api/rows/{board}.csv"} <= fresh
    lite = task_page(out, "sts-lite").stem
    assert not [name for name in fresh if lite in name or make("kd").run_id in name]
    assert not {"style.css", "page.js", "about.html", "404.html"} & fresh


def test_a_file_of_the_site_that_was_lost_comes_back(tmp_path: Path) -> None:
    out = site(tmp_path, make("kd"))
    before = files(out)
    for name in (f"runs/{make('kd').run_id}.html", "index.html", f"tasks/{task_page(out).name}"):
        (out / name).unlink()
    build(tmp_path / "results", out)
    assert files(out) == before


def test_a_build_that_was_killed_is_finished_by_the_next(tmp_path: Path) -> None:
    """Killed at several moments: the files are then those of a build that was not."""
    for seed in range(3):
        scored(tmp_path / "results", "kd", seed, 0.5)
    whole = site(tmp_path)
    for wait in (0.4, 0.7, 1.0):
        out = tmp_path / f"out-{wait}"
        environment = os.environ | {"BENCH_CACHE": str(tmp_path / f"cache-{wait}")}
        started = subprocess.Popen(
            command("site", "build", "--results", tmp_path / "results", "--out", out), cwd=ROOT, env=environment,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            started.wait(wait)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()
        build(tmp_path / "results", out)
        assert files(out) == files(whole)


def test_no_worker_outlives_a_build_that_was_killed(tmp_path: Path) -> None:
    """It would write pages that the next build has just removed, and that none knows of."""
    (tmp_path / "killed.py").write_text(
        "import multiprocessing, os, signal, sys, time\n"
        "from bench.base.processes import end_with_parent\n"
        "def work(pid):\n"
        "    end_with_parent(); pid.value = os.getpid(); time.sleep(600)\n"
        "if __name__ == '__main__':\n"
        "    context = multiprocessing.get_context('spawn')\n"
        "    pid = context.Value('i', 0)\n"
        "    context.Process(target=work, args=(pid,)).start()\n"
        "    while not pid.value: time.sleep(0.01)\n"
        "    print(pid.value, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, tmp_path / "killed.py"], env=environment, stdout=subprocess.PIPE, check=False
    )
    worker = int(done.stdout)
    for _ in range(500):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{worker}/stat").read_text().split()[2] == "Z":
            return
        time.sleep(0.02)
    raise AssertionError("the worker is still there")


def test_pages_of_records_that_are_gone_are_removed_and_nothing_else(tmp_path: Path) -> None:
    out = site(tmp_path, make("kd"), make("finetune"), make("kd", track="lite"))
    gone = task_page(out, "sts-lite")
    mine = out / "runs" / "0123456789abcdef.html"
    mine.write_text("mine")
    (out / "CNAME").write_text("bench.example")
    precious = tmp_path / "precious.html"
    precious.write_text("mine")
    for manifest in (out / ".bench-site").iterdir():
        with manifest.open("a") as lines:
            lines.write(f"../precious.html\n{precious}\nruns/../../precious.html\nCNAME\n")
    next((tmp_path / "results").rglob(f"{make('kd').run_id}.json")).unlink()
    next((tmp_path / "results" / "lite").rglob("*.json")).unlink()
    build(tmp_path / "results", out)
    assert not (out / f"runs/{make('kd').run_id}.html").exists() and not gone.exists()
    assert (out / f"runs/{make('finetune').run_id}.html").exists()
    assert mine.exists() and precious.exists() and (out / "CNAME").exists()


def test_a_build_with_nothing_to_do_reads_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = site(tmp_path, make("kd"))
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    monkeypatch.delattr(disk, "read")
    assert build(tmp_path / "results", out) == {name for name in files(out) if not name.startswith(".bench-site")}
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_a_build_that_was_cut_short_is_not_taken_for_a_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the records are again those of the build before it."""
    out = site(tmp_path, make("kd"))
    before = files(out)
    save(tmp_path / "results", make("finetune"))

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(RequestError, match="No space left"):
        patched.setattr(module.publish, "clear", full)
        build(tmp_path / "results", out)
    next((tmp_path / "results").rglob(f"{make('finetune').run_id}.json")).unlink()
    build(tmp_path / "results", out)
    assert files(out) == before


@pytest.mark.parametrize("change", ["version", "half", "[]"])
def test_what_is_remembered_otherwise_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """By another version of the code, or damaged."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    out = site(tmp_path, make("kd"))
    before = files(out)
    (memory,) = tmp_path.glob("cache/sites/*.json")
    text = memory.read_text()
    wrong = text.replace("LGPL", "MIT").replace(module.code(), "another")
    assert wrong != text
    memory.write_text({"version": wrong, "half": text[: len(text) // 2], "[]": "[]"}[change])
    (out / "index.html").unlink()
    build(tmp_path / "results", out)
    assert files(out) == before and memory.read_text() == text


def test_records_are_found_by_folder_with_what_changes_when_they_do(tmp_path: Path) -> None:
    save(tmp_path, make("kd"), make("disco", seed=1), make("kd", task="text/trec"))
    for apart in ("profiles/one.json", "teachers/two.json"):
        (tmp_path / apart).parent.mkdir()
        (tmp_path / apart).write_text("{}")
    units = stamps_of(tmp_path)
    assert {unit: len(stamps) for unit, stamps in units.items()} == {"mini/sts": 2, "mini/text/trec": 1}
    name, stamp = next(iter(units["mini/sts"].items()))
    record, predictions = (tmp_path / name).stat(), (tmp_path / name).with_suffix(".npz").stat()
    assert stamp == [record.st_mtime_ns, record.st_size, predictions.st_mtime_ns, predictions.st_size]
    (tmp_path / name).with_suffix(".npz").unlink()
    assert stamps_of(tmp_path)["mini/sts"][name] == [*stamp[:2], 0, 0]


def test_a_folder_that_cannot_be_read_is_no_empty_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, make("kd"))
    scandir = os.scandir

    def refused(folder: str) -> Any:
        if Path(folder).name == "sts":
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(PermissionError):
        stamps_of(tmp_path)


def test_what_build_returns_is_the_site(tmp_path: Path) -> None:
    save(tmp_path / "results", make())
    found = set(build(tmp_path / "results", tmp_path / "out"))
    there = {name for name in files(tmp_path / "out") if not name.startswith(".bench-site")}
    assert found == there and f"runs/{make().run_id}.json" in found


@pytest.mark.parametrize("there", [False, True])
def test_no_records_says_what_to_run(tmp_path: Path, there: bool) -> None:
    if there:
        (tmp_path / "results").mkdir()
    with pytest.raises(RequestError, match=r"results folder .* run `bench run --task sts"):
        build(tmp_path / "results", tmp_path / "out")
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
def test_a_broken_record_is_named(tmp_path: Path, damage: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """And left out; the others are there as if it were not."""
    save(tmp_path / "results", make("kd"))
    alone = files(site(tmp_path))
    path = tmp_path / "results" / "mini" / "sts" / "kd" / "bert-3" / "broken.json"
    text = make().model_dump_json(by_alias=True)
    assert damage(text) != text
    path.write_text(damage(text))
    capsys.readouterr()
    build(tmp_path / "results", tmp_path / "out")
    assert re.search(r"bench: left out: .*broken\.json is not a valid record: .+", capsys.readouterr().err)
    assert files(tmp_path / "out") == alone


def test_a_record_that_is_there_twice_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "results", make())
    (tmp_path / "results" / "copy.json").write_text(make().model_dump_json(by_alias=True))
    build(tmp_path / "results", tmp_path / "out")
    assert re.search(r"left out: .*copy\.json belongs to mini/sts/kd/bert-3/", capsys.readouterr().err)
    assert (tmp_path / "out" / "runs" / f"{make().run_id}.html").is_file()


def test_no_link_out_of_the_folder_is_followed(tmp_path: Path) -> None:
    save(tmp_path / "results", make("kd"))
    alone = files(site(tmp_path))
    save(tmp_path / "elsewhere", make("disco"))
    (secret := tmp_path / "secret").write_text("mine")
    there = tmp_path / "results" / "mini" / "sts"
    (there / "disco").symlink_to(tmp_path / "elsewhere" / "mini" / "sts" / "disco")
    (there / "NOTE.md").symlink_to(secret)
    (there / "kd" / "bert-3" / "x.json").symlink_to(next((tmp_path / "elsewhere").rglob("*.json")))
    os.mkfifo(there / "kd" / "bert-3" / "y.json")
    build(tmp_path / "results", tmp_path / "out")
    assert files(tmp_path / "out") == alone
    predictions = next((tmp_path / "results").rglob(f"{make('kd').run_id}.npz"))
    predictions.unlink()
    predictions.symlink_to(secret)
    assert predictions.read_bytes() == b"mine"
    build(tmp_path / "results", tmp_path / "out")
    assert not any(b"mine" in data for name, data in files(tmp_path / "out").items() if name.endswith(".npz"))


def test_a_record_in_another_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "results", make("kd"))
    elsewhere = tmp_path / "results" / "lite" / "sts" / "finetune" / "bert-3" / "r.json"
    elsewhere.parent.mkdir(parents=True)
    elsewhere.write_text(make("finetune").model_dump_json(by_alias=True))
    build(tmp_path / "results", tmp_path / "out")
    assert re.search(r"left out: .*lite/sts/finetune/bert-3/r\.json belongs to mini/", capsys.readouterr().err)


def test_an_output_folder_that_is_not_ours(tmp_path: Path) -> None:
    save(tmp_path / "results", make())
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "index.html").write_text("my own page")
    (tmp_path / "file").write_text("")
    for out, why in (
        ("home", "was not made by bench"),
        ("home", "was not made by bench"),  # nor by the build before
        ("file", "cannot write the site"),
        ("results/site", "lies in the results"),
    ):
        with pytest.raises(RequestError, match=why):
            build(tmp_path / "results", tmp_path / out)
    assert (tmp_path / "home" / "index.html").read_text() == "my own page"


def test_many_folders_of_records_in_several_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for track in ("mini", "lite", "full"):
        scored(tmp_path / "results", "kd", 0, 0.5, track=track)
    build(tmp_path / "results", tmp_path / "one")
    monkeypatch.setattr(module, "MANY", 1)
    build(tmp_path / "results", tmp_path / "two")
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_reading_records_for_a_page_imports_no_torch(tmp_path: Path) -> None:
    """Seconds on every build."""
    scored(tmp_path / "results", "kd", 0, 0.5)
    code = (
        "import sys; from pathlib import Path; from bench.web.build import build; "
        "build(Path(sys.argv[1]), Path(sys.argv[2])); print({'torch', 'scipy.stats', 'pandas'} & set(sys.modules))"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path / "results"), str(tmp_path / "out")]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_api_says_where_everything_is(tmp_path: Path) -> None:
    for seed in range(2):
        scored(tmp_path / "results", "kd", seed, 0.5)
    out = site(tmp_path)
    index = json.loads((out / "api/index.json").read_bytes())
    (board,) = index["boards"]
    whole = json.loads((out / board["board"]).read_bytes())
    assert index["schema"] == 2 and (out / board["page"]).is_file() and whole["slug"] == board["slug"]
    row = next(row for row in whole["rows"] if row["method"] == "kd")
    assert [run["seed"] for run in row["runs"]] == [0, 1]
    assert json.loads((out / f"runs/{row['runs'][0]['run_id']}.json").read_bytes())["spec"]["seed"] == 0
