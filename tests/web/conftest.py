"""A site and a browser for all tests of pages; without a browser they are skipped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.web import browser
from tests.web.browser import Opener, Site

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return browser.small(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra `dev`")
    path = browser.executable()
    if path is None:
        pytest.skip("needs a Chromium: none of chromium, chromium-browser and google-chrome is there")
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def shared(chromium: Browser) -> Page:
    """One window for all tests that leave nothing behind in it: another one takes a quarter of a second."""
    return browser.window(chromium)


@pytest.fixture
def opened(chromium: Browser, shared: Page, site: Site) -> Iterator[Opener]:
    """Open a page of the site by its kind, or a file. With options of a context it gets a profile of its own."""
    own: list[Page] = []

    def open_page(kind: str | Path, query: str = "", **options: Any) -> Page:
        if options:
            own.append(browser.window(chromium, **options))
        page = own[-1] if options else shared
        if not options:
            page.set_viewport_size(browser.DESK)
            page.emulate_media(color_scheme="light")
        page.goto((kind.as_uri() if isinstance(kind, Path) else site.address(kind)) + query)
        return page

    yield open_page
    for page in own:
        page.context.close()
