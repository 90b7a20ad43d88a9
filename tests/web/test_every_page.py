"""Every kind of page in a real browser: by keyboard, in the dark, on a phone, without JavaScript, for screen readers.

And with records that somebody wrote to break them.
"""

from __future__ import annotations

from importlib.resources import files

import pytest

pytest.importorskip("playwright", reason="needs playwright, of the extra `dev`")

from playwright.sync_api import Page, expect

from tests.web import hostile
from tests.web.browser import KINDS, PHONE, Opener, Site, listen, open_details, order, overflow

every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
def test_a_page_asks_for_nothing_but_its_folder_and_nothing_fails(opened: Opener, site: Site, kind: str) -> None:
    """With the content security policy in force: what it forbids would be an error in the console."""
    page = opened("about")
    heard = listen(page)
    page.goto(site.address(kind))
    open_details(page)
    if kind == "compare":
        expect(page.locator("#compared table")).to_be_visible()
    assert site.address(kind) in heard.requests and any(url.endswith("/page.js") for url in heard.requests)
    assert not [url for url in heard.requests if not url.startswith((site.out.as_uri(), "data:"))]
    assert not heard.errors and not heard.dialogs
    policy = page.locator('meta[http-equiv="Content-Security-Policy"]').get_attribute("content") or ""
    assert "default-src 'none'" in policy and "unsafe" not in policy


def test_the_policy_forbids_scripts_of_a_page(opened: Opener) -> None:
    """A second wall: were a record's text ever to become an element, it would not run."""
    page = opened("index")
    heard = listen(page)
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.hacked = 1\">')")
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), { text: 'window.hacked = 1' }))"
    )
    page.wait_for_function("() => document.querySelector('img').complete")
    assert page.evaluate("window.hacked === undefined") and heard.errors


# For whom


@every_kind
def test_a_phone_scrolls_no_page_sideways(opened: Opener, kind: str) -> None:
    page = opened(kind)
    page.set_viewport_size(PHONE)
    open_details(page)
    assert overflow(page) <= 0
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


@every_kind
def test_axe_finds_no_barrier_by_day_and_night(opened: Opener, kind: str) -> None:
    pytest.importorskip("axe_playwright_python", reason="needs axe-playwright-python, of the extra `dev`")
    axe = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    page = opened(kind)
    open_details(page, 3)  # the papers' page has dozens of one make
    page.evaluate(axe)  # which no policy of the page forbids: it comes from the debugger
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = page.evaluate("axe.run({ preload: false, resultTypes: ['violations'] })")
        assert found["passes"], "axe looked at nothing"
        assert not [
            (scheme, v["id"], [node["html"] for node in v["nodes"]][:3])
            for v in found["violations"]
            if v["impact"] in ("serious", "critical")
        ]


def ground(page: Page) -> str:
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


@pytest.mark.parametrize(("scheme", "other"), [("light", "dark"), ("dark", "light")])
def test_the_system_chooses_the_colours_until_somebody_does(
    opened: Opener, site: Site, scheme: str, other: str
) -> None:
    """And then their choice holds, over a reload and on other pages."""
    grounds = {"light": "rgb(253, 253, 252)", "dark": "rgb(22, 24, 27)"}
    page = opened("index", color_scheme=scheme)
    assert ground(page) == grounds[scheme]
    page.get_by_role("button", name=f"Switch to {other} colours").click()
    assert ground(page) == grounds[other]
    page.reload()
    assert ground(page) == grounds[other]
    page.goto(site.address("run"))
    assert ground(page) == grounds[other]
    page.get_by_role("button", name=f"Switch to {scheme} colours").click()
    assert ground(page) == grounds[scheme]


def test_without_javascript_the_tables_charts_and_notes_stand(opened: Opener, site: Site) -> None:
    page = opened("task", java_script_enabled=False)
    board = site.boards["mini"]
    rows = page.locator("#rows tbody tr")
    expect(rows).to_have_count(len(board["rows"]))
    assert all(row.is_visible() for row in rows.all())
    charts = page.locator("svg.chart")
    assert charts.count() == 8 and all(chart.is_visible() for chart in charts.all())
    assert charts.first.locator("[data-mark]").count() == 6, "all rows but the one that another machine timed"
    assert page.locator(".notes").first.is_visible() and page.locator("form:visible, button:visible").count() == 0
    page.goto(site.address("run"))
    assert page.locator("svg.chart").is_visible() and page.locator("[data-copy]").first.is_visible()
    page.goto(site.address("index"))
    assert page.locator(".answers li:visible").count() == 2 and page.locator("#parts tbody tr:visible").count() == 2
    assert page.locator("form:visible").count() == 0
    page.goto(site.address("compare"))
    assert page.locator("form:visible").count() == 0
    assert "bench compare A B" in page.locator(".gap").inner_text()


