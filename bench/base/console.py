"""Progress on standard error: lines for what happened, a bar for what is going on where there is a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

MINUTE = 60  # seconds without a word, where there is no bar


def printable(text: str) -> str:
    """The text in one line that commands no terminal and no CI: what cannot be seen is escaped, as Python writes it."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return f"./{shown}" if shown.startswith(("::", "##")) else shown


def warn(sentence: str) -> None:
    """On standard error, where there is one."""
    with suppress(OSError, ValueError, AttributeError):  # closed, or gone: what was to be said is no reason to stop
        print("bench:", printable(sentence), file=sys.stderr, flush=True)


class Console:
    """Call it with a line; `progress` moves a bar that lives on the last line of a terminal."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet or sys.stderr is None or sys.stderr.closed
        self.terminal = not self.quiet and sys.stderr.isatty()
        self.started = self.drawn = self.said = time.monotonic()
        self.bar = False

    def __call__(self, line: str) -> None:
        if self.quiet:
            return
        self._clear()
        self.said = time.monotonic()
        seconds = int(time.monotonic() - self.started)
        with suppress(OSError, ValueError):  # nobody reads it: the work goes on, and leaves its record
            print(f"{seconds // 60:3d}:{seconds % 60:02d}  {printable(line)}", file=sys.stderr, flush=True)

    def progress(self, label: str, done: int, total: int) -> None:
        """At most five times a second, so that it costs the loop nothing; without a terminal a line a minute."""
        if not self.terminal:
            if time.monotonic() - self.said > MINUTE:
                self(f"  {label} {done}/{total}")
            return
        if time.monotonic() - self.drawn < 0.2 and done < total:
            return
        self.drawn, self.bar = time.monotonic(), True
        filled = 30 * done // max(1, total)
        bar = "#" * filled + "-" * (30 - filled)
        with suppress(OSError, ValueError):
            print(f"\r\033[K        {label} [{bar}] {done}/{total}", end="", file=sys.stderr, flush=True)

    def ended(self, outcome: Mapping[str, Any]) -> None:
        """A run of several is over, as `--json` tells of it: for a console that shows all of them."""

    def _clear(self) -> None:
        if self.bar:
            with suppress(OSError, ValueError):
                print("\r\033[K", end="", file=sys.stderr)
            self.bar = False
