"""Where a site will stand, and where its records and code come from: what pages link to outside themselves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from bench.errors import RequestError

ADDRESS = re.compile(r"https?://[A-Za-z0-9.:-]+(/[A-Za-z0-9._~/-]*)?")


@dataclass(frozen=True)
class Links:
    """RequestError: an address that is no plain one. Empty: not known, and then nothing links there."""

    base_url: str = ""
    repository: str = ""

    def __post_init__(self) -> None:
        for option, address in (("--base-url", self.base_url), ("--repository", self.repository)):
            if address and not ADDRESS.fullmatch(address):
                raise RequestError(f"{option} {address}: give an address as in https://example.org/board/")

    @property
    def base(self) -> str:
        """The address of the site's top, which ends in a slash; empty: not known."""
        return self.base_url and self.base_url.rstrip("/") + "/"

    @property
    def top(self) -> str:
        """The way to the top from any page of its host; where it is not known, from the page at the top alone."""
        return urlsplit(self.base).path or "./"

    @property
    def home(self) -> str:
        """The repository without a slash at its end."""
        return self.repository.rstrip("/")


NOWHERE = Links()