# Keyboard and clipboard

STOP = """() => {
    const here = document.activeElement, style = getComputedStyle(here), box = here.getBoundingClientRect();
    const name = here.getAttribute("name") || here.closest("[data-col]")?.dataset.col || here.textContent.trim();
    const seen = style.outlineStyle !== "none" || here.classList.contains("skip");
    return here === document.body ? null : [here.tagName.toLowerCase(), name, seen && box.right > 0 && box.width > 0];
}"""


def walk(page: Page) -> list[tuple[str, str]]:
    """All that Tab reaches until it leaves the page, each of it seen to have the focus."""
    stops: list[tuple[str, str]] = []
    for _ in range(500):
        page.keyboard.press("Tab")
        found = page.evaluate(STOP)
        if found is None:
            return stops
        tag, name, seen = found
        assert seen, f"nobody sees that {tag} {name} has the focus"
        stops.append((tag, name))
    raise AssertionError("Tab never leaves the page")


def test_the_keyboard_alone_reaches_everything(opened: Opener) -> None:
    page = opened("task", "?columns=all")
    stops = walk(page)
    assert stops[0] == ("a", "Skip to content")
    names = page.eval_on_selector_all("#rows th[data-col]", "all => all.map(h => h.dataset.col)")
    fields = ["find", "family", "method", "student", "hardware", "latency", "parameters", "open"]
    places = [stops.index(("input" if n in {"find", "latency", "parameters", "open"} else "select", n)) for n in fields]
    assert places == sorted(places) and len(names) > 20
    assert {("button", name) for name in names} <= set(stops)
    boxes = page.locator("input.pickrow").count()
    assert sum(tag == "input" for tag, _ in stops) == boxes + 4
    assert ("summary", "Columns") in stops and ("button", "Dark") in stops


def test_keys_sort_choose_and_skip(opened: Opener, site: Site) -> None:
    page = opened("task")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null"), "the skip link skips"
    page.locator('#rows th[data-col="score"] button').focus()
    page.keyboard.press("Enter")
    teacher, *ranked = (row["key"] for row in site.boards["mini"]["rows"])
    assert order(page) == [teacher, *reversed(ranked)]
    page.keyboard.press("Space")
    assert order(page) == [teacher, *ranked]
    page.locator("summary", has_text="Columns").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert page.locator('#rows th[data-col="score"]').is_hidden(), "the first box hides the first column"


