"""The real data that some tests need: found, or the test is skipped with the reason."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest

SHARED = Path(__file__).resolve().parents[3] / "shared"


def real_data(family: str) -> Path:
    """A folder that holds the folder `family`: BENCH_DATA, or ../shared/data unpacked once a session."""
    folder = Path(os.environ["BENCH_DATA"]) if os.environ.get("BENCH_DATA") else unpacked(family)
    if folder is None or not (folder / family).is_dir():
        pytest.skip(f"no real data for {family}: set BENCH_DATA to a folder that holds {family}/")
    return folder


@cache
def unpacked(family: str) -> Path | None:
    """../shared/data unpacked into a new temporary folder; None where it is absent."""
    script = SHARED / "data/unpack.py"
    if not script.is_file():
        return None
    folder = mkdtemp(prefix=f"bench-{family}-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    subprocess.run([sys.executable, script, folder, "--only", family], check=True, capture_output=True)
    return Path(folder)


@contextmanager
def hub_standing_in(root: Path) -> Iterator[str]:
    """The address of a stand-in for the Hub that serves this folder, while the block runs."""
    command = [sys.executable, str(shared_tool("hub_server.py")), str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.terminate()


def shared_tool(name: str) -> Path:
    """A script of ../shared/tools."""
    path = SHARED / "tools" / name
    if not path.is_file():
        pytest.skip(f"no {name} in ../shared/tools")
    return path
