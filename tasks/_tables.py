"""Tables of the user's own as tasks, without code: which columns are read, and how rows become train, dev and test."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bench.data import hub
from bench.data.labelled import Labelled, LabelledTask, Splits
from bench.data.tables import SPLITS, Table, by_column, parts, tables_in
from bench.inputs import Texts
from bench.sources import DataError, HubSet
from bench.task import Card, Track, later

TEXTS = ("text", "sentence", "review", "question", "content", "document")
PAIRS = (("sentence1", "sentence2"), ("premise", "hypothesis"), ("question1", "question2"), ("text1", "text2"))
LABELS, SCORES = ("label", "labels", "class", "category"), ("score", "similarity", "similarity_score")
SHARE, MOST = 10, 1000  # a split that is cut is a tenth; dev 1,000 at most


@dataclass(frozen=True)
class TableTrack(Track):
    """Which columns are read, where their names are not the usual ones."""

    text: str = later("")  # column of the text; of a pair two, separated by a comma
    label: str = later("")  # column of the class, or of the value if it holds decimals
    score: str = later("")  # column of the value
    split: str = later("")  # column that says train, dev or test
    train: str = later("")  # what the split is called, on the Hub or as a file in a folder, where it is not usual
    dev: str = later("")
    test: str = later("")


MINI = TableTrack(
    updates=400, batch_size=32, examples=12_800, evaluations=4, max_length=64, teacher="all-MiniLM-L6-v2",
    student="bert:3",
)  # fmt: skip
FULL = replace(MINI, updates=12_000, examples=None, evaluations=20, max_length=256)  # the rows' own: text's full track


class TableTask(LabelledTask):
    """A file, or a folder with one for each split, as a task. What a family reads of a label is its own."""

    track: TableTrack
    strata = True  # whether cuts have the same share of each label

    @abstractmethod
    def labels_of(self, tables: Sequence[Table]) -> list[np.ndarray]:
        """The labels of each table, train first."""

    @property
    def place(self) -> Path:
        if self.source.folder is None:
            raise DataError(f"{self.name or type(self).__name__} reads a file of yours: say --task ./data.csv")
        return self.source.folder

    def misfit(self) -> str:
        if self.source.folder and self.source.folder.is_dir() and not tables_in(self.source.folder):
            return "no table is in it (.csv, .tsv, .jsonl or .parquet)"
        return self.misfit_of_labels()

    @abstractmethod
    def misfit_of_labels(self) -> str:
        """Why the family does not read this column of labels; empty: it does."""

    @property
    def said(self) -> dict[str, str]:
        """Splits that the user names."""
        return {split: name for split in SPLITS if (name := getattr(self.track, split))}

    @cached_property
    def on(self) -> hub.HubTables | None:
        """What was read from the Hub; None: a file is read."""
        return hub.read(self.source.place, self.said) if self.source.place else None

    @cached_property
    def given(self) -> dict[str, Table]:
        """Rows by split, as they were found."""
        found = dict(self.on.tables) if self.on else parts(self.place, self.said)
        if "" in found:
            name = self.track.split or found[""].named(["split"])
            found = by_column(found[""], name) if name else {"train": found[""]}
        return found

    @cached_property
    def hidden(self) -> list[str]:
        """Splits whose labels nobody is told, as those of a contest's test set: nothing can be judged on them."""
        return [split for split, table in self.given.items() if split != "train" and table.blank(self.target)]

    @cached_property
    def tables(self) -> dict[str, Table]:
        """Rows by split, before anything is cut. Of dev and no test, dev is what is judged, and another is cut."""
        found = {split: table for split, table in self.given.items() if split not in self.hidden}
        if "dev" in found and "test" not in found:
            found["test"] = found.pop("dev")
        return found

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Of the text, or of both texts of a pair. DataError: there are none of the usual names."""
        table = self.given["train"]
        if self.track.text:
            return tuple(name.strip() for name in self.track.text.split(","))
        pairs = (tuple(table.named([name]) for name in pair) for pair in PAIRS)
        found = next((pair for pair in pairs if all(pair)), ()) or tuple(filter(None, [table.named(TEXTS)]))
        if not found:
            raise DataError(f"{self.lacks(table, 'text or sentence1 and sentence2', 'text')}, or text=A,B of a pair")
        return found

    def lacks(self, table: Table, usual: str, key: str) -> str:
        if len(table.header) == 1 and ";" in table.header[0]:
            return f"{table.path}: the first line has semicolons and no comma: write it with commas"
        if len(table.header) == 2 and table.header[1][:2] in ("O", "B", "I", "B-", "I-"):
            return f"{table.path}: tagged words, and no table: give the file the ending .conll"
        there = ", ".join(table.header)
        return f"{table.path}: no column {usual}; there are {there}: name it with --set {key}=COLUMN"

    @cached_property
    def target(self) -> str:
        """The column of the label. DataError: none of the usual names."""
        table = self.given["train"]
        found = self.track.score or self.track.label or table.named([*LABELS, *SCORES])
        if not found:
            raise DataError(self.lacks(table, "label or score", "label"))
        return found

    @cached_property
    def valued(self) -> bool:
        """Whether the label is a value and no class: it is a score by its name, or all are numbers with decimals among
        them."""
        cells = self.tables["train"].column(self.target)
        if self.track.score or (not self.track.label and self.target.lower() in SCORES):
            return True
        return not all(map(whole, cells)) and all(map(is_number, cells))

    @property
    def lacking(self) -> list[str]:
        """Splits that are cut from train."""
        return [split for split in ("dev", "test") if split not in self.tables]

    def read(self) -> Splits:
        inputs = [self.inputs_of(table) for table in self.tables.values()]
        labels = self.labels_of(list(self.tables.values()))
        data = dict(zip(self.tables, map(Labelled, inputs, labels), strict=True))
        cut = stratified(data["train"], self.lacking, self.strata)
        data |= dict(zip([*self.lacking, "train"], cut, strict=True))
        return Splits(data["train"], data["dev"], {self.dataset: data["test"]})

    def told(self) -> dict[str, str]:
        """What the splits are, for the card."""
        said = {split: f"the rows of {table.path.name} for it" for split, table in self.tables.items()}
        if self.lacking:
            said["train"] = f"the other rows of {self.tables['train'].path.name}"
        how = "a tenth of each class" if self.strata else "a tenth"
        tenth = f"{how} of train, in the order of the texts' sha256"
        return said | {split: tenth + f", at most {MOST:,}" * (split == "dev") for split in self.lacking}

    def inputs_of(self, table: Table) -> Texts:
        return Texts(*([str(cell) for cell in table.column(name)] for name in self.columns))

    def card(self) -> Card:
        on, sizes = self.on, self.sizes()
        return Card(
            title=f"{self.dataset} ({self.target} of {' and '.join(self.columns)})",
            source=f"Hugging Face Hub: {self.source.place.partition('@')[0]}" if on else
            f"{self.place.name}, a table of the user's own",
            revision=on.commit if on else "as given; its fingerprint is recorded",
            licence=on.licence if on else "not stated", citation=on.citation if on else "not stated",
            splits=self.told(), sizes=sizes, notes=tuple(self.notes(sizes["test"])),
        )  # fmt: skip

    def notes(self, tested: int) -> Iterator[str]:
        if shared := self.shared():
            yield f"{shared} of {tested} test inputs are in train or dev too: scores on them are too good"
        yield from (f"the labels of {self.given[split].path.name} are hidden: it is not read" for split in self.hidden)

    def on_hub(self) -> Mapping[str, HubSet]:
        """Where test is a split of the Hub as it is."""
        split = next((s for s, table in self.given.items() if table is self.tables.get("test")), "")
        return {self.dataset: self.on.at(split)} if self.on and split else {}

    def shared(self) -> int:
        """Test inputs that train or dev has too, of splits that were given."""
        seen = {line for data in (self.splits.train, self.splits.dev) for line in data.inputs.lines()}  # type: ignore[attr-defined]
        return sum(line in seen for data in self.splits.test.values() for line in data.inputs.lines())  # type: ignore[attr-defined]


def stratified(data: Labelled, names: Sequence[str], strata: bool) -> list[Labelled]:
    """A part for each name, then the rest, each in hashed order; of every label the same share. Equal inputs stay
    together, as the first of them is labelled."""
    lines = data.inputs.lines()  # type: ignore[attr-defined]
    groups: dict[str, list[int]] = {}
    for row, line in enumerate(lines):
        groups.setdefault(line, []).append(row)
    order = sorted(groups, key=lambda line: hashlib.sha256(line.encode()).digest())
    layers: dict[Any, list[str]] = {}
    for line in order:
        layers.setdefault(data.labels[groups[line][0]].item() if strata else "", []).append(line)
    taken: dict[str, str] = {}
    for layer in layers.values():
        start = 0
        for name in names:
            size = round(len(layer) * (min(1 / SHARE, MOST / len(lines)) if name == "dev" else 1 / SHARE))
            taken |= dict.fromkeys(layer[start : start + size], name)
            start += size
    rows = {
        name: [row for line in order if taken.get(line, "") == name for row in groups[line]] for name in (*names, "")
    }
    return [data.rows(rows[name]) for name in (*names, "")]


def whole(cell: Any) -> bool:
    """Whether it can be a class: a name, or a number without decimals."""
    return not is_number(cell) or float(cell).is_integer()


def is_number(cell: Any) -> bool:
    try:
        return not isinstance(cell, bool) and abs(float(cell)) < float("inf")
    except (TypeError, ValueError):
        return False
