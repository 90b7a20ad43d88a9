"""The folder of a built site: what a build wrote it may replace and remove, and nothing else.

`.bench-site/<part>` lists the files of one part of the site, before they are written: a build that is cut short knows
its own. Parts are the folders of records, which are built apart, and the pages over all of them.
"""

from __future__ import annotations

import filecmp
import re
from collections.abc import Iterable
from pathlib import Path

from bench.base import files
from bench.errors import RequestError

MANIFEST = ".bench-site"
OURS = re.compile(
    r"[a-z0-9]+\.(html|css|js)|(tasks|methods|students)/[a-z0-9_-]+\.html|data/[a-z0-9-]+\.js|"
    r"runs/[0-9a-f]{16}\.(html|json|npz)|api/[a-z]+\.(csv|json|parquet)|api/(rows|runs)/[a-z0-9-]+\.(csv|json|parquet)|"
    r"api/boards/[a-z0-9-]+\.json"
)


def manifests(out: Path) -> dict[str, set[str]]:
    """The files of each part; a line that no build writes is no reason to touch a file."""
    folder = out / MANIFEST
    if folder.is_file():  # of a version that had no parts: one part, which this build will outlive
        data = folder.read_bytes()
        folder.rename(folder.with_name(f"{MANIFEST}.old"))
        folder.mkdir()
        files.replace(folder / "old", data)
        folder.with_name(f"{MANIFEST}.old").unlink()
    return {path.name: _lines(path) for path in sorted(folder.iterdir())} if folder.is_dir() else {}


def _lines(path: Path) -> set[str]:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return {line for line in lines if OURS.fullmatch(line)}


class Part:
    """One part of the site while it is written."""

    def __init__(self, out: Path, name: str, others: set[str]) -> None:
        self.out, self.name, self.others = out, name, others
        self.files: set[str] = set()

    def announce(self, names: Iterable[str], before: Iterable[str] = ()) -> None:
        """Name the part's files before the first is written, beside those of an earlier build."""
        self.files = set(names)
        (self.out / MANIFEST).mkdir(parents=True, exist_ok=True)
        for folder in sorted({name.rpartition("/")[0] for name in self.files}):
            (self.out / folder).mkdir(parents=True, exist_ok=True)
        self._list(self.files | set(before))

    def put(self, name: str, data: bytes) -> None:
        """Write a file where it changed. RequestError: another file lies there that is not ours."""
        path = self.out / name
        try:
            with path.open("xb") as file:  # a new one needs no second name: cut short, it is not that of its data
                file.write(data)
            return
        except FileExistsError:
            if path.read_bytes() == data:
                return
        self._refuse(name)
        files.replace(path, data)

    def stream(self, name: str, pieces: Iterable[bytes | memoryview]) -> None:
        """`put` of what is too large to be held: written beside the file, and put in its place where it differs."""
        path = self.out / name
        with files.replacing(path) as new:
            with new.open("wb") as file:
                file.writelines(pieces)
            if path.exists() and filecmp.cmp(new, path, shallow=False):
                new.unlink()
            else:
                self._refuse(name)

    def _refuse(self, name: str) -> None:
        if name in self.others:
            raise RequestError(f"{self.out / name} was not made by bench: choose another folder with --out")

    def finish(self) -> None:
        self._list(self.files)

    def _list(self, names: set[str]) -> None:
        files.replace(self.out / MANIFEST / self.name, "".join(f"{name}\n" for name in sorted(names)).encode())
