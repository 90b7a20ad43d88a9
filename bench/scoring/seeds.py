"""How far seeds move the score of a row: variances from few seeds, moderated by what the board's rows have in common.

The n runs of a row r differ by the luck of their seeds and, as two runs err on other examples, by that of the examples:

    E var(scores) = phi_r iota_r        iota_r = (V_1 - V_ex) n / (n - 1)        phi_r >= 1

V_1 and V_ex are the variances that the examples give one run and the mean of n, so iota is what the examples explain,
and phi how often more there is. Three seeds say next to nothing about phi_r; the board's rows together say what is
usual. As in empirical Bayes for many genes (Smyth 2004; of phi as here, Lund et al. 2012),

    (n - 1) var(scores) / (phi_r iota_r) ~ chi^2 with n - 1 degrees of freedom
    d0 s0 / phi_r                        ~ chi^2 with d0 degrees of freedom, and phi_r = 1 where that is below 1

so rows are alike where d0 is large, and speak for themselves where it is small. A board has few rows, which leave d0
and s0 open: none is chosen, but all of a grid are weighted by how likely they make the rows' variances (d0 = 1/8, 1/4
... 512, s0 evenly in its logarithm). Before that s0 counts evenly and d0 as 1 / sqrt(d0): on two or three rows the data
say little of it, and that rows are alike would be the daring guess (docs/protocol.md has what it does). What comes out
is the posterior of phi_r, on a grid too. It is wide where the board has few rows or seeds, or where rows differ: that
makes the tails of p-values long enough.

Rows count as independent. Of rows whose seeds are lucky together a difference varies less than this says.
"""

from __future__ import annotations

from functools import cache

import numpy as np

PHI = 10 ** np.linspace(0, 8, 81)
D0 = 2.0 ** np.arange(-3, 10)
STRATA = np.array([0.0, 0.3, 0.6, 0.8, 0.92, 0.98, 0.997, 0.9997, 1.0])  # of a posterior, finer where tails are made
WEIGHTS = np.diff(STRATA)


@cache
def priors() -> np.ndarray:
    """The share of each phi under each (d0, s0), (G, PHI): scaled inverse chi^2, what lies below 1 at 1."""
    step = np.log(PHI[1])
    fine = np.arange(-100, 1400) * step / 10 + step / 20
    scale = np.log(PHI[::2])[None, :, None]
    log = -D0[:, None, None] / 2 * (fine - scale + np.exp(scale - fine))
    density = np.exp(log - log.max(-1, keepdims=True)).reshape(-1, len(fine))
    place = np.rint(fine / step).astype(int).clip(0, len(PHI) - 1)
    shares = density @ np.eye(len(PHI))[place]
    return np.asarray(shares / shares.sum(1, keepdims=True))


def posterior(phi: np.ndarray, degrees: np.ndarray, counted: np.ndarray | None = None) -> np.ndarray:
    """What is known of each row's phi after all rows, (rows, PHI), of sum 1 in each.

    phi, degrees (rows,): var(scores) / iota, and n - 1, which is 0 where a row has no variance of its own.
    counted (rows,): the rows that say what is usual; all of them when not given. Copies of a row say nothing new.
    """
    fit = -degrees[:, None] / 2 * (np.log(PHI) + phi[:, None] / PHI)
    likelihood = np.exp(fit - fit.max(1, keepdims=True))
    marginal = (likelihood @ priors().T).clip(1e-300)  # (rows, G)
    before = np.repeat(-np.log(D0) / 2, len(PHI[::2]))
    usual = before + np.log(marginal[slice(None) if counted is None else counted]).sum(0)
    weights = np.exp(usual - usual.max())
    found = likelihood * ((weights / marginal) @ priors())
    return np.asarray(found / found.sum(1, keepdims=True))


def nodes(shares: np.ndarray) -> np.ndarray:
    """The mean of phi in each of the STRATA of its posterior, (rows, strata): they stand for it with WEIGHTS."""
    ends = np.pad(shares.cumsum(1), ((0, 0), (1, 0)))
    inside = np.minimum(ends[:, None, 1:], STRATA[1:, None]) - np.maximum(ends[:, None, :-1], STRATA[:-1, None])
    return np.asarray(inside.clip(0) @ PHI / WEIGHTS)
