"""The loopback server, asked over a real socket."""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.errors import RequestError
from bench.web.serve import server
from tests.factories.records import make
from tests.factories.runs import ROOT, command
from tests.web.site import site


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return site(tmp_path_factory.mktemp("served"), make("kd"))


@pytest.fixture
def ask(out: Path) -> Iterator:
    """(status, content type, body) of a path, which is sent as it is."""
    with server(out, 0) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()

        def asked(path: str, method: str = "GET") -> tuple[int, str, bytes]:
            connection = http.client.HTTPConnection("127.0.0.1", running.server_address[1], timeout=10)
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.headers["Content-Type"] or "", answer.read()

        yield asked
        running.shutdown()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html"), ("/index.html", "text/html"), ("/style.css", "text/css"), ("/page.js", "text/javascript"),
        ("/api/index.json", "application/json"), ("/api/rows.csv", "text/csv"),
        ("/api/runs.parquet", "application/vnd.apache.parquet"),
        (f"/runs/{make('kd').run_id}.npz", "application/octet-stream"),
    ],
)  # fmt: skip
def test_files_come_as_what_they_are(ask, out: Path, path: str, kind: str) -> None:
    status, found, body = ask(path)
    assert status == 200 and found.partition(";")[0] == kind
    assert body == (out / (path.strip("/") or "index.html")).read_bytes()


@pytest.mark.parametrize(
    "path",
    ["/nothing.html", "/runs/", "/api", "/.bench-site/site", "/.bench-site/", "/../../../../etc/passwd",
     "/%2e%2e/%2e%2e/etc/passwd", "/runs/..%2f.bench-site%2fsite", "/%00", "/" + "a" * 300, "/" + "a/" * 3000],
)  # fmt: skip
def test_what_is_not_a_page_gets_the_page_that_says_so(ask, out: Path, path: str) -> None:
    status, kind, body = ask(path)
    assert status == 404 and kind.startswith("text/html") and body == (out / "404.html").read_bytes()
    assert ask(path, "HEAD")[2] == b""


def test_what_cannot_be_served_is_said(tmp_path: Path, out: Path) -> None:
    with pytest.raises(RequestError, match="is no built site"):
        server(tmp_path, 0)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(RequestError, match=r"cannot serve on port \d+: .+: choose another"):
            server(out, taken.getsockname()[1])


def test_the_command_serves_this_machine_until_it_is_interrupted(out: Path) -> None:
    started = subprocess.Popen(
        command("site", "serve", "--out", out, "--port", 0), cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert started.stdout is not None
    address = started.stdout.readline().split()[0]
    assert address.startswith("http://127.0.0.1:")
    connection = http.client.HTTPConnection("127.0.0.1", int(address.rstrip("/").rpartition(":")[2]), timeout=10)
    connection.request("GET", "/")
    assert connection.getresponse().status == 200
    started.send_signal(signal.SIGINT)
    assert started.wait(10) == 0
