"""The one board, or the one hardware, that a command means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from bench.board.leaderboard import Board
from bench.board.speed import Hardware
from bench.errors import RequestError

T = TypeVar("T")


def board(boards: Sequence[Board], name: str) -> Board:
    """`name`: a slug, or the beginning of a data identity. RequestError: none or several are called so."""
    return one("--board", name, boards, lambda b: name == b.slug or b.identity.startswith(name), lambda b: b.words)


def hardware(board: Board, name: str) -> Hardware:
    """What latencies are read from; `name` is a part of device and threads, or the whole description. RequestError:
    none or several are called so, or nothing was timed.

    A part of the scope would not do: `TPU` is in `outputs`.
    """

    def fits(hardware: Hardware) -> bool:
        return name.lower() in hardware.machine.lower() or name.lower() == hardware.words.lower()

    if not board.hardware:
        raise RequestError(
            "no run of this board was timed: --here times its networks on this machine, bench run --remeasure its runs"
        )
    return one("--device", name, board.hardware, fits, lambda hardware: hardware.words)


def one(option: str, name: str, there: Sequence[T], fits: Callable[[T], bool], words: Callable[[T], str]) -> T:
    """The one that fits. RequestError: none or several do, with the choices."""
    found = [own for own in there if fits(own)]
    if len(found) == 1:
        return found[0]
    choices = "; ".join(map(words, found or there))
    if not found:
        raise RequestError(f"nothing here is of {option} {name}: there are {choices}")
    raise RequestError(f"these cannot be compared: choose with {option}: {choices}")
