"""What all tests share: a store of their own, no network, and no GPU tests where there is no GPU."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.factories.runs import Finished

# Read when the Hub's client is imported, which is before any fixture runs. A test of the Hub starts a process of its
# own without it.
os.environ["HF_HUB_OFFLINE"] = "1"
# Read when torch is imported. Models of a test's size are quickest on one thread; two that wait for each other on a
# busy machine can take ten times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A shell has what it starts in the background ignore Ctrl-C, and so would the commands that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def own_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """BENCH_CACHE in a temporary folder: no test reads what an earlier session, or the user, has stored."""
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny teacher's folder."""
    from tests.factories.runs import save_teacher

    return save_teacher(tmp_path_factory.mktemp("teacher") / "tiny")


@pytest.fixture(scope="session")
def finished(teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Finished runs of three methods, made once."""
    from tests.factories.runs import finish

    return finish(teacher, tmp_path_factory.mktemp("finished"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device")
