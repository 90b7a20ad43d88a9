"""What a difference of two rows shows, in three words. Nobody else names it or puts it into sentences.

clear    its p-value is below 0.05 after Holm's correction over the family that it is shown in
likely   its own 95% interval does not hold 0, but it does not survive the correction
open     its interval holds 0

The family of a board is what it shows: each row against its baselines with the same student, trained alike. Any other
pair is one of all pairs of the board, as it could have been any of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bench.scoring.comparison import ALPHA

CLEAR, LIKELY, OPEN = WORDS = ("clear", "likely", "open")
SIDES = tuple(f"{word} {side}" for side in ("above", "below") for word in (CLEAR, LIKELY))
COUNTED = (SIDES[0], SIDES[1], OPEN, SIDES[3], SIDES[2])  # from the best to the worst of a row against another
MEANING = {
    CLEAR: "holds after Holm's correction over the family that it is shown in",
    LIKELY: "its own 95% interval does not hold 0, but it does not survive the correction over its family",
    OPEN: "its 95% interval holds 0",
}
SENTENCES = {
    CLEAR: "{better} is clearly better than {worse}: the difference holds after Holm's correction.",
    LIKELY: "{better} is likely better than {worse}: the interval of the difference does not hold 0, but the "
    "difference does not survive Holm's correction.",
    OPEN: "It is open which of {better} and {worse} is better: the interval of the difference holds 0.",
}  # fmt: skip
AS_GOOD = "the evidence between it and the best row is open"
GIVEN_UP = 0.01  # of a score, by a row that is offered in another's place: the quality target of MLPerf Inference


def word(low: float, high: float, corrected: float) -> str:
    """Of a difference with its 95% interval and its p-value after correction."""
    if low <= 0 <= high:
        return OPEN
    return CLEAR if corrected < ALPHA else LIKELY


def side(found: dict[str, Any]) -> str:
    """The word with the side on which a row is, of a difference to another row: `clear above`."""
    if found["evidence"] == OPEN:
        return OPEN
    return f"{found['evidence']} {'above' if found['value'] > 0 else 'below'}"


def counted(found: Iterable[dict[str, Any] | None]) -> dict[str, int]:
    """How many of a method's rows are on each side of a baseline."""
    sides = [side(one) for one in found if one is not None]
    return {name: sides.count(name) for name in COUNTED}


def sentence(said: str, difference: float, a: str, b: str) -> str:
    """Of A minus B."""
    better, worse = (a, b) if difference >= 0 else (b, a)
    return SENTENCES[said].format(better=better, worse=worse)


def family(pairs: int, shown: bool) -> str:
    """What a p-value was corrected over."""
    if shown:
        return f"{pairs} difference{'s' * (pairs != 1)} to a baseline with the same student"
    return f"all {pairs} pairs of the board"
