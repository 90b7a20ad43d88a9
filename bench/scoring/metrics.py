"""The metrics that the engine knows from inside, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from bench.scoring.correlation import Pearson, Spearman
from bench.scoring.counts import F1, Accuracy, MacroF1, Mcc
from bench.scoring.entities import Entities
from bench.scoring.metric import Metric
from bench.scoring.ranking import AveragePrecision, Ndcg, Recall, ReciprocalRank


class Table(Mapping[str, Metric]):
    """Metrics by name; `ndcg@10` is `ndcg` of the 10 documents ranked highest, and so with any number."""

    def __init__(self, whole: Mapping[str, Metric], cut: Mapping[str, Callable[[int], Metric]]) -> None:
        self.whole, self.cut = whole, cut

    def __getitem__(self, name: str) -> Metric:
        head, at, depth = name.partition("@")
        if at and head in self.cut and depth.isdecimal() and int(depth) > 0:
            return self.cut[head](int(depth))
        return self.whole[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.whole)

    def __len__(self) -> int:
        return len(self.whole)


METRICS = Table(
    {
        "accuracy": Accuracy(), "f1": F1(), "macro_f1": MacroF1(), "mcc": Mcc(),
        "pearson": Pearson(), "spearman": Spearman(),
        "entity_f1": Entities(), "entity_precision": Entities((1, 0)), "entity_recall": Entities((0, 1)),
        "strict_entity_f1": Entities(strict=True),
        "map": AveragePrecision(), "mrr": ReciprocalRank(), "ndcg": Ndcg(),
    },
    {"map": AveragePrecision, "mrr": ReciprocalRank, "ndcg": Ndcg, "recall": Recall},
)  # fmt: skip
