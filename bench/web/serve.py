"""`bench site serve`: a built site on this machine alone, to look at before it is published."""

from __future__ import annotations

import os
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench.errors import RequestError
from bench.web.publish import MANIFEST

LOOPBACK = "127.0.0.1"
TYPES = {".js": "text/javascript", ".parquet": "application/vnd.apache.parquet", ".npz": "application/octet-stream"}


class Pages(SimpleHTTPRequestHandler):
    """Files of a folder: no listings, nothing hidden, and the site's own page for what is not there."""

    extensions_map = SimpleHTTPRequestHandler.extensions_map | TYPES

    def send_head(self) -> Any:
        path = self.translate_path(self.path)
        hidden = any(part.startswith(".") for part in Path(path).relative_to(self.directory).parts)
        page = f"{path}/index.html" if os.path.isdir(path) else path  # noqa: PTH112
        if not hidden and os.path.isfile(page):  # noqa: PTH113 - of a path, a name that no file can have is an error
            return super().send_head()
        missing = Path(self.directory, "404.html").read_text(encoding="utf-8")
        self.error_message_format = missing.replace("%", "%%")
        return self.send_error(HTTPStatus.NOT_FOUND)

    def log_message(self, *arguments: Any) -> None:
        """Nothing: the terminal is for the address."""


def server(out: Path, port: int) -> ThreadingHTTPServer:
    """Ready to serve; port 0 takes a free one. RequestError: not a built site, or a port that cannot be had."""
    if not (out / MANIFEST).is_dir() or not (out / "index.html").is_file():
        raise RequestError(f"{out} is no built site: run `bench site build --out {out}` first, or name another --out")
    try:
        return ThreadingHTTPServer((LOOPBACK, port), partial(Pages, directory=str(out.resolve())))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RequestError(f"cannot serve on port {port}: {reason}: choose another with --port, or 0 for any") from None


def serve(out: Path, port: int) -> None:
    """Until Ctrl+C."""
    with server(out, port) as running:
        print(f"http://{LOOPBACK}:{running.server_address[1]}/  (Ctrl+C ends it)", flush=True)
        try:
            running.serve_forever()
        except KeyboardInterrupt:
            print()
