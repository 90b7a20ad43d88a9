"""Files that are whole or not there at all, and their hashes."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def replace(path: Path, data: bytes) -> None:
    """Write beside the target, then rename over it."""
    with replacing(path) as new:
        new.write_bytes(data)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside the target, to be written and then renamed over it; removed, it leaves the target as it was."""
    handle, name = tempfile.mkstemp(prefix=".", suffix=".partial", dir=path.parent)
    os.close(handle)
    new = Path(name)
    try:
        yield new
        if new.exists():
            new.chmod(0o644)
            new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
