"""Texts with hidden pieces, for masked language modelling: BERT's masks, drawn anew for each numbered view."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from bench.data.tokens import TokenArrays
from bench.inputs import IGNORED, flat, padded
from bench.scoring.scores import Ragged

HIDDEN = 0.15  # of a text's pieces, at least one of them
MASKED, REPLACED = 0.8, 0.1  # of those: by the mask, by another piece; the rest stays as it is
SEED = 4  # of the draws, beside view and text: the same masks for every method, student and seed


class MaskedTokens:
    """Tokens of N texts, of which row r + v N is text r with the masks of view v.

    In each view 15% of the pieces that are no special tokens are chosen (rounded, one at least, as in BERT's own code;
    the collator of transformers draws each by itself). 80% of them turn into the mask token, 10% into any other piece
    of the vocabulary, 10% stay (Devlin et al. 2019). Nothing of it is kept: a view is drawn when it is read.
    """

    def __init__(self, tokens: TokenArrays, mask: int, vocabulary: int, special: Sequence[int]) -> None:
        self.tokens, self.mask, self.lengths = tokens, mask, tokens.lengths
        self.special = np.unique(special)
        self.words = np.setdiff1d(np.arange(vocabulary), self.special)  # what a piece may be replaced by
        self.axes = tokens.axes

    def __len__(self) -> int:
        return len(self.lengths)

    def drawn(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """(places, ascending, and what stands there then) of one view of a text."""
        view, text = divmod(row, len(self))
        ids = self.tokens.ids[np.array([text])].flat
        free = np.flatnonzero(~np.isin(ids, self.special))
        count = min(len(free), max(1, round(HIDDEN * len(free))))
        rng = np.random.default_rng((SEED, view, text))
        places = np.sort(rng.choice(free, count, replace=False))
        kind, other = rng.random(count), rng.choice(self.words, count)
        instead = np.where(kind < MASKED, self.mask, np.where(kind < MASKED + REPLACED, other, ids[places]))
        return places, instead

    def batch(self, rows: np.ndarray) -> dict[str, Tensor]:
        """Of virtual rows what `TokenArrays.batch` gives, with the masks in; `words` (B, W): places of the hidden
        pieces, -1 behind; `targets` (B, W): what stood there, IGNORED behind."""
        rows = flat(rows)
        found = self.tokens.batch(rows % len(self))
        drawn = [self.drawn(int(row)) for row in rows]
        places = [torch.from_numpy(at) for at, _ in drawn]
        truth = [ids[at].numpy() for ids, at in zip(found["input_ids"], places, strict=True)]
        for ids, at, (_, instead) in zip(found["input_ids"], places, drawn, strict=True):
            ids[at] = torch.from_numpy(instead.astype(np.int64))
        more = {
            "words": (Ragged.of([at for at, _ in drawn], np.int64), -1),
            "targets": (Ragged.of(truth, np.int64), IGNORED),
        }
        return found | {name: torch.from_numpy(padded(values, fill)) for name, (values, fill) in more.items()}
