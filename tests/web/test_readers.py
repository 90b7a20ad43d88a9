"""The built site for everybody: by keyboard, in the dark, on a phone, without JavaScript; and hostile records in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="needs playwright, of the extra `dev`")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from bench.web.build import build
from tests.test_leaderboard import make
from tests.web import browser as pages
from tests.web.browser import KINDS, Site, listen, open_details, order, overflow, state
from tests.web.test_pages import attack

pytestmark = pytest.mark.skipif(pages.executable() is None, reason="needs Chromium")
Opener = Callable[..., Page]
PHONE = {"viewport": {"width": 375, "height": 700}}


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_is_quiet_asks_nobody_and_fits_a_phone(chromium: Browser, site: Site, kind: str) -> None:
    """With the Content-Security-Policy on: nothing in the console, every request a file of the site."""
    context = chromium.new_context(**PHONE)
    page = context.new_page()
    heard = listen(page)
    page.goto(site.address(kind))
    open_details(page)
    expect(page.locator(".theme")).to_be_visible()
    assert heard.errors == [] and heard.dialogs == []
    folder = site.out.as_uri()
    assert all(url.startswith((folder, "data:,")) for url in heard.requests) and len(heard.requests) >= 3
    assert overflow(page) <= 0
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", KINDS)
def test_axe_finds_nothing_serious(chromium: Browser, site: Site, kind: str, scheme: Any) -> None:
    """Contrast in both themes, names of controls, order of headings, tables ...: axe-core with all its rules."""
    context = chromium.new_context(color_scheme=scheme, bypass_csp=True)  # for axe alone, which is put into the page
    page = context.new_page()
    page.goto(site.address(kind))
    open_details(page, 3)
    found = Axe().run(page, options={"preload": False}).response["violations"]
    told = [(v["id"], v["impact"], v["nodes"][0]["html"][:120]) for v in found]
    assert [t for t in told if t[1] in ("serious", "critical")] == []
    context.close()


def test_axe_would_find_something(opened: Opener) -> None:
    """The check above can fail."""
    page = opened("task", bypass_csp=True)
    page.evaluate("(s => s.closest('label').replaceWith(s))(document.querySelector('[name=method]'))")
    found = Axe().run(page, options={"preload": False}).response["violations"]
    assert "select-name" in [v["id"] for v in found]


def focused(page: Page) -> str:
    return page.evaluate("(document.activeElement.name || document.activeElement.textContent).trim()")


def test_everything_is_reached_by_keyboard(opened: Opener, site: Site) -> None:
    """Tab goes from the skip link through filters and headings to the end of the page, and Enter sorts."""
    page = opened("task")
    page.keyboard.press("Tab")
    assert (
        focused(page) == "Skip to content" and page.locator(".skip").evaluate("e => e.getBoundingClientRect().left") > 0
    )
    seen = []
    for _ in range(200):
        page.keyboard.press("Tab")
        seen.append(focused(page))
        if seen[-1] == "Retention, %":
            break
    assert [s for s in seen if s in ("find", "family", "method", "student")] == ["find", "family", "method", "student"]
    page.keyboard.press("Enter")
    expect(page.locator('#rows th[data-col="retention"]')).to_have_attribute("aria-sort", "descending")
    page.keyboard.press("Space")
    expect(page.locator('#rows th[data-col="retention"]')).to_have_attribute("aria-sort", "ascending")
    rows = sorted((r for r in site.boards["mini"]["rows"] if r["method"]), key=lambda r: r["retention"])
    assert order(page) == [0, *(r["row"] for r in rows)]
    for _ in range(300):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            return
    pytest.fail("the keyboard never leaves the page")


def test_skipping_leads_to_the_content(opened: Opener) -> None:
    page = opened("task")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")


def test_a_command_is_copied_whole(opened: Opener, site: Site) -> None:
    page = opened("run", permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").first.click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    record = json.loads((site.out / site.kinds["run"]).with_suffix(".json").read_bytes())
    page.keyboard.press("Tab")
    script = "() => { const a = document.createElement('textarea'); document.body.append(a); a.focus(); return a; }"
    area = page.evaluate_handle(script)
    page.keyboard.press("Control+V")
    assert area.evaluate("a => a.value") == record["provenance"]["command"]


def ground(page: Page) -> int:
    """How bright the background is, 0 to 255."""
    return page.evaluate("Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])")


def test_light_and_dark_are_the_system_s_choice_until_a_reader_makes_one(opened: Opener) -> None:
    page = opened("index", color_scheme="dark")
    assert ground(page) < 60
    page.get_by_role("button", name="Switch to light colours").click()
    assert ground(page) > 200
    page.reload()
    assert ground(page) > 200 and state(page) == {}
    page.get_by_role("button", name="Switch to dark colours").click()
    assert ground(page) < 60
    assert ground(opened("index", color_scheme="light")) > 200


@pytest.mark.parametrize("kind", KINDS)
def test_pages_stand_without_javascript(chromium: Browser, site: Site, kind: str) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(site.address(kind))
    assert page.locator("h1").is_visible() and page.locator("button").count() == 0
    for form in page.locator("form").all():
        assert form.is_hidden(), "a form that does nothing"
    context.close()


def test_a_board_without_javascript_has_every_row_and_chart(opened: Opener, site: Site) -> None:
    page = opened("task", java_script_enabled=False)
    rows = site.boards["mini"]["rows"]
    assert page.locator("#rows tbody tr").count() == len(rows)
    assert all(svg.is_visible() for svg in page.locator("svg.chart").all()) and page.locator("svg.chart").count() == 6
    assert page.get_by_text("To repeat a row").is_visible()
    compare = opened("compare", java_script_enabled=False)
    assert "bench compare A B --task TASK" in compare.locator("main").inner_text()


def test_the_reader_of_a_board_finds_what_a_row_stands_for(opened: Opener, site: Site) -> None:
    """Teacher, student, method, what latency means and on which machine, ties, claims of papers, how to repeat."""
    text = opened("task", java_script_enabled=False).locator("main").inner_text()
    for words in (
        "kd", "cnn", "all-MiniLM-L6-v2", "Inside the clock: model only", "bench verify RUN",
        "Latency is the median (p50) of one input at a time", "CPU: Testium 3, 4 cores, 2 threads", pages.GPU,
        "marks rows that nothing separates from the best",
    ):  # fmt: skip
        assert words in text, words
    assert "never ranked" in opened("papers").locator("main").inner_text()


def attacked(folder: Path) -> Site:
    """Hostile text in every field of a record, and other signs than those of HTML in names."""
    results = folder / "results"
    results.mkdir()
    wide = "\u202eevil\u202c" + "W" * 300
    evil = [wide, "{{ 7 * 7 }}", "javascript:alert(1)", "${alert(1)}", "</script><script>alert(1)</script>"]
    found = [attack(make("kd"))]
    found += [make(name, student=name, teacher=name, track="lite") for name in evil]
    for i, record in enumerate(found):
        (results / f"{i}.json").write_text(record.model_dump_json(by_alias=True), encoding="utf-8")
    build(results, folder / "out")
    return Site(results, folder / "out")


def test_hostile_records_run_nothing(chromium: Browser, tmp_path: Path) -> None:
    """On every page: no dialog, no script but ours, no link that is code, no sideways scrolling; the text is shown."""
    hostile = attacked(tmp_path)
    context = chromium.new_context(**PHONE)
    page = context.new_page()
    heard, shown = listen(page), ""
    for path in sorted(hostile.out.rglob("*.html")):
        page.goto(path.as_uri())
        open_details(page)
        assert page.locator("script:not([src$='board.js']):not([src^='data/']), iframe, img, object").count() == 0
        assert page.locator("a[href^='javascript' i], [onclick], [onerror]").count() == 0
        assert overflow(page) <= 0, path.name
        shown += page.locator("body").text_content() or ""
    compare = next(hostile.out.glob("compare.html"))
    page.goto(
        f"{compare.as_uri()}?a=%3Cscript%3Ealert(1)%3C/script%3E&board=%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E"
    )
    expect(page.locator("#compared")).not_to_be_empty()
    assert heard.dialogs == [] and heard.errors == []
    assert all(url.startswith(("file:", "data:,")) for url in heard.requests)
    assert "\u202e" not in shown and "\N{REPLACEMENT CHARACTER}evil" in shown, "a name turns no words round"
    for text in ("<script>alert(1)</script>", "{{ 7*7 }}", "{{ 7 * 7 }}", "${alert(1)}", "javascript:alert(1)"):
        assert text in shown
    context.close()
