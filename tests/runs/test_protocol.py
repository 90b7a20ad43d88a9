"""Whole runs: determinism, resume after SIGKILL, the store, records that can be scored again."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from bench.base import files
from bench.measuring.cache import NOTE
from bench.records import disk
from bench.records.arrays import unpack
from tests.factories.commands import bench, runs_of
from tests.factories.runs import ROOT, SMALL, command, option


def request(teacher, results, *methods, seed=0):
    return [
        "run", "--task", "sts", *option("method", *methods), "--teacher", teacher, "--student", "bert:1",
        "--seeds", seed, "--results", results, *SMALL, "--json",
    ]  # fmt: skip


def predictions(outcome):
    path = outcome["record"].removesuffix(".json") + ".npz"
    with np.load(path) as arrays:
        return {key: arrays[key] for key in arrays.files}


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


def test_runs_leave_valid_records_that_score_to_what_they_say(finished):
    from bench.tasks.sts import Sts

    assert [o["status"] for o in finished.outcomes] == ["done"] * 3
    for outcome in finished.outcomes:
        path = outcome["record"]
        record = disk.read(Path(path))
        stored = unpack(Path(path).with_suffix(".npz"))
        assert Sts.score(stored)["lee"]["spearman"] == pytest.approx(record.metrics.main.value, abs=1e-9)
        assert len(stored["lee"]["gold"]) == 1225
        assert files.sha256(Path(path).with_suffix(".npz").read_bytes()) == record.predictions.sha256
        low, high = record.metrics.main.ci95
        assert low < record.metrics.main.value < high
        assert record.metrics.retention == pytest.approx(record.metrics.main.value / record.teacher.main.value)
        assert record.cost.student_updates == sum(record.cost.stages.values())
        assert record.efficiency.speedup.value > 0 and record.efficiency.latency["single"]["p50_ms"] > 0


def test_the_teacher_reads_the_training_text_once_for_all_methods(finished):
    cost = {o["method"]: json.loads(Path(o["record"]).read_text())["cost"] for o in finished.outcomes}
    assert (cost["kd"]["teacher_forwards"], cost["kd"]["teacher_forwards_reused"]) == (96, 0)
    assert (cost["disco"]["teacher_forwards"], cost["disco"]["teacher_forwards_reused"]) == (0, 96)
    assert (cost["finetune"]["teacher_forwards"], cost["finetune"]["teacher_forwards_reused"]) == (0, 0)
    assert finished.err.count("reads 96 inputs") == 1 and finished.err.count("reads 50 inputs") == 1
    assert cost["disco"]["stages"] == {"ckd": 24, "contrast": 3}


@pytest.mark.quiet
def test_a_second_run_is_skipped_in_under_five_seconds(teacher, finished):
    results, cache, outcomes = finished.results, finished.cache, finished.outcomes
    before = Path(outcomes[1]["record"]).stat().st_mtime_ns
    start = time.monotonic()
    again = runs_of(bench(*request(teacher, results, "disco"), cache=cache))
    assert time.monotonic() - start < 5
    assert [(o["run_id"], o["status"]) for o in again] == [(outcomes[1]["run_id"], "skipped")]
    assert Path(outcomes[1]["record"]).stat().st_mtime_ns == before


def test_the_same_spec_and_seed_give_the_same_predictions(teacher, finished, tmp_path):
    """Another results folder and another store: everything is computed again."""
    again = runs_of(bench(*request(teacher, tmp_path / "r", "disco"), cache=tmp_path / "c"))
    assert again[0]["run_id"] == finished.outcomes[1]["run_id"]
    assert same(predictions(again[0]), predictions(finished.outcomes[1]))


def test_another_seed_gives_other_predictions(teacher, finished, tmp_path):
    other = runs_of(bench(*request(teacher, tmp_path / "r", "disco", seed=1), cache=finished.cache))
    assert not same(predictions(other[0]), predictions(finished.outcomes[1]))


def test_killed_in_the_middle_it_resumes_to_the_same_predictions(teacher, finished, tmp_path):
    cache, results = tmp_path / "c", tmp_path / "r"
    arguments = request(teacher, results, "disco")
    log = (tmp_path / "log").open("w")
    child = subprocess.Popen(
        command(*arguments), cwd=ROOT, env=os.environ | {"BENCH_CACHE": str(cache)}, stderr=log, stdout=log
    )
    while not list(cache.glob("runs/*/checkpoint.safetensors")):
        assert child.poll() is None, (tmp_path / "log").read_text()
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not list(results.rglob("*.json"))
    done = bench(*arguments, cache=cache)
    assert "resumed after" in done.err
    assert same(predictions(runs_of(done)[0]), predictions(finished.outcomes[1]))
    assert not list(cache.glob("runs/*/checkpoint.safetensors"))  # a finished run keeps its student alone
    cost = json.loads(Path(runs_of(done)[0]["record"]).read_text())["cost"]
    assert (cost["student_updates"], cost["teacher_forwards"], cost["teacher_forwards_reused"]) == (27, 96, 0)


def test_a_finished_run_can_be_measured_again_and_nothing_else_changes(teacher, finished, tmp_path):
    results, cache, outcomes = finished.results, finished.cache, finished.outcomes
    shutil.copytree(results, tmp_path / "r")
    before = disk.read(tmp_path / "r" / Path(outcomes[0]["record"]).relative_to(results))
    again = runs_of(bench(*request(teacher, tmp_path / "r", "kd"), "--remeasure", cache=cache))[0]
    after = disk.read(Path(again["record"]))
    assert again["status"] == "done" and after.efficiency.samples != before.efficiency.samples
    assert after.efficiency.measured > before.efficiency.measured
    kept = {"efficiency", "teacher"}
    assert after.model_dump(exclude=kept) == before.model_dump(exclude=kept)
    assert after.teacher.metrics == before.teacher.metrics
    done = bench(*request(teacher, tmp_path / "r", "kd"), "--remeasure", cache=tmp_path / "empty", check=2)
    assert "no longer in the store" in done.err


def test_runs_of_the_same_shapes_are_measured_again_together(teacher, finished, tmp_path):
    shutil.copytree(finished.results, tmp_path / "r")
    arguments = request(teacher, tmp_path / "r", "kd", "disco")
    done = bench(*arguments, "--remeasure", cache=finished.cache)
    first, second = (disk.read(Path(outcome["record"])).efficiency for outcome in runs_of(done))
    assert first.measured == second.measured > disk.read(Path(finished.outcomes[0]["record"])).efficiency.measured
    assert NOTE not in first.notes and NOTE in second.notes


def test_the_kept_student_is_the_one_that_was_scored(finished):
    """student.safetensors holds finite weights under the run's id."""
    from safetensors.torch import load_file

    for outcome in finished.outcomes:
        weights = load_file(finished.cache / "runs" / outcome["run_id"] / "student.safetensors")
        assert weights and all(bool(t.isfinite().all()) for t in weights.values())


