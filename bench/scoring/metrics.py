"""The metrics that the engine knows from inside, by name."""

from __future__ import annotations

from collections.abc import Callable

from bench.scoring.answers import LENIENT, RECIPROCAL, STRICT, AnswerF1, ExactMatch
from bench.scoring.bleu import Bleu
from bench.scoring.candidates import Credit, ExactQuestions, F1a
from bench.scoring.correlation import Pearson, Spearman
from bench.scoring.counts import F1, Accuracy, MacroF1, Mcc
from bench.scoring.edits import ErrorRate, WordAccuracy
from bench.scoring.entities import Entities, TypeF1
from bench.scoring.labels import LabelF1
from bench.scoring.matching import MATCHING
from bench.scoring.metric import Metric
from bench.scoring.pieces import Likelihood, MaskedAccuracy
from bench.scoring.ranking import AveragePrecision, Ndcg, Precision, Recall, ReciprocalRank

CUT: dict[str, Callable[[int], Metric]] = {
    "map": AveragePrecision,
    "mrr": ReciprocalRank,
    "ndcg": Ndcg,
    "precision": Precision,
    "recall": Recall,
}
DEPTHS = range(1, 1001)  # `ndcg@10` is `ndcg` of the 10 documents ranked highest
METRICS: dict[str, Metric] = {
    "accuracy": Accuracy(), "f1": F1(), "macro_f1": MacroF1(), "mcc": Mcc(),
    "micro_f1": Accuracy(),  # of one class an input every error is one false positive and one false negative
    "label_micro_f1": LabelF1("micro"), "label_macro_f1": LabelF1("macro"),
    "pearson": Pearson(), "spearman": Spearman(),
    "entity_f1": Entities(), "entity_precision": Entities((1, 0)), "entity_recall": Entities((0, 1)),
    "strict_entity_f1": Entities(strict=True), "type_f1": TypeF1(),
    "wer": ErrorRate(), "cer": ErrorRate(letters=True), "word_accuracy": WordAccuracy(), "bleu": Bleu(),
    "1-wer": ErrorRate(right=True), "1-cer": ErrorRate(letters=True, right=True),
    "f1a": F1a(), "question_em": ExactQuestions(),
    "entity_choice_f1": Credit(0), "entity_choice_em": Credit(1),
    "answer_f1": AnswerF1(), "exact_match": ExactMatch(),
    "strict_accuracy": STRICT, "lenient_accuracy": LENIENT, "factoid_mrr": RECIPROCAL,
    "masked_accuracy": MaskedAccuracy(), "likelihood": Likelihood(),
    "map": AveragePrecision(), "mrr": ReciprocalRank(), "ndcg": Ndcg(),
    **MATCHING,
    **{f"{name}@{depth}": metric(depth) for name, metric in CUT.items() for depth in DEPTHS},
}  # fmt: skip
