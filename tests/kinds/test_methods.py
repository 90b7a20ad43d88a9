"""Every method that fits a task of tagged words learns from its teacher without a line of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bench.base.console import Console
from bench.plugins import registry
from bench.plugins.compatible import why_not
from bench.runs.protocol import distil, predict, weights_of
from bench.runs.spec import Request, resolve
from bench.training import checkpoint
from tests.factories.runs import save_teacher
from tests.tasks.test_biomed import corpus

BERT = registry.installed("student", "bert").declares
FITTING = [m.name for m in registry.found("method").values() if not why_not(m.declares, "tag", BERT)]
CORPUS = {"cmow", "compactbiobert", "continual", "distilbiobert", "tinybiobert"}  # begin with a corpus: tests/baselines
OWN = {"takd": ('takd.assistants=["bert:3"]',)}  # its default is of images


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The data and a teacher."""
    folder = tmp_path_factory.mktemp("tagged")
    return corpus(folder / "data", train=16), save_teacher(folder / "teacher", layers=3)


def test_what_fits() -> None:
    """Not rkd: it compares embeddings of inputs, and here there are none."""
    text = "finetune kd annealing continuation distilbert dml grain minilm pkd revisited sparse takd tinybert"
    assert set(FITTING) == set(text.split()) | CORPUS


@pytest.mark.parametrize("method", [name for name in FITTING if name not in CORPUS])
def test_learns(method: str, made: tuple[Path, Path], tmp_path: Path) -> None:
    data, teacher = made
    settings = ("updates=4", "teach=2", "batch_size=8", "evaluations=1", "max_length=6", *OWN.get(method, ()))
    request = Request(("biomed/ncbi",), (method,), ("bert:2",), str(teacher), "lite", (0,), data, settings)
    (spec,) = resolve(request)
    device, console = torch.device("cpu"), Console(quiet=True)
    for _, other in spec.wanted:
        student = distil(other, tmp_path, device, console).student
        checkpoint.save(weights_of(other), student.state_dict(), {})
    found = distil(spec, tmp_path, device, console)
    curve = found.trainer.progress.curve
    assert all(np.isfinite(value) for point in curve for value in point["losses"].values())
    spec.task.unseal()
    arrays = predict(spec, found.student, found.teacher)["ncbi"]
    assert np.array_equal(arrays["prediction"].lengths, arrays["teacher"].lengths)
