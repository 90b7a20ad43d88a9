"""Every method that fits tagged words, answers in windows, or aspects learns there without a line of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from bench.base.console import Console
from bench.plugins import registry
from bench.plugins.compatible import why_not
from bench.runs.protocol import distil, predict, weights_of
from bench.runs.spec import Request, resolve
from bench.store.folders import make_folder
from bench.training import checkpoint
from tests.factories.runs import save_teacher
from tests.tasks.test_answered import squad
from tests.tasks.test_biomed import corpus
from tests.tasks.test_indonlu import casa


class Form(NamedTuple):
    """A small data set of a kind: its name, what writes it, and a limit of tokens that cuts its texts."""

    task: str
    write: Callable[[Path], Any]
    limit: int


FORMS = {
    "tag": Form("biomed/ncbi", lambda folder: corpus(folder, train=16), 6),
    "span": Form("squad/1.1", squad, 16),  # three windows a text, the last of them padded
    "aspects": Form("indonlu/casa", casa, 6),
}
BERT = registry.installed("student", "bert").declares
FITTING = {
    kind: {m.name for m in registry.found("method").values() if not why_not(m.declares, kind, BERT)} for kind in FORMS
}
CORPUS = {"cmow", "compactbiobert", "continual", "distilbiobert", "tinybiobert"}  # begin with a corpus: tests/baselines
OWN = {"takd": ('takd.assistants=["bert:3"]',)}  # its default is of images
SINCE = {"continuation": 8, "grain": 5}  # the update behind which the labels have all the weight, or no part is cut off
CASES = [(kind, method) for kind in FORMS for method in sorted(FITTING[kind] - CORPUS)]
CPU, QUIET = torch.device("cpu"), Console(quiet=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The data of all kinds, and a teacher."""
    folder = tmp_path_factory.mktemp("kinds")
    (data := folder / "data").mkdir()
    for form in FORMS.values():
        form.write(data)
    return data, save_teacher(folder / "teacher", layers=3, dropout=0.0)


def test_what_fits() -> None:
    """rkd compares embeddings of inputs, which there are of aspects alone."""
    text = "finetune kd annealing continuation distilbert dml grain minilm pkd revisited sparse takd tinybert"
    common = set(text.split()) | CORPUS
    assert FITTING["tag"] == FITTING["span"] == common
    assert FITTING["aspects"] == common | {"rkd"}


@pytest.mark.parametrize(("kind", "method"), CASES)
def test_learns(kind: str, method: str, made: tuple[Path, Path], tmp_path: Path) -> None:
    """One batch over and over, without dropout: in each stage the losses fall."""
    (data, teacher), form = made, FORMS[kind]
    settings = (
        "updates=12", "teach=2", "batch_size=8", "examples=8", "evaluations=1", f"max_length={form.limit}",
        "bert.rate=1e-3", *OWN.get(method, ()),
    )  # fmt: skip
    (spec,) = resolve(Request((form.task,), (method,), ("bert:2",), str(teacher), "lite", (0,), data, settings))
    for _, other in spec.wanted:
        student = distil(
            other, make_folder(tmp_path / other.run_id), CPU, QUIET
        ).student  # its own: it has a checkpoint
        checkpoint.save(weights_of(other), student.state_dict(), {})
    found = distil(spec, tmp_path, CPU, QUIET)
    points = [point for point in found.trainer.progress.curve if point["losses"]]
    assert all(0 <= value < 100 for point in points for value in point["losses"].values())
    for stage in {point["stage"] for point in points}:
        totals = [sum(point["losses"].values()) for point in points if point["stage"] == stage]
        assert totals[-1] < totals[SINCE.get(method, 0)], stage
    spec.task.unseal()
    (arrays,) = predict(spec, found.student, found.teacher).values()
    assert len(arrays["prediction"]) == len(arrays["teacher"]) == len(arrays["gold"])
    if kind == "tag":
        assert np.array_equal(arrays["prediction"].lengths, arrays["teacher"].lengths)
