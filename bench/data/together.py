"""Groups of texts as groups of pairs, for networks that read two texts together and give one score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bench.inputs import Examples, Texts, texts


def together(examples: Examples) -> Examples:
    """Of each group (a, b, c ...) of single texts the pairs (a, b), (a, c) ...: a pool of distinct pairs, and groups of
    one place fewer. A pair is cut to as many tokens as its two texts may have."""
    given, groups = texts(examples.inputs), examples.groups
    firsts, seconds = np.broadcast_arrays(groups[:, :1], groups[:, 1:])
    numbers, places = np.unique(np.stack([firsts, seconds], 2).reshape(-1, 2), axis=0, return_inverse=True)
    limits = None if given.limits is None else given.limits[numbers].sum(1)
    (column,) = given.columns
    pairs = pair_up([column[n] for n in numbers[:, 0]], [column[n] for n in numbers[:, 1]], limits)
    return replace(examples, inputs=pairs, groups=places.reshape(seconds.shape))


def pair_up(firsts: Sequence[str], seconds: Sequence[str], limits: np.ndarray | int | None) -> Texts:
    """A pool of pairs. `limits`: tokens of both texts together, of each pair or of all."""
    return Texts(firsts, seconds, limits=None if limits is None else np.broadcast_to(limits, len(firsts)).copy())
