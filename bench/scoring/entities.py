"""Entities in tagged sentences: which spans of words the tags mean, and F1, precision and recall over whole spans.

Tags are O, or B, I, E or S with a type behind a hyphen: `B-PER`. An entity is right when its first word, its last word
and its type are. Read leniently, as seqeval's default does, an entity begins at a B or S, and at an I or E that goes on
with nothing: after O, after E or S, or after another type. Of O, B and I the script conlleval of CoNLL-2000 reads the
same entities; E and S it reads in another way. Read strictly, as seqeval's strict mode does for IOB2, an entity that
does not begin with B is none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.errors import RequestError
from bench.scoring.metric import SumMetric, ratio
from bench.scoring.scores import Ragged

TAGS = "OBIES"


@dataclass(frozen=True)
class Entities(SumMetric):
    """Right entities over those of gold (recall), over the predicted ones (precision), or twice over both (F1).

    Predictions and gold: Ragged tags as text, a row a sentence, of the same words. All sentences' entities are counted
    together (micro), as a sentence's statistics are its right, predicted and gold entities.
    """

    over: tuple[int, int] = (1, 1)  # how often the predicted and the gold entities count
    strict: bool = False

    def fits(self, prediction: Ragged, gold: Ragged) -> bool:
        tagged = all(isinstance(side, Ragged) and side.flat.dtype.kind == "U" for side in (prediction, gold))
        return tagged and len(gold) > 0 and np.array_equal(prediction.lengths, gold.lengths)

    def statistics(self, prediction: Ragged, gold: Ragged) -> np.ndarray:
        """(N, 3). RequestError: a tag that is none, or sentences of other lengths."""
        if not np.array_equal(prediction.lengths, gold.lengths):
            raise RequestError("predicted and gold tags are not those of the same words")
        found, true = entities(prediction, self.strict), entities(gold, self.strict)
        owner, size = gold.owner, len(gold)
        right = [first for first, _, _ in found & true]
        sides = (right, [first for first, _, _ in found], [first for first, _, _ in true])
        return np.stack([np.bincount(owner[np.array(side, int)], minlength=size) for side in sides], axis=1)

    def of_sums(self, sums: np.ndarray) -> np.ndarray:
        return ratio(sum(self.over) * sums[..., 0], sums[..., 1:] @ np.array(self.over))


class TypeF1(Entities):
    """The mean over types of the F1 of each type's entities, as IndoNLU scores its tags.

    Types are those in gold or predictions, of a draw those in that draw.
    """

    def statistics(self, prediction: Ragged, gold: Ragged) -> np.ndarray:
        """(N, 3 K), type by type."""
        return counts_by_type(prediction, gold, self.strict)[1].reshape(len(gold), -1)

    def of_sums(self, sums: np.ndarray) -> np.ndarray:
        each = sums.reshape(*sums.shape[:-1], sums.shape[-1] // 3, 3)
        sizes = each[..., 1] + each[..., 2]
        return ratio(ratio(2 * each[..., 0], sizes).sum(-1), (sizes > 0).sum(-1))


def counts_by_type(prediction: Ragged, gold: Ragged, strict: bool = False) -> tuple[list[str], np.ndarray]:
    """The K types of either side, and each sentence's right, predicted and gold entities of each, (N, K, 3)."""
    found, true = entities(prediction, strict), entities(gold, strict)
    types = sorted({kind for _, _, kind in found | true})
    number, owner = {kind: n for n, kind in enumerate(types)}, gold.owner
    counts = np.zeros((len(gold), len(types), 3))
    for column, spans in enumerate((found & true, found, true)):
        places = np.array([(owner[first], number[kind]) for first, _, kind in spans], int).reshape(-1, 2)
        np.add.at(counts[..., column], (places[:, 0], places[:, 1]), 1)
    return types, counts


def entities(tags: Ragged, strict: bool = False) -> set[tuple[int, int, str]]:
    """(first word, word behind the last, type) of all entities, words counted over all sentences."""
    if not len(tags.flat):
        return set()
    kinds, codes = np.unique(tags.flat, return_inverse=True)
    letter, types = np.array([parsed(str(kind)) for kind in kinds]).T
    letters, kind = letter[codes], types[codes]
    opens = np.append(True, np.diff(tags.owner) != 0)  # first words of sentences
    before = np.where(opens, "O", np.roll(letters, 1))
    fresh = np.isin(letters, ("B", "S")) | np.isin(before, ("O", "E", "S")) | (kind != np.roll(kind, 1))
    starts = np.flatnonzero((letters != "O") & fresh)
    stops = np.append(np.flatnonzero((letters == "O") | fresh | opens), len(letters))
    ends = stops[np.searchsorted(stops, starts, side="right")]
    kept = letters[starts] == "B" if strict else np.ones(len(starts), bool)
    return set(zip(starts[kept].tolist(), ends[kept].tolist(), kind[starts[kept]].tolist(), strict=True))


def parsed(tag: str) -> tuple[str, str]:
    """`B-PER` -> (B, PER). RequestError: no tag."""
    letter, hyphen, kind = tag.partition("-")
    if letter not in tuple(TAGS) or (letter != "O" and not hyphen) or (letter == "O" and hyphen):
        raise RequestError(f"{tag!r} is no tag of entities: O, or one of B, I, E and S with a type, as in B-PER")
    return letter, kind
