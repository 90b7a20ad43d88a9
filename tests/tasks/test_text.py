"""The text task: every row of the official layouts, fixed cuts that share no text, and what a wrong file gets."""

from __future__ import annotations

import csv
import hashlib
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from bench.errors import RequestError
from bench.plugins.registry import find, load
from bench.runs.spec import Request, open_tasks
from bench.sources import DataError, Source
from tests.factories.data import real_data

Text = load(find("task", "text"))
text = sys.modules[Text.__module__]
SENTEVAL = "textcls/senteval/downstream"
CLASSES = {  # in the Hub's order, written down again on purpose
    "trec": "ABBR ENTY DESC HUM LOC NUM", "subj": "objective subjective", "mr": "negative positive",
    "cr": "negative positive", "mpqa": "negative positive",
    "sst5": "very negative,negative,neutral,positive,very positive", "agnews": "World Sports Business Sci/Tech",
    "imdb": "negative positive",
}  # fmt: skip
HALVES = {  # class 0, class 1
    "subj": ("SUBJ/subj.objective", "SUBJ/subj.subjective"), "mr": ("MR/rt-polarity.neg", "MR/rt-polarity.pos"),
    "cr": ("CR/custrev.neg", "CR/custrev.pos"), "mpqa": ("MPQA/mpqa.neg", "MPQA/mpqa.pos"),
}  # fmt: skip
COUNTS = {  # rows of the official files, as the project's data states them: by class, or (train, dev, test)
    "subj": (5000, 5000), "mr": (5331, 5331), "cr": (1368, 2407), "mpqa": (7294, 3312),
    "trec": (5452, 0, 500), "sst5": (8544, 1101, 2210), "imdb": (4000, 0, 2000),
}  # fmt: skip
OWN = tuple(HALVES)  # without an official split


def classes_of(dataset: str) -> tuple[str, ...]:
    return tuple(CLASSES[dataset].split("," if dataset == "sst5" else " "))


def directory(folder: Path, dataset: str, track: str = "full"):
    task = Text(Source("directory", folder), track, dataset)
    task.unseal()
    return task


def everything(task) -> list[str]:
    return [*task.examples("distil").inputs, *task.inputs("dev"), *task.inputs("test")]


def write(root: Path, name: str, lines: list[str]) -> Path:
    path = root / "textcls" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def official(root: Path, dataset: str, count: int = 40) -> Path:
    """One small data set in its official layout; returns `root`. The text of row i of class c is `row c i ...`."""
    base, names = "senteval/downstream", classes_of(dataset)
    numbered = [(i % len(names), f'row {i % len(names)} {i} "quoted') for i in range(count)]
    if dataset in HALVES:
        for c, name in enumerate(HALVES[dataset]):
            write(root, f"{base}/{name}", [f"{x} " for k, x in numbered if k == c])
    elif dataset == "trec":
        lines = [f"{names[c]}:fine {x}" for c, x in numbered]
        write(root, f"{base}/TREC/train_5500.label", lines)
        write(root, f"{base}/TREC/TREC_10.label", [line.replace("row", "test") for line in lines[:12]])
    elif dataset == "sst5":
        for part, size in (("train", count), ("dev", 10), ("test", 15)):
            lines = [f"{c} {x}".replace("row", part) for c, x in numbered[:size]]
            write(root, f"{base}/SST/fine/sentiment-{part}", lines)
    elif dataset == "agnews":
        lines = [f'"{c + 1}","row {c} {i}","a ""b"", \\c"' for i, (c, _) in enumerate(numbered)]
        write(root, "ag_news_csv/train.csv", lines)
        write(root, "ag_news_csv/test.csv", [line.replace("row", "test") for line in lines[:8]])
    else:
        for split in ("train", "test"):
            for c, x in numbered:
                name = f"imdb/aclImdb/{split}/{('neg', 'pos')[c]}/{x.split()[2]}_7.txt"
                write(root, name, [f"{x.replace('row', split)}<br /><br />end"])
    return root


# What the official files hold


@pytest.mark.parametrize("dataset", COUNTS)
def test_every_row_of_the_official_files(dataset):
    task = directory(real_data("textcls"), dataset)
    card, train = task.card(), task.examples("distil")
    if dataset in OWN:
        gold = [train.labels, task.splits.dev.labels, task.splits.test[dataset].labels]
        assert tuple(Counter(np.concatenate(gold).tolist())[c] for c in (0, 1)) == COUNTS[dataset]
        tenth = sum(COUNTS[dataset]) // 10
        assert all(tenth <= card.sizes[split] < tenth + 5 for split in ("dev", "test"))
    else:
        train_rows, dev, test = COUNTS[dataset]
        cut = dev or train_rows // 10
        assert card.sizes == {"train": train_rows - (0 if dev else cut), "dev": cut, "test": test, dataset: test}
    assert set(train.labels) == set(range(len(classes_of(dataset))))
    assert train.labels.dtype == np.int64


