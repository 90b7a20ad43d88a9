"""Translation: a sentence in another language, piece after piece, judged by BLEU of the corpus.

    multi30k-LL-RR     task 1 of Multi30k, captions of Flickr30k's images, from language LL to RR: the official train,
                       val and test_2016_flickr
    lines              any pair of line files: train.src and train.tgt, dev.src ..., test.src ...; line n of one is the
                       translation of line n of the other

Texts are as the files hold them: case and punctuation stay, and what is scored is a detokenised text. Greedy decoding.

Elliott et al. 2016, "Multi30K: Multilingual English-German Image Descriptions", VL; multi30k/dataset.
"""

from __future__ import annotations

import gzip
from functools import cached_property
from pathlib import Path

from bench.data.labelled import Labelled, LabelledTask, Splits, scored
from bench.kinds.generate import as_bytes
from bench.scoring.bleu import signature
from bench.sources import DataError, decoded, filled, find_folder, lines_of, present, read_bytes
from bench.task import Card, Predictions, Scores, Track

MULTI30K = ("oracle/mt-multi30k", "mt-multi30k", "multi30k", ".")
FILES = {"train": "train", "dev": "val", "test": "test_2016_flickr"}


class Translation(LabelledTask):
    """A sentence in another language."""

    title = "Translation"
    purposes = {
        "multi30k-de-en": "Captions from German into English", "multi30k-en-de": "Captions from English into German",
        "multi30k-en-fr": "Captions from English into French", "multi30k-en-cs": "Captions from English into Czech",
        "lines": "Translation of files of lines",
    }  # fmt: skip
    kind = "generate"
    datasets = ("multi30k-de-en", "multi30k-en-de", "multi30k-en-fr", "multi30k-en-cs", "lines")
    main_metric = "bleu"
    lengths = ()  # what a network answers to a text of a fixed length has a length of its own
    tracks = {
        "lite": Track(
            updates=1_200, batch_size=32, examples=10_000, evaluations=4, max_length=48, teacher="seq2seq:96x2",
            student="seq2seq:32x1", teach=1_500, signals="float16",
        ),
        # about 30 epochs of Multi30k with 128 sentences a batch
        "full": Track(
            updates=7_000, batch_size=128, evaluations=10, max_length=128, teacher="Helsinki-NLP/opus-mt-de-en",
            student="seq2seq:256x3",
        ),
    }  # fmt: skip

    @cached_property
    def folder(self) -> Path:
        if self.source.folder is None:
            raise DataError(f"{self.dataset} is read from a folder in its official layout: give it with --data-dir")
        marker = "train.src" if self.dataset == "lines" else "task1/raw"
        return find_folder(self.source.folder, MULTI30K, marker, f"{self.dataset} data")

    def read(self) -> Splits:
        train, dev, test = (self.pair(split) for split in FILES)
        return Splits(train, dev, {self.dataset: test})

    def pair(self, split: str) -> Labelled:
        """Line by line. DataError: the files are not as long, or a line of one is empty."""
        source, target = self.paths(split)
        ours, theirs = lines(source), lines(target)
        if len(ours) != len(theirs):
            raise DataError(
                f"{source} has {len(ours)} lines and {target} has {len(theirs)}: a line is to be a translation"
            )
        for path, found in ((source, ours), (target, theirs)):
            if "" in found:
                raise DataError(f"{path}, line {1 + found.index('')}: empty, and every sentence has a translation")
        return Labelled(ours, as_bytes(theirs))

    def paths(self, split: str) -> list[Path]:
        if self.dataset == "lines":
            return [self.folder / f"{split}.{side}" for side in ("src", "tgt")]
        return [self.folder / f"task1/raw/{FILES[split]}.{language}.gz" for language in self.dataset.split("-")[1:]]

    @staticmethod
    def score(predictions: Predictions) -> Scores:
        return scored(predictions, dict.fromkeys((name.partition("-")[0] for name in predictions), ("bleu",)))

    def card(self) -> Card:
        official = self.dataset != "lines"
        return Card(
            title=f"Translation: {self.dataset}",
            source="directory in the official layout (task1/raw)" if official else "line files",
            revision="as given; its fingerprint is recorded",
            licence="non-commercial research (Flickr30k)" if official else "that of the files",
            citation="Elliott et al. Multi30K. VL 2016" if official else "",
            splits=FILES if official else {split: f"{split}.src and {split}.tgt" for split in FILES},
            sizes=self.sizes(),
            notes=(f"BLEU / 100 as sacreBLEU counts it ({signature()}), greedy decoding, detokenised text",),
        )


def lines(path: Path) -> list[str]:
    """The sentences of a file of lines, which may be packed, without the spaces around them. NoData: not there."""
    present(path)
    return [line.strip() for line in (unpacked(path) if path.suffix == ".gz" else filled(path))]


def unpacked(path: Path) -> list[str]:
    try:
        data = gzip.decompress(read_bytes(path))
    except (OSError, EOFError) as error:
        raise DataError(f"{path} is no gzip file: {error}") from None
    return lines_of(decoded(data, path))
