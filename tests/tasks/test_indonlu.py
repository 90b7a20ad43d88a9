"""IndoNLU: every row of the official files, wrong files, and runs of a data set of aspects and one of tags."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.plugins.registry import find, load
from bench.records import disk
from bench.scoring.metrics import METRICS
from bench.scoring.scores import Ragged
from bench.sources import DataError, Source
from tests.factories.data import real_data
from tests.factories.runs import bench, runs_of
from tests.tasks.test_conll import damaged

IndoNLU = load(find("task", "indonlu"))
COUNTS = {  # train, dev and test, as the repository's files hold them
    "emot": (3521, 440, 440), "smsa": (11000, 1260, 500), "wrete": (300, 50, 100), "casa": (810, 90, 180),
    "hoasa": (2283, 285, 286), "posp": (6720, 840, 840), "bapos": (8000, 1000, 1029), "keps": (800, 200, 247),
    "nergrit": (1672, 209, 209), "nerp": (6720, 840, 840), "facqa": (2495, 311, 311),
}  # fmt: skip
CASA = "casa_absa-prosa"
HEADER = "sentence,fuel,machine,others,part,price,service\n"
KEPS = "keps_keyword-extraction-prosa"


def opened(folder: Path, dataset: str):
    task = IndoNLU(Source("directory", folder), "lite", dataset)
    task.unseal()
    return task


def write(folder: Path, name: str, ending: str, text: str, **others: str) -> Path:
    (folder / name).mkdir(parents=True, exist_ok=True)
    for part in ("train", "valid", "test"):
        (folder / name / f"{part}_preprocess.{ending}").write_text(others.get(part, text), encoding="utf-8")
    return folder


def casa(folder: Path, **others: str) -> Path:
    values = ("negative", "neutral", "positive")
    lines = [f'"motor {n}, bagus",{",".join(values[(n + a) % 3] for a in range(6))}\n' for n in range(30)]
    return write(folder, CASA, "csv", HEADER + "".join(lines), **others)


def keps(folder: Path, **others: str) -> Path:
    lines = [f"kartu\tB\nkredit\tI\n{n}\tO\ngagal\tI\n\n" for n in range(20)]
    return write(folder, KEPS, "txt", "".join(lines), **others)


@pytest.mark.parametrize("dataset", COUNTS)
def test_official_files(dataset: str) -> None:
    sizes = opened(real_data("indonlu"), dataset).card().sizes
    assert tuple(sizes[split] for split in ("train", "dev", "test")) == COUNTS[dataset]


@pytest.mark.parametrize("dataset", ["posp", "bapos", "keps", "nergrit", "nerp", "facqa"])
def test_tags_are_scored_as_seqeval_s_mean_over_types(dataset: str) -> None:
    """Of the first 300 test sentences, of which every fifth tag is damaged: I without B, types that are not in gold."""
    metrics = pytest.importorskip("seqeval.metrics")
    task = opened(real_data("indonlu"), dataset)
    numbers = task.splits.test[dataset].labels
    gold = Ragged(np.array(task.classes)[numbers.flat], numbers.lengths)[np.arange(min(300, len(numbers)))]
    found = damaged(gold, 0)
    expected = metrics.f1_score(gold.tolist(), found.tolist(), average="macro")
    assert 0.1 < expected < 0.95 and METRICS["type_f1"].value(found, gold) == pytest.approx(expected, abs=1e-12)


def test_tags_without_a_type_and_an_answer_after_its_question() -> None:
    folder = real_data("indonlu")
    assert opened(folder, "keps").classes == ("O", "B-PHRASE", "I-PHRASE")
    task = opened(folder, "facqa")
    words, gold = task.splits.dev.inputs[0], task.splits.dev.labels[np.array([0])]
    assert words[:3] == ("Apa", "nama", "latin") and not gold.flat[:7].any() and gold.flat.any()


def test_an_entity_may_begin_with_i(tmp_path: Path) -> None:
    """As conlleval reads it: `gagal I` behind O is a chunk of its own."""
    task = opened(keps(tmp_path), "keps")
    labels = [[task.classes.index(tag) for tag in ("B-PHRASE", "I-PHRASE", "O", "O")]] * 20
    found = task.predict(load_ragged(labels), "test")
    assert task.score(found)["keps"]["type_f1"] == pytest.approx(2 / 3)


def load_ragged(rows):
    from bench.scoring.scores import Ragged

    return Ragged.of(rows, np.int64)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"train": HEADER + "a,positive\n"}, r"train_preprocess\.csv, line 2: 2 columns"),
        ({"valid": "sentence,fuel\na,b\n"}, r"valid_preprocess\.csv: no column machine, others"),
        ({"test": HEADER + "a,good,neutral,neutral,neutral,neutral,neutral\n"}, "line 2: 'good' is no label"),
        ({"train": HEADER + '"a,b\n'}, "not valid CSV"),
    ],
)
def test_wrong_tables(files: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        _ = opened(casa(tmp_path, **files), "casa").splits


def test_wrong_lists(tmp_path: Path) -> None:
    header, folder = "question,passage,seq_label\n", "facqa_qa-factoid-itb"
    for row, message in (
        ("\"['apa']\",\"['ini', 'itu']\",\"['O']\"", "line 2: 2 words and 1 tags"),
        ("apa,\"['ini']\",\"['O']\"", "line 2: no list of words: 'apa'"),
        ("\"['apa']\",\"['ini']\",\"['X']\"", "line 2: 'X' is no tag"),
    ):
        with pytest.raises(DataError, match=message):
            _ = opened(write(tmp_path, folder, "csv", header + row + "\n"), "facqa").splits


def test_runs_of_aspects_and_tags(tmp_path: Path, teacher: Path) -> None:
    folder, results, cache = keps(casa(tmp_path / "data")), tmp_path / "results", tmp_path / "store"
    settings = [w for s in ("updates=4", "teach=4", "batch_size=4", "evaluations=1") for w in ("--set", s)]
    done = bench(
        "run", "--task", "indonlu/casa", "--task", "indonlu/keps", "--track", "lite", "--data-dir", folder, "--teacher",
        teacher, "--method", "kd", "--student", "bilstm:1x8", *settings, "--results", results, "--json", cache=cache,
    )  # fmt: skip
    assert len(runs_of(done)) == 2
    main = {record.spec["task"]: record.metrics.main.name for record in disk.read_all(results)}
    assert main == {"indonlu/casa": "macro_f1", "indonlu/keps": "type_f1"}
    bench("check", results, cache=cache)
    bench("site", "build", "--results", results, "--out", tmp_path / "site", cache=cache)
