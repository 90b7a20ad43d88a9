"""Progress on standard error: lines for what happened, a bar for what is going on where there is a terminal."""

from __future__ import annotations

import sys
import time


class Console:
    """Call it with a line; `progress` moves a bar that lives on the last line of a terminal."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.terminal = sys.stderr.isatty() and not quiet
        self.started = self.drawn = time.monotonic()
        self.bar = False

    def __call__(self, line: str) -> None:
        if self.quiet:
            return
        self._clear()
        seconds = int(time.monotonic() - self.started)
        print(f"{seconds // 60:3d}:{seconds % 60:02d}  {line}", file=sys.stderr, flush=True)

    def progress(self, label: str, done: int, total: int) -> None:
        """At most five times a second, so that it costs the loop nothing."""
        if not self.terminal or (time.monotonic() - self.drawn < 0.2 and done < total):
            return
        self.drawn, self.bar = time.monotonic(), True
        filled = 30 * done // max(1, total)
        bar = "#" * filled + "-" * (30 - filled)
        print(f"\r\033[K        {label} [{bar}] {done}/{total}", end="", file=sys.stderr, flush=True)

    def _clear(self) -> None:
        if self.bar:
            print("\r\033[K", end="", file=sys.stderr)
            self.bar = False