@pytest.mark.parametrize("student", ["bow:32", "cnn:8", "bilstm:1x16", "bert:1x24x2"])
def test_students_of_another_width_and_tokenizer_learn_from_the_same_teacher(teacher, student, tmp_path, finished):
    arguments = request(teacher, tmp_path, "disco")
    arguments[arguments.index("bert:1")] = student
    outcome = runs_of(bench(*arguments, cache=finished.cache))[0]
    record = disk.read(Path(outcome["record"]))
    assert outcome["status"] == "done" and record.student.width != 48
    assert record.cost.teacher_forwards == 0 and record.cost.teacher_forwards_reused == 96


def test_replicate_runs_a_noisy_teacher_in_every_step(teacher, finished, tmp_path):
    arguments = [*request(teacher, tmp_path, "disco"), "--set", "replicate=true", "--set", "stages=ckd"]
    outcome = runs_of(bench(*arguments, cache=finished.cache))[0]
    record = disk.read(Path(outcome["record"]))
    assert record.cost.teacher_forwards == 24 * 8 and record.cost.stages == {"ckd": 24}


HINT = '''"""Last hidden states match, token by token."""
from dataclasses import dataclass
from bench.method import Method
from bench.optimiser import Optimiser

class Hint(Method):
    needs = frozenset({"hidden"})

    @dataclass(frozen=True)
    class Settings:
        lr: float = 1e-3

    def stages(self):
        recipe = Optimiser(self.settings.lr)
        yield self.stage("hint", self.hint, needs=self.needs, wants={"hidden"}, optimiser=recipe)

    def hint(self, student, teacher, batch):
        assert len(student.hidden) == 2 and len(teacher.hidden) == 3 and not teacher.hidden[0].requires_grad
        return {"hint": (student.hidden[-1] - teacher.hidden[-1]).square().mean()}
'''


def test_token_level_signals_are_stored_within_the_quota_and_counted(teacher, finished, tmp_path):
    (tmp_path / "hint.py").write_text(HINT)

    def hint(folder, *more):
        arguments = request(teacher, tmp_path / folder, tmp_path / "hint.py")
        outcome = runs_of(bench(*arguments, *more, cache=finished.cache))[0]
        return disk.read(Path(outcome["record"]))

    live, stored, again = hint("live", "--store-quota", "0"), hint("stored"), hint("again")
    assert [(r.cost.teacher_forwards, r.cost.teacher_forwards_reused) for r in (live, stored, again)] == [
        (24 * 8, 0), (96, 0), (0, 96)
    ]  # fmt: skip
    losses = [point["losses"]["hint"] for point in stored.curve if point["losses"]]
    assert losses[-1] < losses[0] and stored.curve == again.curve
