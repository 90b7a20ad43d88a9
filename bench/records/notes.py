"""`NOTE.md` beside the methods' folders of a track and task: what somebody has to say of the records there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from bench.base import files
from bench.errors import RequestError
from bench.records.values import odd

NAME = "NOTE.md"
PLACE = re.compile(rf"(?:[^/]+/){{2,}}{re.escape(NAME)}")  # below the folder of results
LONGEST = 20_000  # bytes


def read(path: Path) -> str:
    """RequestError: it is no text, or too long, or cannot be read."""
    try:
        if path.stat().st_size > LONGEST:
            raise RequestError(f"{path} is longer than {LONGEST:,} bytes: a note is a few paragraphs")
        return files.plain(path).decode()
    except UnicodeDecodeError:
        raise RequestError(f"{path} is not a text in UTF-8") from None
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror}") from None


def doubts(path: Path) -> Iterator[str]:
    """Why a note is none that a board shows."""
    if why := odd(read(path)):
        yield why
    if next(path.parent.glob("*/*/*.json"), None) is None:
        yield "a note on no records: it lies beside the methods' folders of a track and task"
