"""The biomedical task: CoNLL files as they are written, scores that seqeval gives, and runs from them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench.errors import RequestError
from bench.plugins.registry import find, load
from bench.records import disk
from bench.runs.spec import Request, open_tasks
from bench.scoring.scores import Ragged
from bench.sources import DataError, Source
from bench.tasks._conll import sentences
from bench.tasks.biomed import BLURB, FORMS
from tests.factories.data import real_data
from tests.factories.runs import bench, runs_of, save_teacher

Biomed = load(find("task", "biomed"))
NAME = "NCBI-disease-IOB"
TEST = (
    "Colon\tB-Disease\ncancer\tI-Disease\nis\tO\n\nNo\tO\nataxia\tB-Disease\ngout\tB-Disease"  # ends without a line end
)
DISEASES = ("ataxia", "gout", "measles", "breast cancer")


def sentence(number: int) -> str:
    """Such as `case 3 of breast cancer`: as many lines as words, then an empty one."""
    disease = DISEASES[number % len(DISEASES)].split()
    tags = ["O", "O", "O", "B-Disease", *["I-Disease"] * (len(disease) - 1)]
    words = ["case", str(number), "of", *disease]
    return "".join(f"{word}\t{tag}\n" for word, tag in zip(words, tags, strict=True)) + "\n"


def corpus(folder: Path, train: int = 24, dev: int = 8, inside: str = "biomed/NERdata", **files: str) -> Path:
    """A small data set in its layout, or the files given; returns the folder."""
    numbered = {"train": range(train), "devel": range(train, train + dev)}
    texts = {name: "".join(map(sentence, rows)) for name, rows in numbered.items()} | {"test": TEST} | files
    (folder / inside / NAME).mkdir(parents=True)
    for name, text in texts.items():
        (folder / inside / NAME / f"{name}.tsv").write_text(text, encoding="utf-8")
    return folder


def opened(folder: Path, track: str = "lite"):
    task = Biomed(Source("directory", folder), track, "ncbi")
    task.unseal()
    return task


COUNTS = {  # sentences of train, dev and test
    "ncbi": (5424, 923, 940), "bc5cdr": (4560, 4581, 4797), "bc5cdr-chem": (4560, 4581, 4797),
    "bc5cdr-disease": (4560, 4581, 4797),
    "jnlpba-untyped": (18607 - 1800, 1939 - 200, 4260 - 404),  # without the lines between documents
}  # fmt: skip


@pytest.mark.parametrize("name", COUNTS)
def test_official_files_are_read_whole(name):
    task = Biomed(Source("directory", real_data("biomed")), "lite", name)
    assert tuple(len(found) for found in task.files.values()) == COUNTS[name]


def test_typed_jnlpba_is_read_as_far_as_it_is_there():
    task = Biomed(Source("directory", real_data("biomed")), "lite", "jnlpba")
    folder = task.folder("test.tsv")
    found = [list(sentences(folder / f"{part}.tsv", types=task.how.types)) for part in ("devel", "test")]
    lines = [(folder / f"{part}.tsv").read_text().count("-DOCSTART-") for part in ("devel", "test")]
    assert [len(f) + n for f, n in zip(found, lines, strict=True)] == [1939, 4260]
    assert {tag.partition("-")[2] for part in found for s in part for _, tag in s} == {"", *task.how.types}


def test_official_files():
    task = opened(real_data("biomed"))
    assert task.classes == ("O", "B-Disease", "I-Disease")
    assert task.card().sizes == {"train": 5424, "dev": 923, "test": 940, "ncbi": 940}
    (gold,) = (a["gold"] for a in task.predict(Ragged.of([[]] * 940, np.int64), "test").values())
    assert (gold.flat == "B-Disease").sum() == 960
    assert task.inputs("test")[0][:4] == ("Clustering", "of", "missense", "mutations")


@pytest.mark.parametrize("inside", ["biomed/NERdata", "NERdata", "."])
def test_splits_words_and_tags(tmp_path, inside):
    task = opened(corpus(tmp_path, inside=inside))
    assert task.goal.classes == ("O", "B-Disease", "I-Disease")
    assert list(task.inputs("test")) == [("Colon", "cancer", "is"), ("No", "ataxia", "gout")]
    assert [x[1] for x in task.inputs("dev")] == [str(n) for n in range(24, 32)]
    train = task.examples("distil")
    assert train is task.examples("supervised")
    assert sorted(int(x[1]) for x in train.inputs) == list(range(24))
    for words, labels in zip(train.inputs, train.labels, strict=True):
        assert labels.tolist() == [0, 0, 0, 1, 2][: len(words)]
    assert len(opened(tmp_path).splits.test["ncbi"]) == 2


def test_lines_between_documents_spaces_and_more_columns(tmp_path):
    text = "-DOCSTART- -X- O O\n\nGout NN I-NP B-Disease\nhurts VBZ I-VP O\n\n\n-DOCSTART-\t9\n\nGout\tNN\tI-NP\tB\n"
    task = opened(corpus(tmp_path, test=text))
    assert list(task.inputs("test")) == [("Gout", "hurts"), ("Gout",)]
    assert task.splits.test["ncbi"].labels.tolist() == [[1, 0], [1]]  # a tag without a type has the only one
    assert task.classes == ("O", "B-Disease", "I-Disease")


def test_no_two_sets_of_sentences_have_one_identity(tmp_path):
    one, same, tag = (tmp_path / name for name in ("one", "same", "tag"))
    found = [corpus(one), corpus(same), corpus(tag, test=TEST.replace("gout\tB", "gout\tI"))]
    keys = [opened(folder).identity() for folder in found]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "test.tsv is empty"),
        ("gout\tO\nataxia\n", "test.tsv, line 2: not a word and its tag: 'ataxia'"),
        ("\tO\n", "test.tsv, line 1: not a word and its tag"),
        ("gout\tDisease\n", "test.tsv, line 1: 'Disease' is no tag"),
        ("gout\tB-Gene\n", "test.tsv, line 1: 'B-Gene' is no tag of this data set: its types are Disease"),
        ("gout\tNN\tO\nataxia\tO\n", "test.tsv, line 2: 2 columns, and the lines before have 3: 'ataxia.tO'"),
        ("gout NN O\nataxia\tNN O\n", "test.tsv, line 2: 2 columns, and the lines before have 3"),
        ("gout\tI-Disease\n", "line 1: I-Disease stands behind O, and in IOB2 every entity begins with B"),
        ("gout\tB-Disease\n\nx\tI-Disease\n", "line 3: I-Disease stands behind O"),
    ],
)
def test_what_a_wrong_file_gets(tmp_path, text, said):
    with pytest.raises(DataError, match=said):
        opened(corpus(tmp_path, test=text)).identity()


def test_the_suites_entities_are_blurbs():
    """Five sets, each of which the Hub has."""
    entities = Biomed.suites["biomed"]["averages"]["entities"]
    assert len(entities) == 5 and all(FORMS[name].hub for name in entities)
    assert FORMS["jnlpba-untyped"].hub.repo == BLURB


def test_untyped_tags_in_the_folder_that_biobert_has_them_in(tmp_path):
    folder = corpus(tmp_path, test="Colon\tB\ncancer\tI\n", train=0, devel="a\tB\n")
    (folder / "biomed/NERdata" / NAME).rename(folder / "biomed/NERdata/JNLPBA")
    (folder / "biomed/NERdata/JNLPBA/train.tsv").write_text("a\tB\n")
    task = Biomed(Source("directory", folder), "lite", "jnlpba-untyped")
    assert task.classes == ("O", "B-Entity", "I-Entity")


@pytest.mark.parametrize(("track", "dataset", "pieces"), [("lite", "pubmedqa", 512), ("lite", "gad", 128)])
def test_an_abstract_is_read_to_its_end(track, dataset, pieces):
    assert Biomed(Source("directory", None), track, dataset).track.max_length == pieces


def test_what_is_not_there(tmp_path):
    (corpus(tmp_path) / "biomed/NERdata" / NAME / "devel.tsv").unlink()
    with pytest.raises(DataError, match=r"no devel\.tsv in"):
        opened(tmp_path).identity()
    with pytest.raises(DataError, match=r"no ncbi data in .*: looked for test\.tsv"):
        opened(tmp_path / "elsewhere").identity()
    with pytest.raises(RequestError, match="'biomed/ncbi' has no mini track: there are lite, full"):
        open_tasks(Request(("biomed/ncbi",), ("kd",), ()))
    with pytest.raises(DataError, match="biomed/jnlpba is not read from the Hub: give its files with --data-dir"):
        Biomed(Source("hub"), "lite", "jnlpba").identity()


def test_scores_by_hand_and_by_seqeval(tmp_path):
    """Of three diseases one is found, one is found too short, one is cut off: 1 right of 2 found and 3 in gold."""
    task = opened(corpus(tmp_path))
    found = task.predict(Ragged.of([[1, 0, 0], [0, 1]], np.int64), "test")
    assert [row.tolist() for row in found["ncbi"]["prediction"]] == [["B-Disease", "O", "O"], ["O", "B-Disease", "O"]]
    # seqeval 1.2.2: f1_score, precision_score, recall_score; f1_score(mode="strict", scheme=IOB2)
    expected = {"entity_f1": 0.4, "entity_precision": 1 / 2, "entity_recall": 1 / 3, "strict_entity_f1": 0.4}
    assert task.score(found) == {"ncbi": pytest.approx(expected)}


def test_runs_of_both_students(tmp_path):
    """A teacher is taught, students with the teacher's pieces and with words learn from it, and the board compares."""
    folder, results, cache = corpus(tmp_path / "data"), tmp_path / "results", tmp_path / "store"
    teacher = save_teacher(tmp_path / "teacher")
    small = ["updates=4", "teach=4", "batch_size=8", "evaluations=2", "max_length=6", "bilstm.max_length=4"]
    settings = [part for setting in small for part in ("--set", setting)]
    done = bench(
        "run", "--task", "biomed/ncbi", "--track", "lite", "--data-dir", folder, "--teacher", teacher, "--method", "kd",
        "--student", "bert:1", "--student", "bilstm:1x8", *settings, "--results", results, "--json", cache=cache,
    )  # fmt: skip
    assert len(runs_of(done)) == 2
    for record in disk.read_all(results):
        assert set(record.metrics.all) == {"ncbi"}
        assert record.metrics.main.name == "entity_f1"
    bench("check", results, cache=cache)
    compared = bench(
        "compare", "kd@bert:1", "teacher", "--task", "biomed/ncbi", "--track", "lite", "--results", results, "--json",
        cache=cache,
    )  # fmt: skip
    found = json.loads(compared.out)
    assert (found["metric"], found["examples"], found["family"]) == ("entity_f1", 2, "all 3 pairs of the board")
