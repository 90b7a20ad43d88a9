"""Ctrl-C and SIGTERM: training ends its update and leaves a checkpoint first; a second one ends the command at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass
class Asked:
    """What this process was asked to do."""

    status: int = 130  # of a command that ends by the signal: 128 and its number
    said: str = ""  # what the same command will do


asked = Asked()


def as_interrupt() -> None:
    """From now on SIGTERM is what Ctrl-C is. A process that this one forks ends by it, as ever."""
    own = os.getpid()
    asked.status, asked.said = 130, ""

    def stop(number: int, _: Any) -> None:
        if os.getpid() != own:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        asked.status = 128 + number
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)


@contextmanager
def between_steps() -> Iterator[Callable[[], bool]]:
    """Inside, the first signal is noted, which the callable tells, and the next one interrupts. Outside of the main
    thread, which alone is told of signals, nothing is changed."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    noted: list[int] = []

    def note(number: int, _: Any) -> None:
        asked.status = 128 + number
        noted.append(number)
        if len(noted) > 1:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield lambda: bool(noted)
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
    if noted:  # after the last step
        raise KeyboardInterrupt


@contextmanager
def saying(what: Callable[[], str]) -> Iterator[None]:
    """Where this is interrupted, `what()` is what the same command will do, unless something inside has said it."""
    try:
        yield
    except KeyboardInterrupt as stop:
        stop.args = stop.args or (what(),)
        asked.said = stop.args[0]
        raise