@pytest.mark.parametrize("dataset", COUNTS)
def test_what_we_cut_shares_no_text(dataset):
    task = directory(real_data("textcls"), dataset)
    train, dev, test = (set(x) for x in (task.examples("distil").inputs, task.inputs("dev"), task.inputs("test")))
    if dataset != "sst5":  # its official parts share one sentence
        assert not train & dev
    if dataset in OWN:
        assert not (train | dev) & test
        folder = real_data("textcls") / SENTEVAL
        lines = [x.strip() for name in HALVES[dataset] for x in (folder / name).read_text().split("\n")[:-1]]
        keys = sorted(hashlib.sha256(x.encode()).digest() for x in lines)
        key = [sorted(hashlib.sha256(x.encode()).digest() for x in task.inputs(split)) for split in ("dev", "test")]
        assert key[0] + key[1] == keys[: len(key[0] + key[1])]


def test_the_one_latin_letter_of_trec():
    task = directory(real_data("textcls"), "trec")
    assert any("ð" in x for x in [*task.examples("distil").inputs, *task.inputs("dev")])
    assert task.inputs("test")[0] == "How far is it from Denver to Aspen ?"
    gold = task.predict(np.zeros((500, 6)), "test")["trec"]["gold"]
    assert gold[:2].tolist() == [5, 4]  # NUM, LOC


def test_sst5_is_utf8():
    task = directory(real_data("textcls"), "sst5")
    assert "rancid crème brûlée" in task.inputs("test")[1]
    assert task.predict(np.zeros((2210, 5)), "test")["sst5"]["gold"][:2].tolist() == [1, 0]


def test_agnews_is_quoted_csv_and_lacks_its_training_file():
    path = real_data("textcls") / "textcls/ag_news_csv/test.csv"
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    found = text.read_csv(path, classes_of("agnews"))
    assert len(found) == len(rows) == 7600
    assert [*found.inputs] == [f"{row[1].strip()} {row[2].strip()}" for row in rows]
    assert found.labels.tolist() == [int(row[0]) - 1 for row in rows]
    with pytest.raises(DataError, match=r"no train\.csv in .*ag_news_csv: the archive ag_news_csv\.tgz holds it"):
        directory(real_data("textcls"), "agnews").examples("distil")


def test_imdb_reads_every_file_without_line_breaks():
    task = directory(real_data("textcls"), "imdb")
    assert not any("<br />" in x or not x.strip() for x in task.inputs("test"))
    assert task.predict(np.zeros((2000, 2)), "test")["imdb"]["gold"].tolist() == [0] * 1000 + [1] * 1000


# Small folders of every data set


@pytest.mark.parametrize("dataset", CLASSES)
@pytest.mark.parametrize("inside", ["", "textcls"])
def test_layouts_classes_and_labels(tmp_path, dataset, inside):
    task = directory(official(tmp_path, dataset) / inside, dataset)
    assert task.classes == classes_of(dataset)
    train = task.examples("supervised")
    assert train is task.examples("distil")
    assert [int(x.split()[1]) for x in train.inputs] == train.labels.tolist()
    # a tenth of 40, and in it one at least of each class
    expected = {"sst5": (40, 10, 15), "trec": (34, 6, 12), "agnews": (34, 6, 8), "imdb": (36, 4, 40)}
    assert tuple(task.card().sizes[s] for s in ("train", "dev", "test")) == expected.get(dataset, (32, 4, 4))


@pytest.mark.parametrize(
    "start", ["textcls/senteval", "textcls/senteval/downstream", "textcls/senteval/downstream/SST/fine"]
)
def test_a_folder_inside_sentevals(tmp_path, start):
    assert len(directory(official(tmp_path, "sst5") / start, "sst5").inputs("dev")) == 10


@pytest.mark.parametrize("dataset", CLASSES)
def test_metrics_are_those_of_the_library(tmp_path, dataset):
    task = directory(official(tmp_path, dataset), dataset)
    outputs = np.random.default_rng(1).normal(size=(len(task.inputs("test")), task.outputs))
    found = task.predict(outputs, "test")
    gold, chosen = found[dataset]["gold"], outputs.argmax(1)
    assert gold.tolist() == [int(x.split()[1]) for x in task.inputs("test")]
    ours = {"accuracy": accuracy_score(gold, chosen), "macro_f1": f1_score(gold, chosen, average="macro")}
    assert task.score(found) == {dataset: pytest.approx(ours)}


def test_quotes_and_breaks(tmp_path):
    task = directory(official(tmp_path, "agnews"), "agnews")
    assert task.inputs("test")[1] == 'test 1 1 a "b", \\c'
    task = directory(official(tmp_path, "imdb"), "imdb")
    assert task.inputs("test")[0] == 'test 0 0 "quoted  end'


