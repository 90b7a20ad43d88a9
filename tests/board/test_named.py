"""`bench compare`: which rows a name means, what is refused, and what is printed."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.base.archive import pack
from bench.records.arrays import flatten
from tests.factories import records
from tests.factories.commands import Typed, bench, refused
from tests.factories.records import GOLD, predictions, put, settings


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Type `bench compare` where `results` is tmp_path/results."""
    monkeypatch.chdir(tmp_path)
    return partial(bench, "compare", check=None)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Three seeds each of a good, a middling and a poor method with bert:3, and of the poor one with cnn."""
    folder = tmp_path / "results"
    for seed in range(3):
        for method, noise in (("good", 0.2), ("kd", 0.5), ("finetune", 0.9)):
            put(folder, noise, method, seed, taught=True)
        put(folder, 1.2, "finetune", seed, taught=True, student="cnn")
    return folder


def answer(typed: Typed, *arguments: object) -> dict[str, Any]:
    status, out, err = typed(*arguments, "--task", "sts", "--json")
    assert (status, err) == (0, ""), err
    return json.loads(out)


def test_the_json_of_a_comparison(typed, results):
    found = answer(typed, "good", "kd")
    assert list(found) == [
        "task", "track", "a", "b", "metric", "difference", "ci95", "evidence", "sentence", "p_value", "p_holm",
        "family", "examples", "seeds", "noise", "speed", "board_sees", "marks",
    ]  # fmt: skip
    from scipy.stats import spearmanr

    means = [
        np.mean([spearmanr(predictions(n, s)["lee"]["prediction"], GOLD)[0] for s in range(3)]) for n in (0.2, 0.5)
    ]
    assert found["difference"] == pytest.approx(means[0] - means[1], abs=1e-9)
    assert found["ci95"][0] < found["difference"] < found["ci95"][1] and 0 < found["p_value"] <= found["p_holm"] < 0.05
    assert {k: found[k] for k in ("task", "track", "a", "b", "metric", "examples", "seeds", "evidence", "noise")} == {
        "task": "sts", "track": "mini", "a": "good", "b": "kd", "metric": "spearman", "examples": 400, "seeds": 3,
        "evidence": "clear", "noise": "examples and seeds",
    }  # fmt: skip
    assert found["family"] == "3 differences to a baseline with the same student", "good - kd is one that is shown"
    other = answer(typed, "good", "finetune@cnn")
    assert other["family"] == "all 10 pairs of the board", "four rows and the teacher"


def test_turned_round(typed, results):
    one, two = answer(typed, "good", "kd"), answer(typed, "kd", "good")
    assert (
        two["difference"] == -one["difference"]
        and two["sentence"] == one["sentence"]
        and two["p_holm"] == one["p_holm"]
    )


def test_the_teacher_is_a_row(typed, results):
    found = answer(typed, "teacher", "kd")
    assert found["evidence"] == "clear" and found["difference"] > 0 and found["seeds"] == 3


def test_a_student_told_in_the_name_or_apart(typed, results):
    with_name = answer(typed, "kd", "finetune@cnn")
    assert with_name["difference"] > answer(typed, "kd", "finetune@bert:3")["difference"]
    apart = answer(typed, "kd@bert:3", "finetune", "--student", "cnn")
    assert {k for k in with_name if apart[k] != with_name[k]} == {"a", "b", "sentence", "marks"}, "what holds the names"
    assert answer(typed, "kd", "finetune cnn")["difference"] == with_name["difference"]
    assert answer(typed, "./kd.py", "finetune cnn")["difference"] == with_name["difference"]


def test_in_words(typed, results):
    status, out, err = typed("kd", "good", "--task", "sts")
    assert (status, err) == (0, "") and "good is clearly better than kd:" in out
    first, *_ = out.splitlines()
    assert first.startswith("kd - good: -") and "95% interval" in first, "the pair's own difference and interval lead"
    assert "spearman x 100 on sts, track mini" in out and "3 differences" in out and "400" in out
    assert "One common seed" not in out and "In 80% of cases this board sees a difference of" in out


def test_one_common_seed_is_said(typed, results):
    put(results, 0.5, "new", 2)
    found = answer(typed, "new", "kd")
    assert found["seeds"] == 1 and found["noise"] == "examples and seeds, as the rows with several tell of them"
    _, out, _ = typed("new", "kd", "--task", "sts")
    assert "One common seed" in out and "as the rows with several tell of them" in " ".join(out.split())


def test_noise_that_no_row_tells_of_is_said(typed, tmp_path):
    for method, noise in (("kd", 0.5), ("new", 0.6)):
        put(tmp_path / "results", noise, method)
    found = answer(typed, "new", "kd")
    assert "the noise between seeds is unknown" in found["noise"] and found["board_sees"]["seeds"] is None
    _, out, _ = typed("new", "kd", "--task", "sts")
    assert "the noise between seeds is unknown" in " ".join(out.split())


def test_equal_rows_tie(typed, tmp_path):
    for method in ("kd", "copy"):
        put(tmp_path / "results", 0.5, method)
    assert answer(typed, "kd", "copy")["evidence"] == "open"
    _, out, _ = typed("kd", "copy", "--task", "sts")
    assert "It is open which of kd and copy is better" in out


def test_names_that_mean_several_rows_come_with_the_choices(typed, results):
    error = refused(typed("kd", "finetune", "--task", "sts"))
    assert "'finetune bert:3', 'finetune cnn'" in error
    put(results, 0.4, "kd", settings=settings(temperature=4.0))
    error = refused(typed("good", "kd", "--task", "sts"))
    assert "'kd bert:3 lr=0.0002'" in error and "'kd bert:3 temperature=4.0'" in error
    assert answer(typed, "good", "kd bert:3 lr=0.0002")["seeds"] == 3


def test_rows_of_two_teachers_are_told_apart(typed, results):
    put(results, 0.4, "kd", teacher="other")
    error = refused(typed("good", "kd", "--task", "sts"))
    assert "'kd bert:3 teacher=all-MiniLM-L6-v2'" in error and "'kd bert:3 teacher=other'" in error
    assert answer(typed, "good", "kd bert:3 teacher=other")["seeds"] == 1


def test_boards_that_cannot_be_told_apart(typed, results):
    for method in ("good", "kd"):
        put(results, 0.4, method, data__identity="e" * 16)
    error = refused(typed("good", "kd", "--task", "sts"))
    assert "on 2 boards" in error and "dddddddddddd" in error and "eeeeeeeeeeee" in error and "--board" in error
    found = [answer(typed, "good", "kd", "--board", data * 12)["difference"] for data in "de"]
    assert found[0] > 0 and found[1] == 0


def test_rows_of_other_data_are_not_compared(typed, results):
    put(results, 0.4, "new", data__identity="e" * 16)
    assert "have no board in common" in refused(typed("new", "kd", "--task", "sts"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("god", "kd", "--task", "sts"), "unknown row 'god': did you mean good?"),
        (("kd@bert:4", "good", "--task", "sts"), "unknown student of kd 'bert:4': did you mean bert:3?"),
        (("kd", "good", "--task", "stz"), "'stz': did you mean sts?"),
        (("kd", "good", "--task", "sts", "--track", "lite"), "no record of sts on track lite; there is: mini"),
        (("kd", "kd@bert:3", "--task", "sts"), "are the same row (kd bert:3)"),
        (("kd", "--task", "sts"), "Missing argument 'b'; see "),
        (("kd", "good", "--task", "sts", "--results", "nowhere"), "there is no results folder nowhere"),
    ],
)
def test_wrong_requests(typed, results, arguments, words):
    assert words in refused(typed(*arguments))


def test_no_seed_in_common(typed, results):
    put(results, 0.4, "new", 7)
    assert "share no seed" in refused(typed("new", "kd", "--task", "sts"))


def test_predictions_that_are_gone_or_changed(typed, results):
    path = put(results, 0.4, "new").with_suffix(".npz")
    path.write_bytes(pack(flatten(predictions(0.1, 9))))
    assert "does not hold the predictions" in refused(typed("new", "kd", "--task", "sts"))
    path.unlink()
    assert "cannot read the predictions" in refused(typed("new", "kd", "--task", "sts"))


def test_a_teacher_that_nobody_stored(typed, tmp_path):
    for method in ("kd", "good"):
        put(tmp_path / "results", 0.4, method)
    assert answer(typed, "kd", "good")["family"].startswith("1 difference")
    assert "hold no predictions of the teacher" in refused(typed("kd", "teacher", "--task", "sts"))


def test_runs_of_other_examples_on_one_board(typed, results, monkeypatch):
    monkeypatch.setattr(records, "GOLD", GOLD[::-1])
    put(results, 0.4, "new")
    assert "was not scored on the examples of the other records" in refused(typed("new", "kd", "--task", "sts"))


def test_help_has_examples(typed):
    status, out, _ = typed("--help")
    assert status == 0 and "bench compare kd finetune --task sts" in " ".join(out.split())


@pytest.mark.parametrize("how", ["gone", "other gold", "no archive"])
def test_a_run_that_cannot_be_read_leaves_the_others_as_they_are(typed, results, monkeypatch, how):
    before = answer(typed, "kd", "good")
    if how == "other gold":
        monkeypatch.setattr(records, "GOLD", GOLD[::-1])
    path = put(results, 0.4, "a-first").with_suffix(".npz")
    if how == "gone":
        path.unlink()
    if how == "no archive":
        path.write_bytes(b"PK")
    told = typed("kd", "good", "--task", "sts", "--json")
    assert told.status == 0 and "left out: " in told.err and path.stem in told.err
    assert json.loads(told.out) == before
