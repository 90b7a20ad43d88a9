"""A built site and a browser for the tests that need one; where there is none they skip and say so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

    from tests.web.browser import Site


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    from tests.web import browser

    return browser.small(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    from tests.web.browser import executable

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium: Browser, site: Site) -> Iterator[Callable[..., Page]]:
    """Open a page of the site by its kind, or a file, in a profile of its own with the options of a context."""
    contexts: list[BrowserContext] = []

    def open_page(kind: str | Path, query: str = "", **options: Any) -> Page:
        contexts.append(chromium.new_context(**options))
        contexts[-1].set_default_timeout(10_000)
        page = contexts[-1].new_page()
        page.goto((kind.as_uri() if isinstance(kind, Path) else site.address(kind)) + query)
        return page

    yield open_page
    for context in contexts:
        context.close()
