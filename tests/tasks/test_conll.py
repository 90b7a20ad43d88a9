"""CoNLL-2003: both layouts, tags of the first as IOB2, the Hub's numbers as names, seqeval's and conlleval's scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.plugins.registry import find, load
from bench.scoring.metrics import METRICS
from bench.scoring.scores import Ragged
from bench.sources import DataError, Source
from bench.tasks import _conll
from tests.factories.chunks import conlleval, scores
from tests.factories.data import real_data

Conll, Biomed = (load(find("task", name)) for name in ("conll", "biomed"))
OFFICIAL = (
    "-DOCSTART- -X- O O\n\nEU NNP I-NP I-ORG\nUN NNP I-NP B-ORG\nin IN I-PP O\nBonn NNP I-NP I-LOC\n\nYes UH O O\n"
)
SETS = ("ncbi", "bc5cdr", "bc5cdr-chem", "bc5cdr-disease", "jnlpba", "jnlpba-untyped", "2003")
SCORES = ("entity_f1", "entity_precision", "entity_recall", "strict_entity_f1")


def corpus(folder: Path, names=("eng.train", "eng.testa", "eng.testb"), text: str = OFFICIAL) -> Path:
    for name in names:
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def opened(folder: Path):
    task = Conll(Source("directory", folder), "lite", "2003")
    task.unseal()
    return task


def test_official_files_are_read_whole():
    task = opened(real_data("conll"))
    assert task.card().sizes == {"train": 14041, "dev": 3250, "test": 3453, "2003": 3453}
    assert task.classes == ("O", *(f"{side}-{kind}" for kind in ("LOC", "MISC", "ORG", "PER") for side in "BI"))


@pytest.mark.parametrize("names", [("eng.train", "eng.testa", "eng.testb"), ("train.txt", "valid.txt", "test.txt")])
def test_tags_of_both_layouts_are_iob2(tmp_path, names):
    task = opened(corpus(tmp_path, names))
    assert list(task.inputs("test")) == [("EU", "UN", "in", "Bonn"), ("Yes",)]
    found = [[task.classes[n] for n in row] for row in task.splits.test["2003"].labels.tolist()]
    assert found == [["B-ORG", "B-ORG", "O", "B-LOC"], ["O"]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("EU NNP I-NP B-ORG\nrejects VBZ I-VP\n", "line 2: 3 columns, and the lines before have 4"),  # no chunk's tag
        ("EU NNP I-NP B-ORGANISATION\n", "line 1: 'B-ORGANISATION' is no tag of this data set"),
        ("EU NNP I-NP ORG\n", "line 1: 'ORG' is no tag"),
    ],
)
def test_what_a_wrong_line_gets(tmp_path, text, said):
    with pytest.raises(DataError, match=said):
        opened(corpus(tmp_path, text=text)).identity()


def test_names_of_numbers_come_from_the_hub(monkeypatch):
    """The library's own table, as its parquet is read."""
    datasets = pytest.importorskip("datasets")
    tags = datasets.List(datasets.ClassLabel(names=["O", "B-PER", "I-PER"]))
    features = datasets.Features({"tokens": datasets.List(datasets.Value("string")), "ner_tags": tags})
    rows = {"tokens": [["Ann", "Lee", "ran"], []], "ner_tags": [[1, 2, 0], []]}
    asked = []

    def hub_rows(*given, **more):
        asked.append(given)
        return datasets.Dataset.from_dict(rows, features)

    monkeypatch.setattr(_conll, "hub_rows", hub_rows)
    task = Conll(Source("hub"), "lite", "2003")
    assert task.files[0] == [[("Ann", "B-PER"), ("Lee", "I-PER"), ("ran", "O")]]
    assert [split for _, _, split in asked] == ["train", "validation", "test"]


def gold_tags(name: str, most: int | None = None) -> Ragged:
    """Of the first test sentences. Of typed JNLPBA dev and test alone may be there, so its file is read by itself."""
    folder, cls = real_data("conll" if name == "2003" else "biomed"), Conll if name == "2003" else Biomed
    task = cls(Source("directory", folder), "lite", name)
    if name == "2003":
        test = task.files[2]
    else:
        test = list(_conll.sentences(task.folder("test.tsv") / "test.tsv", task.how.untyped, types=task.how.types))
    return Ragged.of([[tag for _, tag in sentence] for sentence in test[:most]], np.str_)


def damaged(tags: Ragged, seed: int) -> Ragged:
    """Every fifth tag another one of the data set: I without B among them."""
    rng = np.random.default_rng(seed)
    names = np.unique(tags.flat)
    other = rng.choice(names, len(tags.flat))
    return Ragged(np.where(rng.random(len(other)) < 0.2, other, tags.flat), tags.lengths)


@pytest.mark.parametrize("name", SETS)
def test_scores_are_those_of_seqeval(name):
    """On the first 400 test sentences, of which every fifth tag is damaged."""
    metrics = pytest.importorskip("seqeval.metrics")
    scheme = pytest.importorskip("seqeval.scheme")
    gold = gold_tags(name, 400)
    found = damaged(gold, 0)
    rows, true = found.tolist(), gold.tolist()
    expected = [
        metrics.f1_score(true, rows), metrics.precision_score(true, rows), metrics.recall_score(true, rows),
        metrics.f1_score(true, rows, mode="strict", scheme=scheme.IOB2),
    ]  # fmt: skip
    assert [METRICS[score].value(found, gold) for score in SCORES] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", SETS)
def test_scores_are_those_of_conlleval(name):
    """On all test sentences, of which every fifth tag is damaged."""
    gold = gold_tags(name)
    found = damaged(gold, 1)
    expected = scores(conlleval(gold.tolist(), found.tolist()))
    assert {score: METRICS[score].value(found, gold) for score in expected} == pytest.approx(expected, abs=1e-12)
