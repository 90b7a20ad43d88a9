"""How well a prompt of one task may serve another: cosines between prompts, or between what prompts do.

    e(p)  = mean over N inputs x of the target of [h(x; encoder + p) - h(x; encoder)]         (D,)
    task  = cos(e(p_source), e(p_target))        mean = cos(mean of p_source's vectors, mean of p_target's)

h is the encoder's sentence embedding. `mean` is PANDA's E_avg. PANDA's own is a cosine of task embeddings, whose
formula was not published: e is our reconstruction.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.inputs import pool
from bench.method import Run
from bench.networks.inference import to_device

INPUTS = 64  # of the target's training set. Our choice
BATCH = 16


def transferability(run: Run, source: Any, target: Any) -> dict[str, float]:
    """{"task": cosine, "mean": cosine} of two networks with prompts on the same frozen encoder."""
    effects = [task_embedding(network, run) for network in (source, target)]
    with torch.no_grad():
        means = [network.mean_prompt for network in (source, target)]
    return {"task": cosine(*effects), "mean": cosine(*means)}


def cosine(a: Tensor, b: Tensor) -> float:
    return float(F.cosine_similarity(a, b, dim=0))


@torch.no_grad()
def task_embedding(network: Any, run: Run) -> Tensor:
    """e(p) of the network's prompt, (D,)."""
    inputs = pool(run.task.examples("supervised").inputs)
    encoded = network.eval().encode(inputs[: min(INPUTS, len(inputs))], run.track.max_length)
    shifts = []
    for start in range(0, len(encoded.lengths), BATCH):
        rows = np.arange(start, min(start + BATCH, len(encoded.lengths)))[:, None]
        batch = to_device(encoded.batch(rows), network.device)
        shifts.append(network(batch, frozenset({"embedding"})).embedding - network.bare(batch))
    return torch.cat(shifts).mean(0)
