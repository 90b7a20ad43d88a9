"""IndoNLU: every row of the official files, wrong files, scores, and runs of a data set of aspects and one of tags."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

from bench.plugins.registry import find, load
from bench.records import disk
from bench.scoring.metrics import METRICS
from bench.scoring.scores import Ragged
from bench.sources import DataError, Source
from tests.factories.chunks import conlleval, scores
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
TERMA = "terma_term-extraction-airy"
FIRST = {  # of dev and of test: what the first row begins with, of a pair both texts, and its class
    "emot": ((("[USERNAME] jaringannya mati",), "anger"), (("Pixy ini kok",), "love")),
    "smsa": ((("meski masa kampanye",), "neutral"), (("kemarin gue datang",), "negative")),
    "wrete": (
        (("Israel bukan negara", "Israel merupakan negara"), "NotEntail"),
        (
            (
                "Budidaya ikan air tawar baru dikenal semenjak 2000 tahun yang lalu di daerah Tiongkok",
                "Budidaya ikan air tawar baru dikenal semenjak 2000 tahun yang lalu di daerah Cina",
            ),
            "Entail_or_Paraphrase",
        ),
    ),
}


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


@pytest.mark.parametrize("dataset", FIRST)
def test_first_rows_of_official_files(dataset: str) -> None:
    """Classes are those of their rows, and of WReTE's pairs sent_A comes first."""
    task = opened(real_data("indonlu"), dataset)
    for data, (begins, label) in zip((task.splits.dev, task.splits.test[dataset]), FIRST[dataset], strict=True):
        texts = data.inputs[0] if len(begins) > 1 else (data.inputs[0],)
        assert all(text.startswith(begin) for text, begin in zip(texts, begins, strict=True))
        assert task.classes[data.labels[0]] == label


def values(path: Path, text: str) -> tuple[list[str], list[str]]:
    """The values of all aspects, row by row, and the names of the aspects, from a CSV file as it is."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name != text]
    return [row[name] for row in rows for name in names], names


def check_aspects(folder: Path, dataset: str, text: str) -> None:
    """Random logits; gold values and their order are read anew from the file."""
    task = opened(folder, dataset)
    gold, names = values(task.paths[2], text)
    chosen = [name.partition(": ")[2] for name in task.classes]
    assert [name.partition(": ")[0] for name in task.classes[:: len(chosen) // len(names)]] == names
    logits = np.random.default_rng(3).normal(size=(len(gold) // len(names), len(chosen)))
    parts = logits.reshape(len(gold), -1)
    found = [chosen[n] for n in parts.argmax(1)]
    expected = f1_score(gold, found, average="macro")
    assert task.score(task.predict(logits, "test"))[dataset]["macro_f1"] == pytest.approx(expected, abs=1e-12)
    assert 0.1 < expected < 0.5


@pytest.mark.parametrize(("dataset", "text"), [("casa", "sentence"), ("hoasa", "review")])
def test_macro_f1_is_that_of_all_aspects_values_in_one_list(dataset: str, text: str) -> None:
    check_aspects(real_data("indonlu"), dataset, text)


def test_macro_f1_of_a_small_file_of_aspects(tmp_path: Path) -> None:
    check_aspects(casa(tmp_path), "casa", "sentence")


def test_terms_and_what_is_said_of_them(tmp_path: Path) -> None:
    """Both aspects are found, one of them begun with I; of the two opinions one, and the other cut short."""
    words = "air/B-ASPECT mandi/I-ASPECT kurang/B-SENTIMENT panas/I-SENTIMENT ./O  kamar/B-ASPECT luas/B-SENTIMENT "
    text = words.replace(" ", "\n").replace("/", "\t")
    task = opened(write(tmp_path, TERMA, "txt", text, train="\n".join([text] * 5)), "terma")
    assert task.classes == ("O", "B-ASPECT", "I-ASPECT", "B-SENTIMENT", "I-SENTIMENT")
    assert task.inputs("test")[0] == ("air", "mandi", "kurang", "panas", ".")
    rows = (("B-ASPECT", "I-ASPECT", "B-SENTIMENT", "O", "O"), ("I-ASPECT", "I-SENTIMENT"))
    found = task.predict(load_ragged([[task.classes.index(tag) for tag in row] for row in rows]), "test")
    assert task.score(found)["terma"] == pytest.approx({"type_f1": (1 + 1 / 2) / 2, "entity_f1": 3 / 4})


@pytest.mark.parametrize("dataset", ["posp", "bapos", "keps", "nergrit", "nerp", "facqa"])
def test_tags_are_scored_as_means_over_types(dataset: str) -> None:
    """Seqeval's and conlleval's, of the first 300 test sentences, of which every fifth tag is damaged: I without B,
    types that are not in gold."""
    metrics = pytest.importorskip("seqeval.metrics")
    task = opened(real_data("indonlu"), dataset)
    numbers = task.splits.test[dataset].labels
    gold = Ragged(np.array(task.classes)[numbers.flat], numbers.lengths)[np.arange(min(300, len(numbers)))]
    found = damaged(gold, 0)
    expected = metrics.f1_score(gold.tolist(), found.tolist(), average="macro")
    assert 0.1 < expected < 0.95 and METRICS["type_f1"].value(found, gold) == pytest.approx(expected, abs=1e-12)
    counted = scores(conlleval(gold.tolist(), found.tolist()))
    assert {name: METRICS[name].value(found, gold) for name in counted} == pytest.approx(counted, abs=1e-12)


def test_tags_without_a_type_and_an_answer_after_its_question() -> None:
    folder = real_data("indonlu")
    assert opened(folder, "keps").classes == ("O", "B-PHRASE", "I-PHRASE")
    task = opened(folder, "facqa")
    words, gold = task.splits.dev.inputs[0], task.splits.dev.labels[np.array([0])]
    assert words[:3] == ("Apa", "nama", "latin") and not gold.flat[:7].any() and gold.flat.any()


@pytest.mark.parametrize(
    ("track", "dataset", "pieces"),
    [("lite", "facqa", 256), ("lite", "nergrit", 256), ("lite", "emot", 96), ("full", "facqa", 512)],
)
def test_a_passage_is_read_to_its_end(track: str, dataset: str, pieces: int) -> None:
    assert IndoNLU(Source("directory", None), track, dataset).track.max_length == pieces


def test_an_entity_may_begin_with_i(tmp_path: Path) -> None:
    """As conlleval reads it: `gagal I` behind O is a chunk of its own."""
    task = opened(keps(tmp_path), "keps")
    labels = [[task.classes.index(tag) for tag in ("B-PHRASE", "I-PHRASE", "O", "O")]] * 20
    found = task.predict(load_ragged(labels), "test")
    assert task.score(found)["keps"]["type_f1"] == pytest.approx(2 / 3)


def load_ragged(rows):
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


def test_the_hub_has_no_labels_of_test() -> None:
    with pytest.raises(DataError, match=r"indonlu/emot is not read from the Hub.*--data-dir"):
        IndoNLU(Source("hub"), "lite", "emot").identity()


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
