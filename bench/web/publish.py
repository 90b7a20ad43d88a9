"""The folder of a built site: what a build wrote it may replace and remove, and nothing else.

`.bench-site/<part>` lists the files of one part of the site, before they are written: a build that is cut short knows
its own. Parts are the folders of records, which are built apart, and the pages over all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from pathlib import Path

from bench.base import files
from bench.base.files import replace
from bench.errors import RequestError

MANIFEST = ".bench-site"
OURS = re.compile(
    r"[a-z0-9]+\.(html|css|js|svg|xml)|(tasks|methods|students|suites)/[a-z0-9_-]+\.html|data/[a-z0-9-]+\.js|"
    r"runs/[0-9a-f]{16}\.(html|json|npz)|api/[a-z]+\.(csv|json|parquet)|api/(rows|runs)/[a-z0-9-]+\.(csv|json|parquet)|"
    r"api/(boards|suites)/[a-z0-9_-]+\.json"
)


def manifests(out: Path) -> dict[str, set[str]]:
    """The files of each part; a line that no build writes is no reason to touch a file."""
    folder = out / MANIFEST
    return {path.name: _lines(path) for path in sorted(folder.glob("[!.]*"))} if folder.is_dir() else {}


def _lines(path: Path) -> set[str]:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return {line for line in lines if OURS.fullmatch(line)}


def tidy(out: Path) -> None:
    """Remove what a build that was killed was writing; the caller holds the site's lock."""
    for path in out.rglob(".*.partial") if out.is_dir() else ():
        match, folder = files.LEFT.fullmatch(path.name), path.parent.relative_to(out)
        if match and (folder == Path(MANIFEST) or OURS.fullmatch((folder / match[1]).as_posix())):
            path.unlink()


def write(out: Path, part: str, made: Mapping[str, bytes], others: Set[str]) -> None:
    """Put the files of a part in their place where they changed, after their names were listed beside those before.

    RequestError: one of them would replace a file of `others`, which are not ours.
    """
    for name in sorted(made.keys() & others):
        if (out / name).read_bytes() != made[name]:
            raise RequestError(f"{out / name} was not made by bench: choose another folder with --out")
    for folder in {out / MANIFEST, *((out / name).parent for name in made)}:
        folder.mkdir(parents=True, exist_ok=True)
    manifest = out / MANIFEST / part
    enlist(out, part, made.keys() | (_lines(manifest) if manifest.exists() else set()))
    for name, data in made.items():
        path = out / name
        if not path.exists() or path.read_bytes() != data:
            replace(path, data)


def clear(out: Path, before: Mapping[str, set[str]], now: Mapping[str, set[str]]) -> None:
    """Remove what an earlier build made and this one did not, and then forget its name."""
    for name in set().union(*before.values()).difference(*now.values()):
        (out / name).unlink(missing_ok=True)
    for part in set(before) - set(now):
        (out / MANIFEST / part).unlink(missing_ok=True)
    for part, names in now.items():
        if before.get(part, set()) - names:
            enlist(out, part, names)


def enlist(out: Path, part: str, names: Iterable[str]) -> None:
    replace(out / MANIFEST / part, "".join(f"{name}\n" for name in sorted(names)).encode())
