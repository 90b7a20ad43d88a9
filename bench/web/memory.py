"""What a build keeps of each board in the store, beside what it knows of the folders of records."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.base import files
from bench.store import folders

COMPARED = "compared.json"
TABLES = ("rows", "runs")
KINDS = (COMPARED, *(f"{table}.arrow" for table in TABLES))


@dataclass(frozen=True)
class Memory:
    """A folder of files <slug of a board>.<kind>, written by one version of the code."""

    folder: Path
    version: str

    def read(self, slug: str, kind: str) -> bytes:
        """OSError: it is not there."""
        return self._path(slug, kind).read_bytes()

    def write(self, slug: str, kind: str, data: bytes) -> None:
        folders.make_folder(self.folder)
        files.replace(self._path(slug, kind), data)

    def holds(self, slugs: Iterable[str]) -> bool:
        """Whether all is there of these boards."""
        return all(self._path(slug, kind).is_file() for slug in slugs for kind in KINDS)

    def keep(self, slugs: Iterable[str]) -> None:
        """Forget all other boards."""
        wanted = {self._path(slug, kind) for slug in slugs for kind in KINDS}
        for path in set(self.folder.glob("*")) - wanted:
            path.unlink(missing_ok=True)

    def _path(self, slug: str, kind: str) -> Path:
        return self.folder / f"{slug}.{kind}"
