"""A small real site for a real browser, and what every test of it asks: what is shown, and what went wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.web.build import build
from bench.web.formats import slug
from tests.factories.records import put, size

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Opener = Callable[..., "Page"]
GPU = "Testium GPU"
NOISES = {"finetune": 0.9, "kd": 0.4, "disco": 0.38}  # of the simulated predictions: nothing separates the last two
STUDENTS = {"bert:3": (17_400_000, 0.0, 6.0), "cnn": (5_100_000, 0.3, 2.0)}  # parameters, more noise, milliseconds
DESK = {"width": 1280, "height": 720}
PHONE = {"width": 375, "height": 700}
LITE_SEEDS = {"finetune": 0, "kd": 0, "disco": 7}  # the last one shares no seed with the others


def executable() -> str | None:
    """The system's Chromium; the tests download none."""
    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    return next((path for path in found if path), None)


@dataclass(frozen=True)
class Site:
    """A built site, and the facts that its pages are to show."""

    results: Path
    out: Path

    @cached_property
    def boards(self) -> dict[str, dict[str, Any]]:
        """{track: board}"""
        found = [json.loads(path.read_bytes()) for path in sorted((self.out / "api/boards").glob("*.json"))]
        return {board["track"]: board for board in found}

    @cached_property
    def kinds(self) -> dict[str, str]:
        """A page of every kind."""
        board = self.boards["mini"]
        row = next(row for row in board["rows"] if row["method"] == "disco")
        return {
            "index": "index.html", "task": f"tasks/{board['slug']}.html", "method": "methods/disco.html",
            "unmeasured": "methods/tinybert.html", "student": f"students/{slug(row['student'])}.html",
            "run": f"runs/{row['runs'][0]['run_id']}.html", "compare": "compare.html", "papers": "papers.html",
            "downloads": "downloads.html", "about": "about.html", "404": "404.html",
        }  # fmt: skip

    def address(self, name: str) -> str:
        """The address of a page by its kind or file, as of one opened from a folder; two rows are compared."""
        one, two = (self.boards["mini"]["rows"][place]["key"] for place in (1, 2))
        query = f"?board={self.boards['mini']['slug']}&a={one}&b={two}" if name == "compare" else ""
        return (self.out / self.kinds.get(name, name)).as_uri() + query


KINDS = (
    "index", "task", "method", "unmeasured", "student", "run", "compare", "papers", "downloads", "about", "404",
)  # fmt: skip


def small(folder: Path) -> Site:
    """Three methods with two students over three seeds on two machines, and a board whose rows share few seeds."""
    results = folder / "results"
    for method, noise in NOISES.items():
        for student, (_, more, _) in STUDENTS.items():
            for seed in range(3):
                score = (1 + 2 * (noise + more) ** 2) ** -0.5 + 0.002 * seed
                changes = measured(method, student, seed) | {"student": student, "value": round(score, 4)}
                put(results, noise + more, method, seed, taught=True, **changes)
    for method, seed in LITE_SEEDS.items():
        put(results, NOISES[method], method, seed, track="lite", value=0.7)
    return built(folder)


def measured(method: str, student: str, seed: int) -> dict[str, Any]:
    """Size and speed of a run: disco's cnn was timed on a machine twice as fast alone, kd's bert:3 on both. The
    networks of each method have other counts, as rows that share a network share its speed; the teacher takes 8 ms."""
    total, _, ms = STUDENTS[student]
    slower = {"finetune": 0.25, "kd": 1.5, "disco": 0.75}[method]
    ms += slower
    other = (method, student) == ("disco", "cnn") or (method, student, seed) == ("kd", "bert:3", 2)
    ms *= 0.5 if other else 1
    sizes = size(total + 12_000_000, 4 * total, ms, 2000 / ms)
    ratio = {"value": 8 / ms, "ci95": (7.6 / ms, 8.4 / ms)}
    told = sizes | {
        "flops": {"mean": 1e6 * total + slower},
        "speedup": ratio,
        "speedups": {"single": ratio, "offline": ratio},
    }
    changes = {f"efficiency__{key}": value for key, value in told.items()}
    return changes | ({"efficiency__device": GPU} if other else {})


def built(folder: Path) -> Site:
    """Build <folder>/results into a folder with a name that an address has to quote."""
    out = folder / "my site, 100% übung #1"
    build(folder / "results", out)
    return Site(folder / "results", out)


def window(browser: Browser, **options: Any) -> Page:
    """A window with a profile of its own."""
    page = browser.new_context(**options).new_page()
    page.set_default_timeout(10_000)
    return page


@dataclass
class Heard:
    """What a page did that no page may do, or that a test wants to know of."""

    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)


def listen(page: Page) -> Heard:
    """From now on keep the page's errors, requests and dialogs."""
    heard = Heard()
    page.on("pageerror", lambda error: heard.errors.append(str(error)))
    page.on("console", lambda said: heard.errors.append(said.text) if said.type in ("error", "warning") else None)
    page.on("request", lambda request: heard.requests.append(request.url))
    page.on("dialog", lambda dialog: (heard.dialogs.append(dialog.message), dialog.dismiss()))
    return heard


def order(page: Page, table: str = "#rows") -> list[str]:
    """Rows of the board by their keys, as they stand on the page; hidden ones left out."""
    script = "rows => rows.filter(r => r.checkVisibility()).map(r => r.id)"
    return page.eval_on_selector_all(f"{table} tbody tr", script)


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth - window.innerWidth")


def open_details(page: Page, at_most: int = 1000) -> None:
    """Unfold what is folded, so that a check sees it."""
    page.eval_on_selector_all("details", "(all, n) => all.slice(0, n).forEach(d => { d.open = true; })", at_most)


def state(page: Page) -> Mapping[str, str]:
    """What the address remembers."""
    return page.evaluate("Object.fromEntries(new URL(location.href).searchParams)")
