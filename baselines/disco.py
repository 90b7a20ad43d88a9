"""DisCo / DistilCSE: contrastive knowledge distillation (CKD), then contrastive fine-tuning.

    Stage 1, CKD, unlabelled text:   u_i = W f_s(x_i) + b        v_i = sg(f_t(x_i))
        keys K = [v_1 .. v_B ; queue]      logits_ij = alpha cos(u_i, K_j)      L = mean_i CE(target i, logits_i)
        alpha = exp(theta), theta learnable from 1; the queue holds the newest earlier teacher embeddings, unit-norm
    Stage 2, contrastive, NLI triplets (dropout pairs where there are none):   bench.losses.Contrast
             where candidates are ranked, or images and texts matched, the supervised loss, which is contrastive too

Gao et al. 2021, https://arxiv.org/abs/2112.05638; hyper-parameters from its official code, `caskcsg/sentemb`.
Negatives are teacher embeddings only. W is thrown away: evaluation and stage 2 use the student's own embedding. The
paper's teacher is always wider than its students; between equal widths we leave W out, since a free W leaves the
student's own geometry open (`--set projection=always` brings it back). Needs: the teacher's embedding, computed once.
Deviation: the official CKD run leaves the teacher in train mode, so its dropout is on; `--set replicate=true` does so
too (and cannot use the teacher store). Stage 2 takes the official share of updates: 5 epochs of 275,601 triplets at
512 against 20 epochs of 5M sentences at 4,096, which is 11%.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import NonNegativeInt, PositiveFloat
from torch import Tensor, nn

from bench.inputs import Batch
from bench.losses import unit
from bench.method import Losses, Method, Run, Stage
from bench.optimiser import Optimiser
from bench.signals import Signals


class Disco(Method):
    """Contrastive distillation with a teacher-side queue, then the contrastive objective of the task."""

    title = "DisCo (contrastive knowledge distillation)"
    citation = "Gao, Wu, Wang, Wang, Zang, Wang, Hu. arXiv:2112.05638"
    needs = frozenset({"embedding"})
    kinds = frozenset({"embed", "match", "rank"})

    @dataclass(frozen=True)
    class Settings:
        lr: PositiveFloat = 2e-4  # CKD, official code
        contrast_lr: PositiveFloat = 5e-5  # NLI stage, official code
        queue: NonNegativeInt = 65536  # official code
        theta: float = 1.0  # official code; alpha = exp(theta)
        stages: Literal["both", "ckd", "contrast"] = "both"
        contrast_share: PositiveFloat = 0.11  # stage 2 updates / stage 1 updates, see above
        projection: Literal["auto", "always"] = "auto"  # auto: only where the widths differ
        replicate: bool = False  # the teacher's dropout stays on in CKD, as in the official code

    def __init__(self, settings: Settings, run: Run) -> None:
        super().__init__(settings, run)
        needed = settings.projection == "always" or run.student_width != run.teacher_width
        self.project = nn.Linear(run.student_width, run.teacher_width) if needed else nn.Identity()
        self.theta = nn.Parameter(torch.tensor(settings.theta))
        pushed = run.track.updates * (run.track.batch_size or len(run.task.examples("distil"))) * columns(run)
        self.queue = Queue(min(settings.queue, pushed), run.teacher_width)
        self.objective = run.task.objective()

    def stages(self) -> Iterable[Stage]:
        s, track = self.settings, self.run.track
        if s.stages != "contrast":
            yield self.stage("ckd", self.ckd, needs=self.needs, optimiser=Optimiser(s.lr), noisy=s.replicate)
        if s.stages != "ckd":
            updates = track.updates if s.stages == "contrast" else max(1, round(s.contrast_share * track.updates))
            recipe = Optimiser(s.contrast_lr)
            yield self.stage("contrast", self.contrast, data="supervised", updates=updates, optimiser=recipe)

    def ckd(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        loss = ckd_loss(self.project(student.embedding), teacher.embedding, self.queue.rows(), self.theta.exp())
        self.queue.push(teacher.embedding)
        return {"ckd": loss}

    def contrast(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        return self.objective(student, batch)


def columns(run: Run) -> int:
    """Inputs of an example of the first stage."""
    return run.task.examples("distil").groups.shape[1]


def ckd_loss(u: Tensor, v: Tensor, queue: Tensor, alpha: Tensor) -> Tensor:
    """CE of picking one's own teacher vector among the batch's and the queue's: u, v (B, D), queue (Q, D) unit-norm."""
    keys = torch.cat([unit(v.detach()), queue])  # a copy, so that the queue may move on before the backward pass
    return F.cross_entropy(alpha * unit(u) @ keys.T, torch.arange(len(u), device=u.device))


class Queue(nn.Module):
    """The newest `size` teacher embeddings, unit-norm, first in first out. A ring: nothing is moved when it is full."""

    ring: Tensor
    seen: Tensor

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.register_buffer("ring", torch.zeros(size, width))
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))
        self._seen = 0  # the same count on the host: reading the tensor would sync a GPU in every step

    def rows(self) -> Tensor:
        """The rows held now, (min(size, seen), D)."""
        return self.ring[: min(self._seen, len(self.ring))]

    @torch.no_grad()
    def push(self, v: Tensor) -> None:
        """Add a batch (B, D); the oldest rows make room."""
        size = len(self.ring)
        if size == 0:
            return
        places = torch.arange(self._seen, self._seen + len(v), device=self.ring.device) % size
        self.ring.index_copy_(0, places[-size:], unit(v[-size:].float()))
        self._seen += len(v)
        self.seen.fill_(self._seen)

    def _load_from_state_dict(self, *args: object, **kwargs: object) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._seen = int(self.seen)
