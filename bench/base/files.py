"""Files that are whole or not there at all, and their hashes.

What is being written has the name of its target with a dot before it, `.partial` behind it while it is filled, and
`.ready` once it is whole and waits for another file to be in its place. A command that is killed leaves such a file,
and the next one that holds the target's lock clears it or finishes it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path

LEFT = re.compile(r"\.(.+)\.[a-z0-9_]{8}\.(partial|ready)")  # the name of what a killed command left; its target's


def replace(path: Path, data: bytes, alone: bool = False) -> None:
    """Write beside the target, then rename over it. `alone`: nobody else writes it now, so what was left is cleared."""
    if alone:
        clear(left(path, "partial"))
    _filled(path, data).replace(path)


def stage(path: Path, data: bytes) -> Path:
    """Write beside the target what is to take its place once another file is in its own."""
    new = _filled(path, data)
    return new.replace(new.with_suffix(".ready"))


def _filled(path: Path, data: bytes) -> Path:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
    new = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        new.chmod(0o644)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    return new


def left(path: Path, *kinds: str) -> list[Path]:
    """What writes of this file have left, or are filling."""
    there = path.parent.iterdir() if path.parent.is_dir() else ()
    found = ((p, LEFT.fullmatch(p.name)) for p in there)
    return sorted(p for p, match in found if match and match[1] == path.name and match[2] in kinds)


def clear(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def plain(path: Path) -> bytes:
    """What a plain file holds. OSError: it cannot be read, or is a pipe or a device, which nobody waits for."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "not a plain file")
        return file.read()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