@pytest.mark.parametrize("clipboard", ["async", "refused", "absent"])
def test_copied_is_the_command_of_the_run(opened: Opener, site: Site, clipboard: str) -> None:
    """Whether or not the browser gives the page its clipboard: what is pasted elsewhere is the command."""
    page = opened("about", permissions=["clipboard-read", "clipboard-write"] if clipboard == "async" else [])
    refuse = "navigator.clipboard.writeText = () => Promise.reject(new Error())"
    absent = "Object.defineProperty(Navigator.prototype, 'clipboard', { get: () => undefined })"
    page.add_init_script({"async": "", "refused": refuse, "absent": absent}[clipboard])
    page.goto(site.address("task"))
    page.locator("[name=find]").fill("copied before")  # all windows share one clipboard
    page.keyboard.press("Control+A")
    page.keyboard.press("Control+C")
    page.goto(site.address("run"))
    code = page.locator("[data-copy]", has_text="bench run")
    command = code.inner_text()
    assert command == "bench run --task sts --method disco --seeds 0"
    page.locator("pre:has(+ .copy)", has=code).locator("+ .copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    page.goto(site.address("task"))
    page.locator("[name=find]").focus()
    page.keyboard.press("Control+V")
    assert page.locator("[name=find]").input_value() == command


# Records of somebody who means harm


@pytest.fixture(scope="module")
def trap(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return hostile.site(tmp_path_factory.mktemp("hostile"))


def harmless(page: Page) -> None:
    """Nothing of a record became an element, an attribute that runs, or an address."""
    assert page.evaluate("window.hacked === undefined")
    assert page.evaluate("[...document.scripts].every(s => s.src.startsWith('file:') && !s.text)")
    assert page.locator("img, iframe, object, embed, base, [style]").count() == 0
    ours = "a.protocol === 'file:' || ['https://arxiv.org', 'https://doi.org'].includes(a.origin)"
    assert page.evaluate(f"[...document.links].every(a => ({ours}) && !a.pathname.includes('%3C'))")
    script = "[...document.querySelectorAll('*')].flatMap(e => e.getAttributeNames()).filter(n => /^on/.test(n))"
    assert page.evaluate(script) == []


def test_hostile_records_are_text_on_every_page(opened: Opener, trap: Site) -> None:
    """On all pages, all of them opened, sorted and filtered, on a phone."""
    page = opened("about", viewport=PHONE)
    heard = listen(page)
    names = sorted(path for path in trap.out.rglob("*.html") if path.parent.name != "methods" or "img" in path.name)
    assert {path.parent.name for path in names} >= {"tasks", "methods", "students", "runs"}
    for path in names:
        page.goto(path.as_uri())
        open_details(page)
        for heading in page.locator("th[data-col] button:visible").all()[:2]:
            heading.click()
        for choice in page.locator("form[data-for] select").all():
            choice.select_option(index=1)
        harmless(page)
        assert overflow(page) <= 0, path
    assert not heard.dialogs and not heard.errors
    others = [url for url in heard.requests if not url.startswith(trap.out.as_uri())]
    assert not [url for url in others if not url.endswith("/icon.svg")]  # of the page of a test before, asked for late


def test_what_a_hostile_record_says_stands_on_its_page(opened: Opener, trap: Site) -> None:
    """Letter by letter, but for the marks that turn text round."""
    board = next(board for board in trap.boards.values() if "task" in board["task"])
    run = board["rows"][-1]["runs"][0]["run_id"]
    text = opened(trap.out / f"runs/{run}.html").locator("main").evaluate("main => main.textContent")
    fields = (
        "spec.method", "spec.student", "spec.teacher", "spec.task", "spec.track", "metrics.main.name",
        "metrics.main.dataset", "data.title", "data.origin", "data.revision", "data.licence", "data.citation",
        "data.splits.test", "data.notes", "data.identity", "teacher.name", "teacher.identity", "teacher.fingerprint",
        "student.name", "student.origin", "provenance.command", "provenance.commit", "provenance.version",
        "provenance.started", "environment.python", "environment.libraries.torch", "efficiency.device",
        "efficiency.scope", "efficiency.noise", "efficiency.energy.source", "cost.energy_source",
        "spec.settings.student.init", "curve.stage",
    )  # fmt: skip
    assert not [path for path in fields if hostile.text_of(path).replace(*hostile.SHOWN) not in text]
    assert not [row for row in board["rows"] if hostile.RIGHT_TO_LEFT not in row["name"]], "downloads keep the names"


BACKWARDS = """() => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [], range = new Range();
    const box = (node, i) => {
        range.setStart(node, i);
        range.setEnd(node, i + 1);
        return range.getBoundingClientRect();
    };
    for (let node; (node = walker.nextNode());) {
        for (const word of node.textContent.matchAll(/\\b(trained|track|teacher|with|times|is|clear|open)\\b/g)) {
            const [first, second] = [box(node, word.index), box(node, word.index + 1)];
            if (first.width && first.top === second.top && second.left < first.left) found.push(word[0]);
        }
    }
    return found;
}"""


def test_no_name_turns_the_words_of_a_page_round(opened: Opener, trap: Site) -> None:
    """A mark in a name reverses all that follows it in a sentence, a verdict too, unless the page takes it out."""
    page = opened("about")
    for path in [trap.out / "index.html", *(p for kind in ("tasks", "runs") for p in (trap.out / kind).glob("*.html"))]:
        page.goto(path.as_uri())
        assert page.evaluate(BACKWARDS) == [], path
    page.evaluate("m => document.querySelector('main').prepend(`${m} is backwards`)", hostile.RIGHT_TO_LEFT)
    assert page.evaluate(BACKWARDS), "this test sees none that is turned round"


def test_hostile_names_are_compared_and_chosen_as_others(opened: Opener, trap: Site) -> None:
    board = trap.boards["mini"]
    page = opened(trap.out / f"tasks/{board['slug']}.html")
    heard = listen(page)
    method = page.locator("[name=method]").first
    method.select_option(index=1)
    assert method.input_value() == f"one {hostile.NAME}".replace(*hostile.SHOWN) and len(order(page)) == 2
    page.locator("input.pickrow:visible").nth(1).check()
    method.select_option(index=0)
    page.locator("input.pickrow").nth(2).check()
    page.get_by_role("link", name="Compare the two rows").click()
    cells = page.locator("#compared td")
    names = [row["name"].replace(*hostile.SHOWN) for row in board["rows"]]
    expect(cells.first).to_be_visible()
    assert [cell.evaluate("c => c.textContent") for cell in cells.all()[:2]] == names[1:3]
    harmless(page)
    assert not heard.errors and not heard.dialogs