def test_blank_lines_are_texts_and_encodings_are_guessed_for_senteval_alone(tmp_path):
    official(tmp_path, "cr")
    path = tmp_path / SENTEVAL / "CR/custrev.pos"
    path.write_bytes(path.read_bytes() + b"caf\xe9\n\n")
    task = directory(tmp_path, "cr")
    assert len(everything(task)) == 42
    assert {"café", ""} < set(everything(task))
    path.write_text("café\n" * 20, encoding="utf-8")
    assert "café" in everything(directory(tmp_path, "cr"))


def test_equal_texts_stay_together(tmp_path):
    """Of 40 rows that hold 4 texts, no text is in two parts, so parts are larger than a tenth."""
    for name in HALVES["mr"]:
        write(tmp_path, f"senteval/downstream/{name}", [f"text {i % 4}" for i in range(20)])
    task = directory(tmp_path, "mr")
    parts = [set(x) for x in (task.inputs("dev"), task.inputs("test"), task.examples("distil").inputs)]
    assert [len(part) for part in parts] == [1, 1, 2]
    assert not parts[0] & parts[1] and not (parts[0] | parts[1]) & parts[2]


def test_the_hub_is_not_pinned_and_there_is_no_mini_track():
    with pytest.raises(DataError, match=r"no revision of text/trec on the Hub is pinned yet: give .* --data-dir"):
        Text(Source("hub"), "lite", "trec").examples("distil")
    with pytest.raises(RequestError, match="the task 'text' has no mini track: there are lite, full"):
        open_tasks(Request(["text"], ["kd"], ["bert"]))


def test_the_card_says_how_it_was_cut(tmp_path):
    for dataset, says in (("subj", "there is no official split"), ("trec", "at most 1,000"), ("sst5", "official dev")):
        card = directory(official(tmp_path, dataset), dataset).card()
        assert says in card.splits["dev"]
    assert any("six coarse classes" in note for note in directory(tmp_path, "trec").card().notes)
    assert "non-commercial" in directory(official(tmp_path, "agnews"), "agnews").card().licence


# Files that are wrong


NEWS = '"1","a","b"\n'


@pytest.mark.parametrize(
    ("dataset", "file", "content", "says"),
    [
        (
            "trec",
            f"{SENTEVAL}/TREC/train_5500.label",
            "NUM:a b\nWHAT:x y\n",
            "line 2: 'WHAT' is no label; there are ABBR",
        ),
        ("trec", f"{SENTEVAL}/TREC/train_5500.label", "NUM:a b\n\nNUM:x\n", "5500.label, line 3: no label and text"),
        ("trec", f"{SENTEVAL}/TREC/train_5500.label", None, r"no train_5500.label in .*TREC"),
        ("trec", f"{SENTEVAL}/TREC/TREC_10.label", None, r"no trec data in .*looked for TREC_10.label"),
        ("mr", f"{SENTEVAL}/MR/rt-polarity.neg", "", "rt-polarity.neg is empty"),
        ("mr", f"{SENTEVAL}/MR/rt-polarity.neg", None, r"no rt-polarity.neg in .*MR"),
        ("sst5", f"{SENTEVAL}/SST/fine/sentiment-dev", b"1 a\n2 caf\xe9\n", "sentiment-dev, line 2: not UTF-8"),
        ("sst5", f"{SENTEVAL}/SST/fine/sentiment-dev", "5 a\n", "sentiment-dev, line 1: '5' is no label"),
        ("agnews", "textcls/ag_news_csv/train.csv", NEWS + '"5","a","b"\n', "line 2: not a class from 1 to 4"),
        ("agnews", "textcls/ag_news_csv/train.csv", NEWS + '"²","a","b"\n', "line 2: not a class from 1 to 4"),
        ("agnews", "textcls/ag_news_csv/train.csv", NEWS + '"2","a"\n', "line 2: not a class from 1 to 4, title and"),
        ("agnews", "textcls/ag_news_csv/train.csv", NEWS + '"2","a","b\n', "line 2: not valid CSV"),
        ("agnews", "textcls/ag_news_csv/train.csv", NEWS, "too few training examples"),
        ("agnews", "textcls/ag_news_csv/test.csv", b'"1","a","\xff"\n', "test.csv, line 1: not UTF-8"),
        ("imdb", "textcls/imdb/aclImdb/test/pos/1_7.txt", b"\xff", "1_7.txt, line 1: not UTF-8"),
        ("imdb", "textcls/imdb/aclImdb/test/pos/1_7.txt", "", "1_7.txt is empty"),
    ],
)
def test_malformed_files_are_told_in_one_sentence(tmp_path, dataset, file, content, says):
    path = official(tmp_path, dataset) / file
    assert path.exists()
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=says) as caught:
        directory(tmp_path, dataset).card()
    assert "\n" not in str(caught.value)


def test_a_class_of_reviews_that_is_missing(tmp_path):
    for path in (official(tmp_path, "imdb") / "textcls/imdb/aclImdb/train/pos").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"no reviews in .*train: the archive aclImdb_v1 holds neg/\*\.txt and pos"):
        directory(tmp_path, "imdb").examples("distil")
