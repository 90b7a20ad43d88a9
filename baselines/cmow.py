"""General distillation into matrix embeddings: a masked language model on a corpus, then fine-tuning on the task.

    L = 1/2 tau^2 mean KL(softmax(z_T / tau) || softmax(z_S / tau)) + 1/2 CE(y, z_S)          tau = 2

over the hidden word pieces of the corpus: DistilBERT's objective without its cosine. z_S are logits of a linear layer
on the states of `cmow`, the products and sums of the words around each, which fine-tuning leaves behind.

    bench run --task glue/stsb --method cmow --student cmow --track lite --data-dir data

Galke, Cuber, Meyer, Nölscher, Sonderecker, Scherp, "General Cross-Architecture Distillation of Pretrained Language
Models into Matrix Embeddings", IJCNN 2022, arXiv:2109.08449; official code lgalke/cross-architecture-distillation: one
epoch of Wikipedia and books with BERT's head as the teacher, AdamW at 5e-4, then ten epochs a task. Deviations: the
divergence is taken at hidden pieces, there at all of them; what is hidden is drawn evenly, there rare words more often.
The corpus is `data/corpus.txt`, one document a line (task `mlm/text`). Any student that reads the teacher's word pieces
and has states of them fits. Needs from the teacher: logits over the vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import PositiveFloat

from bench.baselines._pretrained import Pretrained
from bench.inputs import Batch
from bench.method import Losses, Weight
from bench.signals import Signals


class Cmow(Pretrained):
    """Soft and hard masked words on a corpus, then the task's labels."""

    title = "CMOW general distillation (corpus, then fine-tuning)"
    citation = "Galke, Cuber, Meyer, Nölscher, Sonderecker, Scherp. IJCNN 2022, arXiv:2109.08449"
    needs = frozenset({"logits"})
    kinds = frozenset({"mask", "classify", "regress", "tag"})

    @dataclass(frozen=True)
    class Settings(Pretrained.Settings):
        corpus: str = "mlm/text"
        alpha: Weight = 0.5  # of the soft loss; the hard one has the rest
        temperature: PositiveFloat = 2.0

    def losses(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        s = self.settings
        return {
            "soft": s.alpha * self.goal.match(*self.goal.pair(student, teacher, batch), s.temperature),
            "hard": (1 - s.alpha) * self.goal.loss(student, batch),
        }
