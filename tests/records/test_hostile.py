"""Files that strangers leave in a results folder so that whoever reads it waits, runs out of memory, or falls over."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from bench.base import files
from bench.base.archive import ArchiveError, load_arrays, pack
from bench.errors import BenchError, RequestError
from bench.records import check, disk, plausible, rebuilt, together, tuning
from bench.records.arrays import unflatten, unpack
from bench.records.schemas import StoredFile
from bench.records.strict import samples_beside
from peers import mutations
from tests.factories.records import make
from tests.factories.runs import ROOT
from tests.records.test_copies import seen

BOARD = ROOT / "results/lite/text/trec/kd/bert-3"
Arrays = dict[str, np.ndarray]


def one_of(arrays: Arrays, calls: bool) -> str:
    return next(name for name in arrays if name.endswith("/calls") == calls)


SAMPLES: dict[str, Callable[[Arrays], Any]] = {
    "millions of rounds without a call": lambda a: a.update({one_of(a, True): np.zeros(20_000_000, np.uint8)}),
    "calls below 0": lambda a: a.update({one_of(a, True): np.array([-5, 10], np.int64)}),
    "half a call": lambda a: a.update({one_of(a, True): a[one_of(a, True)] * 0.5}),
    "times that are no numbers": lambda a: a.update({one_of(a, False): np.full(4, np.nan)}),
    "times in columns": lambda a: a.update({one_of(a, False): a[one_of(a, False)][:, None]}),
    "times in words": lambda a: a.update({one_of(a, False): a[one_of(a, False)].astype("U9")}),
    "no calls": lambda a: a.pop(one_of(a, True)),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_that_are_none(name: str, tmp_path: Path) -> None:
    source = sorted(BOARD.glob("*.samples.npz"))[0]
    arrays = load_arrays(source.read_bytes())
    SAMPLES[name](arrays)
    path, data = tmp_path / "x.json", pack(arrays)
    path.with_name("x.samples.npz").write_bytes(data)
    stored, began = StoredFile(file="x.samples.npz", sha256=files.sha256(data)), time.process_time()
    with pytest.raises(RequestError, match="not the samples of student and teacher"):
        samples_beside(path, stored, {"student", "teacher"})
    assert time.process_time() - began < 2


def test_an_archive_that_was_packed_otherwise_and_is_broken() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.npy", b"x" * 1000)
    data = bytearray(buffer.getvalue())
    data[30 + len("a.npy") + 9] = 0xFF  # behind the headers of the file and of the packing: its first byte, which is 0
    with pytest.raises(ArchiveError, match="not a readable"):
        load_arrays(bytes(data))


@pytest.mark.parametrize("made", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "device"])
@pytest.mark.parametrize("read", [disk.read, disk.read_teacher, tuning.read, unpack], ids=lambda read: read.__name__)
def test_what_is_no_plain_file_is_not_waited_for(
    made: Callable[[Path], None], read: Callable[[Path], Any], tmp_path: Path
) -> None:
    made(tmp_path / "x.json")
    with pytest.raises(RequestError, match="not a plain file"):
        read(tmp_path / "x.json")


def test_a_board_does_without_a_run_whose_predictions_are_a_pipe(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    results = mutations.prepared(tmp_path)
    path = sorted((results / mutations.UNIT).rglob("*.json"))[0]
    path.with_suffix(".npz").unlink()
    os.mkfifo(path.with_suffix(".npz"))
    for name, command in mutations.commands(results, tmp_path / "out", path).items():
        with contextlib.suppress(BenchError), contextlib.redirect_stderr(io.StringIO()):
            found = command()
            if name == "check":
                assert any("not a plain file" in p.problem for p in found[0][1])


def test_no_command_runs_a_file_that_a_record_names(tmp_path: Path, monkeypatch: Any) -> None:
    """Neither by its name, nor as a plug-in by path whose hash is that of the file."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    Path("evil.py").write_text(f"from pathlib import Path\n\nPath({str(tmp_path / 'ran')!r}).touch()\n")
    results, digest = mutations.prepared(tmp_path), files.sha256(Path("evil.py").read_bytes())[:16]
    paths = sorted((results / mutations.UNIT).rglob("*.json"))
    for path, (kind, name, version) in zip(
        paths, [("method", "evil", digest), ("student", "./evil.py", 1), ("task", "evil.py", digest)], strict=False
    ):
        raw = json.loads(path.read_text(encoding="utf-8"))
        raw["spec"][kind], raw["spec"]["versions"][kind] = name, version
        run_id = raw["run_id"] = disk.run_id_of(raw["spec"])
        raw["predictions"]["file"], raw["efficiency"]["samples"]["file"] = f"{run_id}.npz", f"{run_id}.samples.npz"
        new = disk.path_of(results, raw["spec"], run_id)
        new.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(json.dumps(raw), encoding="utf-8")
        for end in (".npz", ".samples.npz"):
            shutil.move(path.with_suffix(end), new.with_suffix(end))
        path.unlink()
        for command in mutations.commands(results, tmp_path / "out", new).values():
            with contextlib.suppress(BenchError), contextlib.redirect_stderr(io.StringIO()):
                command()
    assert not (tmp_path / "ran").exists()


