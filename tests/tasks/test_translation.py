"""Translation: every official line, line files, files that are wrong, and a run as a user types it."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.base.console import Console
from bench.kinds.generate import as_bytes
from bench.plugins.registry import find, load
from bench.runs.protocol import distil, predict
from bench.runs.spec import Request, resolve
from bench.sources import DataError, Source
from tests.factories.data import real_data

Translation = load(find("task", "translation"))
pytest.importorskip("sacrebleu")
SOURCE = ["Ein Hund läuft .", "Zwei Hunde laufen schnell .", "Eine Katze schläft ."] * 4
TARGET = ["A dog runs .", "Two dogs run fast .", "A cat sleeps ."] * 4


def opened(folder: Path, dataset: str):
    task = Translation(Source("directory", folder), "lite", dataset)
    task.unseal()
    return task


def files(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for split in ("train", "dev", "test"):
        for side, texts in (("src", SOURCE), ("tgt", TARGET)):
            (folder / f"{split}.{side}").write_text("\n".join(texts) + "\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize("dataset", ["multi30k-de-en", "multi30k-en-fr", "multi30k-en-cs"])
def test_official_lines(dataset: str) -> None:
    folder = real_data("oracle") / "oracle/mt-multi30k/task1/raw"
    task = opened(real_data("oracle"), dataset)
    counts = {}
    for split, name in (("train", "train"), ("dev", "val"), ("test", "test_2016_flickr")):
        counts[split] = len(task.pair(split))
        target = gzip.decompress((folder / f"{name}.{dataset[-2:]}.gz").read_bytes()).decode().splitlines()
        assert len(target) == counts[split]
    assert counts == {"train": 29_000, "dev": 1_014, "test": 1_000}


def test_line_files_and_their_score(tmp_path: Path) -> None:
    task = opened(files(tmp_path), "lines")
    assert task.sizes() == {"train": 12, "dev": 12, "test": 12, "lines": 12}
    found = task.predict(as_bytes(TARGET), "test")
    assert task.score(found) == {"lines": {"bleu": pytest.approx(1.0)}}
    assert "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp" in task.card().notes[0]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda p: p.write_text("\n".join(TARGET[:-1])), r"train\.src has 12 lines and .*train\.tgt has 11"),
        (lambda p: p.write_text("\n".join([*TARGET[:3], " ", *TARGET[4:]])), "line 4: empty"),
        (lambda p: p.write_text(""), "is empty"),
        (lambda p: p.unlink(), r"no train\.tgt"),
        (lambda p: p.write_bytes(b"\xff\n" * 12), "not UTF-8"),
    ],
)
def test_wrong_lines(wrong, message: str, tmp_path: Path) -> None:
    wrong(files(tmp_path) / "train.tgt")
    with pytest.raises(DataError, match=message):
        _ = opened(tmp_path, "lines").splits


def test_a_packed_file_that_is_none(tmp_path: Path) -> None:
    raw = tmp_path / "task1/raw"
    raw.mkdir(parents=True)
    for name in ("train", "val", "test_2016_flickr"):
        for language in ("de", "en"):
            (raw / f"{name}.{language}.gz").write_bytes(b"plain text")
    with pytest.raises(DataError, match="is no gzip file"):
        _ = opened(tmp_path, "multi30k-de-en").splits


@pytest.mark.parametrize("method", ["kd", "oracle"])
def test_methods_learn_and_texts_are_scored(method: str, tmp_path: Path) -> None:
    """Not timed here: what is not trained goes on until its limit."""
    settings = ("updates=2", "teach=2", "batch_size=4", "evaluations=1")
    settings += ("oracle=oracle_translation:16x1",) if method == "oracle" else ()
    lines = files(tmp_path / "data")
    request = Request(
        ("translation/lines",), (method,), ("seq2seq:16x1",), "seq2seq:16x1", "lite", (0,), lines, settings
    )
    (spec,) = resolve(request)
    found = distil(spec, tmp_path, torch.device("cpu"), Console(quiet=True))
    assert all(np.isfinite(v) for point in found.trainer.progress.curve for v in point["losses"].values())
    if method == "oracle":
        return
    spec.task.unseal()
    arrays = predict(spec, found.student, found.teacher)["lines"]
    assert len(arrays["prediction"]) == len(arrays["teacher"]) == 12
    assert 0 <= spec.task.score({"lines": arrays})["lines"]["bleu"] < 1
