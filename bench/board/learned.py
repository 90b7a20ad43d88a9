"""Did anything learn? Rows beside the best answer that reads no input, and boards that cannot tell students apart.

trivial     the score of that answer, from the stored gold by the metric itself (`bench.scoring.trivial`)
not learned a row whose runs give one answer to everything, or whose interval does not lie above the trivial score
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.board.leaderboard import ALWAYS
from bench.board.verdicts import Verdicts

NOT_LEARNED = "not learned"
ONE_ANSWER = "it gives every input the same answer"
KEPT_START = "kept its start"
OLDER = "older: its file has changed since, and later runs are of what it is then"
PLAIN = ALWAYS[0]  # the student without a teacher
LEAST = 0.05  # of a score: how far above trivial a teacher has to be for its students to be told apart


def marks(verdicts: Verdicts, place: int) -> Iterator[str]:
    """What has to be known of a row before its score is read, in words."""
    if reason := not_learned(verdicts, place):
        yield f"{NOT_LEARNED}: {reason}"
    row = verdicts.board.rows[place]
    same = [seed for seed, run_id in row.runs if run_id in verdicts.one_answer]
    if 0 < len(same) < len(row.runs):
        yield f"{NOT_LEARNED} with {_seeds(same)}: {ONE_ANSWER}"
    if row.older:
        yield OLDER
    if row.kept_start:
        yield f"{KEPT_START} with {_seeds(row.kept_start)}: no update made it better on dev"


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"


def not_learned(verdicts: Verdicts, place: int) -> str:
    """Why a row shows nothing learned; empty: it does, or it is not known what is trivial."""
    row, trivial, interval = verdicts.board.rows[place], verdicts.trivial, verdicts.interval(place)
    if row.runs and all(run_id in verdicts.one_answer for _, run_id in row.runs):
        return ONE_ANSWER
    if trivial is not None and interval and interval[0] <= trivial:
        return f"its interval reaches {100 * trivial:.2f}, what an answer that reads no input scores"
    return ""


def retention_above_trivial(verdicts: Verdicts, place: int) -> float | None:
    """(student - trivial) / (teacher - trivial); None: unknown, or the teacher is not above trivial."""
    row, trivial = verdicts.board.rows[place], verdicts.trivial
    if trivial is None or not row.score or row.teacher_score is None or row.teacher_score <= trivial:
        return None
    return (row.score.value - trivial) / (row.teacher_score - trivial)


def blind(verdicts: Verdicts) -> list[str]:
    """The students whose `finetune` rows show nothing learned: there is nothing to hold methods against."""
    plain = _finetune(verdicts)
    return sorted(
        {student for student, _ in plain} - {student for student, place in plain if not not_learned(verdicts, place)}
    )


def weakness(verdicts: Verdicts) -> str:
    """Why a board cannot tell students apart, in a sentence; empty: nothing speaks against it."""
    teachers = [row.score.value for row in verdicts.board.rows if row.is_teacher and row.score]
    if verdicts.trivial is None:
        return ""
    above = 100 * (max(teachers) - verdicts.trivial) if teachers else 100.0
    if above < 100 * LEAST:
        return (
            f"This board cannot tell students apart: its teacher is {above:.2f} points above an answer that reads no "
            "input."
        )
    if (plain := _finetune(verdicts)) and {student for student, _ in plain} == set(blind(verdicts)):
        return (
            "This board cannot tell students apart: without a teacher none of them gets above an answer that reads no "
            "input."
        )
    return ""


def _finetune(verdicts: Verdicts) -> list[tuple[str, int]]:
    """(student, place) of the rows that learn from labels alone."""
    return [(row.student, place) for place, row in enumerate(verdicts.board.rows) if row.method == PLAIN]
