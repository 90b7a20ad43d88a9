"""Questions with a text that may hold the answer: what SQuAD and BioASQ share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from bench.data.labelled import Labelled
from bench.kind import Outputs
from bench.scoring.scores import Ragged
from bench.sources import DataError

NONE = (-1, -1)


class Answered(NamedTuple):
    """A question, its text, the gold answers, and the characters of the first of them; NONE: there is none."""

    question: str
    text: str
    answers: tuple[str, ...]
    place: tuple[int, int]
    key: str  # of what must not be on both sides of a cut: an article, a question


@dataclass(frozen=True)
class Passages(Labelled):
    """N pairs of a question and a text; labels (N, 2) are the characters of the answer. `answers`: Ragged texts."""

    answers: Any = None
    keys: Any = None

    @classmethod
    def of(cls, found: Iterable[Answered]) -> Passages:
        """DataError: there are none."""
        rows = list(found)
        if not rows:
            raise DataError("there is no question in one of the splits")
        answers = Ragged.of([row.answers for row in rows], np.str_)
        labels = np.array([row.place for row in rows], np.int64)
        return cls([(row.question, row.text) for row in rows], labels, answers, np.array([row.key for row in rows]))

    def rows(self, chosen: Sequence[int] | np.ndarray) -> Passages:
        chosen = np.asarray(chosen, np.int64)
        plain = super().rows(chosen)
        return Passages(plain.inputs, plain.labels, self.answers[chosen], self.keys[chosen])


def read_answers(outputs: Outputs, texts: Sequence[str], null: float | None) -> list[list[tuple[str, float]]]:
    """What kind `span` decoded of each text -> (answer, score) best first, cut from the text as it is.

    `null`: no answer, an empty one, comes first where it scores higher than the best by more than this; None: never.
    """
    found = []
    for row, text in zip(outputs, texts, strict=True):
        (*_, without), *rest = row.tolist()
        best = [(text[int(first) : int(behind)], score) for first, behind, score in rest]
        none = not best or (null is not None and without - best[0][1] > null)
        found.append([("", without), *best] if none else best)
    return found


def field(row: Any, name: str, kind: type, place: str) -> Any:
    """row[name]. DataError: it is not there, or of another type."""
    value: Any = row.get(name) if isinstance(row, dict) else None
    if not isinstance(value, kind):
        raise DataError(f"{place}: no {name}")
    if isinstance(value, str) and not value.strip():
        raise DataError(f"{place}: {name} is empty")
    return value


def parts(row: Any, name: str, place: str) -> list[Any]:
    found: list[Any] = field(row, name, list, place)
    return found


def checked(answer: str, start: int, text: str, place: str) -> tuple[int, int]:
    """DataError: the answer does not stand there."""
    if start < 0 or text[start : start + len(answer)] != answer:
        raise DataError(f"{place}: the answer {answer[:40]!r} does not stand at {start} of its text")
    return start, start + len(answer)


def placed(row: Any, text: str, place: str) -> tuple[str, int, int]:
    """An answer of SQuAD's form, and where it stands: no token holds blanks at its ends."""
    answer, start = field(row, "text", str, place), row.get("answer_start")
    if not isinstance(start, int):
        raise DataError(f"{place}: no answer_start")
    first, behind = checked(answer, start, text, place)
    return answer, first + len(answer) - len(answer.lstrip()), behind - len(answer) + len(answer.rstrip())
