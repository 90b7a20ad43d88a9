"""Sites built from made-up records with real predictions, and a reader of their pages."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from bench.base.archive import pack
from bench.base.files import sha256
from bench.records import disk
from bench.records.arrays import flatten
from bench.records.schemas import Record
from bench.web.build import build
from tests.factories.records import make

VOID = {"meta", "link", "br", "hr", "img", "input"}
EXAMPLES = 60


class Page(HTMLParser):
    """Checks that tags match, and keeps what a test asks for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[list[list[str]]] = []
        self.text = ""
        self.cell = False
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes another tag"

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.open and {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] = " ".join((self.tables[-1][-1][-1] + " " + data).split())

    def values(self, *names: str) -> list[str]:
        return [attrs[n] or "" for _, attrs in self.tags for n in names if n in attrs]


def save(results: Path, *found: Record) -> None:
    """Records as a run leaves them, but that nothing can be computed from their predictions."""
    for record in found:
        disk.write(results, record, {"lee/prediction": np.zeros(2, np.float32)}, {"single": {"student": [[1]]}})


def scored(results: Path, method: str, seed: int, noise: float, **changes: Any) -> Record:
    """A record whose scores are those of predictions that lie beside it: the gold scores with noise."""
    gold = np.random.default_rng(0).normal(size=EXAMPLES)
    teacher = gold + 0.3 * np.random.default_rng(1).normal(size=EXAMPLES)
    made = gold + noise * np.random.default_rng([seed, round(1000 * noise), len(method)]).normal(size=EXAMPLES)
    value, above = (float(spearmanr(p, gold).statistic) for p in (made, teacher))
    arrays = flatten({"lee": {"prediction": made, "gold": gold, "teacher": teacher}})
    told = {
        "metrics__all": {"lee": {"spearman": value}}, "metrics__retention": value / above,
        "teacher__metrics": {"lee": {"spearman": above}},
        "teacher__main": {"name": "spearman", "dataset": "lee", "value": above, "ci95": (above - 0.1, above + 0.05)},
    }  # fmt: skip
    record = make(method, seed, value, **told, **changes)
    digest = sha256(pack(arrays))
    record = make(method, seed, value, predictions__sha256=digest, **told, **changes)
    disk.write(results, record, arrays, {"single": {"student": [[1]]}})
    return record


def site(tmp_path: Path, *found: Record) -> Path:
    """The site of records without predictions."""
    save(tmp_path / "results", *found)
    build(tmp_path / "results", tmp_path / "out")
    return tmp_path / "out"


def page(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def task_page(out: Path, task: str = "sts-mini") -> Path:
    """The page of the only board of a task and track."""
    (found,) = [path for path in out.glob(f"tasks/{task}-*.html") if not path.stem.endswith(("-all", "-axes"))]
    return found


def board_rows(out: Path, task: str = "sts-mini") -> dict[str, list[str]]:
    """Rows of a board by their first cell."""
    return {row[0]: row for row in page(task_page(out, task)).tables[0]}


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