NOTES: dict[str, tuple[str, bytes, str]] = {
    "of paragraphs": ("lite/text/trec", b"<b>A machine\n\nthat was changed.\n", ""),
    "not in UTF-8": ("lite/text/trec", b"\xff\xfe", "not a text in UTF-8"),
    "too long": ("lite/text/trec", b"x" * 20_001, "longer than 20,000 bytes"),
    "that clears the terminal": ("lite/text/trec", b"\x1b[2J", "invisible characters"),
    "on nothing": ("lite/text", b"x", "a note on no records"),
    "of all": (".", b"x", "a stray file"),
}


@pytest.mark.parametrize("name", NOTES)
def test_a_note_on_a_board(name: str, tmp_path: Path) -> None:
    folder, text, why = NOTES[name]
    results = tmp_path / "results"
    shutil.copytree(BOARD, results / BOARD.relative_to(ROOT / "results"))
    (results / folder / "NOTE.md").write_bytes(text)
    problems = [p.problem for p in check.check(results)[1] if p.path.endswith("NOTE.md")]
    assert len(problems) == bool(why) and all(why in problem for problem in problems)


TUNINGS: dict[str, Any] = {
    "nothing": {}, "no settings": {"asked": {}}, "settings in a list": {"asked": {"settings": []}},
    "settings in words": {"asked": {"settings": {"method": "x"}}}, "no trials": {"trials": []},
}  # fmt: skip


@pytest.mark.parametrize("name", TUNINGS)
def test_a_tuning_that_is_none(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key, run = "a" * 24, make(tuned="a" * 24 + ".json")
    whole = {
        "schema": 1, "key": key, "asked": run.spec, "metric": "accuracy", "sampler": "tpe", "sampler_seed": 0,
        "space": {}, "spec": run.spec, "environment": {}, "provenance": run.provenance.model_dump(),
        "trials": [{"settings": {}, "run_id": run.run_id, "dev": 0.5, "cost": run.cost.model_dump()}],
    }  # fmt: skip
    path = tuning.path_of(tmp_path, key)
    path.parent.mkdir()
    path.write_text(json.dumps(whole), encoding="utf-8")
    assert tuning.read(path).key == key and tuning.naming(tmp_path, run.spec) == path.name
    path.write_text(json.dumps(whole | TUNINGS[name] if TUNINGS[name] else {}), encoding="utf-8")
    found = check.examined(path, check.Folder(tmp_path))
    assert found and not any("cannot be checked" in why for why in found)
    with contextlib.suppress(RequestError):  # a sentence, whoever asks
        list(tuning.unnamed(run, tmp_path))
    assert tuning.naming(tmp_path, run.spec) in (None, path.name) and "Traceback" not in capsys.readouterr().err


def test_a_curve_of_very_many_stages_is_read_once() -> None:
    names, began = [f"stage {n}" for n in range(20_000)], time.process_time()
    cost = make().cost.model_copy(update={"stages": dict.fromkeys(names, 1)})
    curve: Any = [{"stage": name, "step": 1, "losses": {"x": 1.0}} for name in names]
    assert list(plausible.of_cost(cost, curve, {"evaluations": 1})) == []
    assert time.process_time() - began < 5


def test_a_name_of_a_very_large_network_is_not_made() -> None:
    with pytest.raises(RequestError, match="more than 5000 tensors"), rebuilt.limited():
        nn.ModuleList(nn.Linear(1, 1) for _ in range(3000))
    nn.ModuleList(nn.Linear(1, 1) for _ in range(3000))


def test_a_name_that_no_library_makes_a_network_of_is_a_problem() -> None:
    one = seen("kd", 0)
    odd = one.spec.model_copy(update={"settings": {**one.spec.settings, "student": {"init": "auto", "inner": 7}}})
    assert list(together.built_otherwise([replace(one, spec=odd, sound=False)])) == []
    ((_, why),) = together.built_otherwise([replace(one, spec=odd)])
    assert why == "spec.student: it cannot be made (TypeError)"


def test_only_a_method_that_is_known_to_prune_leaves_less_and_an_unknown_one_whatever_it_likes() -> None:
    one = seen("kd", 0)

    def of(method: str, by: int) -> list[Any]:
        p = one.record.efficiency.parameters
        changed = one.record.model_copy(deep=True)
        changed.efficiency.parameters = p.model_copy(update={"active": p.active + by, "total": p.total + by})
        spec = one.spec.model_copy(update={"method": method})
        return list(together.built_otherwise([replace(one, record=changed, spec=spec)]))

    assert not of("kd", 0) and of("kd", -5_000) and of("kd", 5_000)
    assert not of("grain", -5_000) and "before it is pruned" in of("grain", 5_000)[0][1]
    assert not of("mine", -5_000) and not of("mine", 5_000)


def test_arrays_that_no_metric_reads_are_told() -> None:
    path = sorted(BOARD.glob("*.json"))[0]
    found = unflatten(load_arrays(path.with_suffix(".npz").read_bytes()))
    gold: Any = found["trec"]["gold"]
    found["trec"]["gold"] = np.stack([gold, gold], 1)
    (why,) = check.rescored(disk.read(path), found, {})
    assert "its arrays cannot be scored (ValueError)" in why
