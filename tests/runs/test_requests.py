"""`--suite`: the data sets that are there are run, others are told; a request says its own command."""

from __future__ import annotations

import dataclasses
import itertools
import shutil
from pathlib import Path

import pytest

from bench.errors import RequestError
from bench.plugins import registry
from bench.plugins.compatible import why_not
from bench.runs.misfits import Misfit, in_groups
from bench.runs.requests import arguments, of_suite
from bench.runs.spec import Request, resolve
from bench.sources import DataError, Source
from bench.tasks.indonlu import IndoNLU
from tests.factories.commands import bench, refused
from tests.tasks.test_biomed import corpus
from tests.tasks.test_indonlu import casa

BOOLQ = '{"question": "q%d", "passage": "p", "label": %s}\n'


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """SuperGLUE with one of its eight data sets."""
    for name, size in (("train", 40), ("val", 6)):
        path = tmp_path / "superglue/BoolQ" / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            "".join(BOOLQ % (at + 100 * (name == "val"), "true" if at % 2 else "false") for at in range(size))
        )
    return tmp_path


def test_what_is_there_is_run(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    request = of_suite(Request([], ["finetune"], ["bow"], track="lite", data_dir=data), "superglue")
    assert len(request.tasks) == 8
    assert [spec.values["task"] for spec in resolve(request)] == ["superglue/boolq"]
    assert capsys.readouterr().err.count("left out: superglue/") == 7


def test_what_is_wrong_is_an_error_and_nothing_at_all_too(data: Path, tmp_path: Path) -> None:
    (data / "superglue/BoolQ/val.jsonl").write_text("{")
    request = of_suite(Request([], ["finetune"], ["bow"], track="lite", data_dir=data), "superglue")
    with pytest.raises(DataError, match=r"val\.jsonl"):
        resolve(request)
    (empty := tmp_path / "empty").mkdir()
    with pytest.raises(RequestError, match=r"nothing of superglue/boolq, .* can be run: .*--data-dir"):
        resolve(of_suite(Request([], ["finetune"], ["bow"], track="lite", data_dir=empty), "superglue"))


def test_a_data_set_that_lacks_a_file_is_left_out_and_one_with_a_wrong_file_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As of JNLPBA, whose train set is not in every copy."""
    entities = corpus(tmp_path) / "biomed/NERdata"
    shutil.copytree(entities / "NCBI-disease-IOB", entities / "BC5CDR-disease-IOB")
    lacking = entities / "BC5CDR-disease-IOB/train.tsv"
    lacking.unlink()
    request = of_suite(Request([], ["finetune"], ["bilstm"], track="lite", data_dir=tmp_path), "biomed")
    assert [spec.values["task"] for spec in resolve(request)] == ["biomed/ncbi"]
    assert f"left out: biomed/bc5cdr-disease, no train.tsv in {lacking.parent}\n" in capsys.readouterr().err
    lacking.write_text("gout\n")
    with pytest.raises(DataError, match=r"train\.tsv, line 1: not a word and its tag"):
        resolve(request)


@pytest.mark.parametrize(
    ("suite", "file"),
    [("superglue", "superglue/BoolQ/train.jsonl"), ("indonlu", "casa_absa-prosa/valid_preprocess.csv")],
)
def test_any_file_that_is_not_there_leaves_its_data_set_out(data: Path, suite: str, file: str) -> None:
    casa(data)
    request = of_suite(Request([], ["finetune"], ["bilstm"], track="lite", data_dir=data), suite)
    assert len(resolve(request)) == 1
    (data / file).unlink()
    with pytest.raises(RequestError, match=f"nothing of {suite}/.* can be run"):
        resolve(request)


def test_a_suite_on_a_track_that_it_is_not_on() -> None:
    with pytest.raises(RequestError, match="nothing of the suite superglue is on the mini track"):
        of_suite(Request([], ["kd"], []), "superglue")


def test_what_a_suite_names_is_run_and_what_does_not_fit_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    exam = of_suite(Request([], [], [], track="lite"), "indonlu")
    assert exam.methods == ("finetune", "kd") and len(exam.students) == 5 and len(exam.tasks) == 12
    named = of_suite(Request([], ["rkd"], ["bow"], track="lite"), "indonlu")
    assert (named.methods, named.students) == (["rkd"], ["bow"])
    with pytest.raises(RequestError, match="the suite glue has no methods of its own: name them with --method"):
        of_suite(Request([], [], [], track="lite"), "glue")
    part = Request(["sts"], ["kd", "tinybert"], ["bow:8"], there=True)
    assert [spec.values["method"] for spec in resolve(part)] == ["kd"]
    assert "left out: tinybert with bow:8 on sts: " in capsys.readouterr().err
    with pytest.raises(RequestError, match="the method 'tinybert' does not fit sts"):
        resolve(dataclasses.replace(part, there=False))


def test_every_student_of_the_exam_fits_all_of_its_data_sets() -> None:
    exam = of_suite(Request([], [], [], track="lite"), "indonlu")
    kinds = {IndoNLU(Source("hub"), "lite", dataset).kind for dataset in IndoNLU.datasets}
    for method, student, kind in itertools.product(exam.methods, exam.students, kinds):
        plugins = registry.find("method", method), registry.find("student", student.partition(":")[0])
        assert not why_not(plugins[0].declares, kind, plugins[1].declares), (method, student, kind)
    assert kinds == {"classify", "aspects", "tag"}


def test_one_reason_is_told_once() -> None:
    asked = [(m, t, s) for m in ("finetune", "kd") for t in ("a", "b") for s in ("cnn", "bow")]
    misfits = [Misfit.of(*one, "no states") for one in asked] + [Misfit.of("kd", "c", "cnn", "no states")]
    assert list(in_groups(misfits)) == [
        "finetune, kd with cnn on a, b: no states",
        "finetune, kd with bow on a, b: no states",
        "kd with cnn on c: no states",
    ]


def test_the_command_line(data: Path) -> None:
    told = bench("run", "--suite", "superglue", "--method", "finetune", "--student", "bow", "--track", "lite",
                 "--data-dir", data, "--dry-run")  # fmt: skip
    assert "superglue/boolq lite  finetune" in told.out and "left out: superglue/rte" in told.err
    for both in (["--task", "sts", "--suite", "sts"], []):
        refused(bench("run", *both, "--method", "kd", check=None), "--task", "--suite")
    refused(bench("run", "--task", "sts", check=None), "name a method with --method")


def test_a_request_is_a_command() -> None:
    request = Request(["sts"], ["kd", "disco"], ["bow"], "T", "lite", (1, 2), Path("data"), ["lr=1"])
    words = "run --task sts --method kd --method disco --student bow --teacher T --track lite --seeds 1,2 --set lr=1"
    assert arguments(request) == [*words.split(), "--data-dir", "data"]
