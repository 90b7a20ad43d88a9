"""Random numbers that are derived apart, so that one that draws more of them changes nothing else."""

from __future__ import annotations

import numpy as np


def derived_seed(seed: int, *purpose: object) -> int:
    """Independent random numbers for each purpose, the same in every process."""
    return int(np.random.SeedSequence([seed, *(" ".join(map(str, purpose))).encode()]).generate_state(1)[0])
