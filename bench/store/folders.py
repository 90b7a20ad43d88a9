"""The store: teacher signals and run checkpoints on disk, keyed by content.

    <cache>/signals/<key>/{meta.json, embedding.npy}     teacher signals, read through memory maps (by row: rows.py)
    <cache>/images/<key>/{meta.json, pixels.npy}         images that were decoded (bench.data.decoded)
    <cache>/tokens/<key>/{meta.json, flat.npy ...}       texts as a tokenizer reads them (bench.inputs)
    <cache>/runs/<run id>/checkpoint.safetensors         an unfinished run; student.safetensors once it is done
    <cache>/teachers/<key>/{teacher.safetensors, record.json}    a teacher that was fine-tuned (bench.runs.teach)
    <cache>/timings/<key>/session.json                   a session of the clock (bench.measuring.cache)

A folder appears under its final name only when it is complete, so an interrupted write is never read.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
import traceback
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from bench.base.processes import main_first
from bench.errors import BenchError, RequestError


def root() -> Path:
    """BENCH_CACHE, else `bench` in the user's cache folder. RequestError: there is none."""
    if os.environ.get("BENCH_CACHE"):
        return Path(os.environ["BENCH_CACHE"])
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bench"
    except RuntimeError:  # no HOME, and a user that the system does not know, as in a container
        raise RequestError("there is no home folder to keep the store in: name one with BENCH_CACHE") from None


def content_key(**parts: Any) -> str:
    """A short hash of everything that decides a value."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]


def log(error: BaseException) -> Path:
    """The file that a traceback was written to: of the last error that nobody expected."""
    path = make_folder(root()) / "error.txt"
    path.write_text("".join(traceback.format_exception(error)), encoding="utf-8", errors="replace")
    return path


def student_of(run_id: str) -> Path:
    """Where a finished run's student is kept."""
    return root() / "runs" / run_id / "student.safetensors"


def gone(run_id: str) -> str:
    """Why nothing can be done with the student of a run that is not kept."""
    place = student_of(run_id)
    return (
        f"the student of {run_id} is no longer in the store ({place}): run it again with --results elsewhere, or say "
        "bench export --retrain"
    )


ROOMS = {
    "signals": "signals",
    "runs": "run",
    "teachers": "teacher",
    "timings": "timings",
    "tokens": "tokens",
    "images": "images",
}  # kinds
UNFINISHED = ".writing-"  # before the name of a folder that is being filled
QUOTA = "BENCH_STORE_QUOTA"  # an environment variable, so that processes which a run starts know it too
LARGEST = 10**18  # bytes
UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def quota() -> int:
    """Bytes that all signals may take where large ones are stored. RequestError: no size."""
    text = os.environ.get(QUOTA) or "4GB"
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)b?", text.strip().lower())
    if not match:
        raise RequestError(f"the store's quota '{text}' is no size: write it as in 500MB, 4GB or 0")
    size = float(match[1]) * UNITS[match[2]]
    if size > LARGEST:
        raise RequestError(f"the store's quota '{text[:20]}' is no size of a disk")
    return int(size)


def set_quota(text: str) -> None:
    """For this process and those it starts. RequestError: no size."""
    os.environ[QUOTA] = text
    quota()


def used() -> int:
    """Bytes that teacher signals take on disk."""
    return sum(on_disk(f) for f in (root() / "signals").glob("*/*") if f.is_file())


def on_disk(file: Path) -> int:
    """Bytes that a file really takes: an array that is filled row by row has holes."""
    return min(file.stat().st_blocks * 512, file.stat().st_size)


@contextmanager
def told(folder: Path) -> Iterator[None]:
    """What goes wrong with the disk becomes one sentence."""
    try:
        yield
    except OSError as error:
        raise BenchError(f"cannot write the teacher store in {folder}: {error.strerror}") from error


@contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """A folder to fill, which gets its name when it is complete; the caller holds the lock. A full disk leaves nothing.

    What an interrupted write left goes, and so does a damaged folder of this name.
    """
    temporary = folder.with_name(f"{UNFINISHED}{folder.name}")
    make_folder(folder.parent)
    for left in (folder, temporary):
        shutil.rmtree(left, ignore_errors=True)
    try:
        with told(folder.parent):
            temporary.mkdir()
            yield temporary
            temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def locked(name: str, tell: Callable[[], Any] | None = None, seconds: float = -1) -> Iterator[None]:
    """One process at a time; the others wait, so long (-1: for ever), and tell of it. The lock dies with its process.

    RequestError: it was not to be had in that time.
    """
    lock = FileLock(make_folder(root() / "locks") / f"{name}.lock")
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if tell:
                tell()
            lock.acquire(timeout=seconds)
    except Timeout:
        raise RequestError(f"{name} is in use by another bench process") from None
    except OSError as error:
        raise RequestError(f"cannot lock {lock.lock_file}: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()


def make_folder(folder: Path) -> Path:
    """Create a folder, or say in one sentence why it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"cannot create the folder {folder}: {error.strerror}") from None
    return folder


def signals(key: str, meta: dict[str, Any], compute: Callable[[], dict[str, np.ndarray]]) -> tuple[dict, dict]:
    """`arrays` of a teacher's signals, by name."""
    return arrays("signals", key, meta, compute)


@main_first
def arrays(
    room: str, key: str, meta: dict[str, Any], compute: Callable[[], dict[str, np.ndarray]]
) -> tuple[dict, dict]:
    """Stored arrays by name (memory-mapped) and their meta data; computed and stored when they are not there.

    `meta["fresh"]` says whether this call computed them.
    """
    folder = root() / room / key
    with locked(lock_name(room, key)):
        try:
            found, kept = read_folder(folder)
            fresh = False
        except (OSError, ValueError, KeyError, TypeError, EOFError):  # not there, or damaged
            write_folder(folder, meta, compute)
            found, kept = read_folder(folder)
            fresh = True
        os.utime(folder / "meta.json")  # last use, shown by `bench store ls`
    return found, kept | {"fresh": fresh}


def lock_name(room: str, key: str) -> str:
    """What a folder of the store is locked by."""
    return key if room == "signals" else f"{ROOMS[room]}-{key}"


def read_folder(folder: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """(memory-mapped arrays, meta data), all that was written. ValueError: an array is not what was written."""
    meta = json.loads((folder / "meta.json").read_text())
    names = meta["arrays"]
    if "checksums" in meta and any(checksum(folder / f"{name}.npy") != meta["checksums"][name] for name in names):
        raise ValueError("damaged")
    return {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in names}, meta


def write_folder(folder: Path, meta: dict[str, Any], compute: Callable[[], dict[str, np.ndarray]]) -> None:
    """Compute arrays and put them in place in one rename; the caller holds the lock."""
    started = time.perf_counter()
    arrays = compute()
    meta = {"rows": len(next(iter(arrays.values())))} | meta | {"seconds": time.perf_counter() - started}
    with appearing(folder) as new:
        for name, array in arrays.items():
            np.save(new / f"{name}.npy", array, allow_pickle=False)
        sums = {name: checksum(new / f"{name}.npy") for name in arrays}
        (new / "meta.json").write_text(json.dumps(meta | {"arrays": list(arrays), "checksums": sums}, indent=1))


def checksum(path: Path) -> int:
    """CRC-32 of a file: against a disk that forgets, which is quicker than a hash against people."""
    found = 0
    with path.open("rb") as file:
        while block := file.read(1 << 24):
            found = zlib.crc32(block, found)
    return found


@dataclass(frozen=True)
class Entry:
    """One thing in the store, as `bench store ls` shows it."""

    kind: str  # one of ROOMS, or unfinished: a write that was interrupted, or goes on
    key: str
    detail: str
    size: int  # bytes
    used: float  # last use, seconds since the epoch
    path: Path


def entries() -> list[Entry]:
    """Everything in the store, newest use first."""
    found = [_entry(kind, p) for room, kind in ROOMS.items() for p in (root() / room).glob("*") if p.is_dir()]
    return sorted(found, key=lambda e: -e.used)


def _entry(kind: str, path: Path) -> Entry:
    files = [f for f in path.iterdir() if f.is_file()]
    used = max((f.stat().st_mtime for f in files), default=path.stat().st_mtime)
    detail = ", ".join(sorted(f.name for f in files))
    if path.name.startswith(UNFINISHED):
        kind = "unfinished"
    elif kind == "signals":
        try:
            meta = json.loads((path / "meta.json").read_text())
            rows = f"{meta['rows']} of {meta['of']}" if "of" in meta else f"{meta['rows']}"
            detail = f"{meta['teacher']}: {rows} x {', '.join(meta['signals'])}"
        except (OSError, ValueError, KeyError, TypeError):
            detail = "damaged; it will be computed again"
    return Entry(kind, path.name.removeprefix(UNFINISHED), detail, sum(map(on_disk, files)), used, path)


def remove(keys: list[str]) -> int:
    """Delete entries by key or unambiguous beginning; bytes freed. RequestError: no such key, several, or in use."""
    present = entries()
    chosen: dict[Path, Entry] = {}
    for key in keys:
        matches = [e for e in present if e.key == key] or [e for e in present if key and e.key.startswith(key)]
        if len({e.key for e in matches}) != 1:
            raise RequestError(f"'{key}' names {len(matches) or 'no'} entries of the store: see bench store ls")
        chosen |= {e.path: e for e in matches}
    for entry in chosen.values():
        with locked(lock_name(entry.path.parent.name, entry.key), seconds=0):
            shutil.rmtree(entry.path, ignore_errors=True)
    return sum(e.size for e in chosen.values())
