"""The page of a grid: mean ranks as `bench/board/axes.py` gives them, linked, downloadable, and safe."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.web.build import build
from tests.factories.records import TRACK, put
from tests.web.site import page

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of 2 x 2 cells: a setting that costs much, and one that changes nothing and whose level is hostile."""
    folder = tmp_path_factory.mktemp("site")
    for seed in range(3):
        for rate in (1, 2):
            for other in ("b", HOSTILE):
                settings = {"track": TRACK, "method": {"rate": rate, "other": other}, "student": {}}
                put(folder / "results", 0.3 * rate, "mine", seed, value=0.9 - 0.1 * rate, settings=settings)
    build(folder / "results", folder / "out")
    return folder / "out"


def test_the_page_says_what_the_facts_say(out: Path) -> None:
    found = page(axes_page(out))
    assert "1 of 1 pair of levels clearly apart" in found.text and "No two levels can be told apart." in found.text
    (board,) = (json.loads(path.read_text()) for path in (out / "api/boards").iterdir())
    (grid,) = board["grids"]
    assert [axis["axis"] for axis in grid["axes"]] == ["rate", "other"] and grid["cells"] == 4
    rate, other = grid["axes"]
    assert [(level["level"], level["rank"]) for level in rate["levels"]] == [("1", 1.0), ("2", 2.0)]
    assert [level["rank"] for level in other["levels"]] == [1.5, 1.5] and other["levels"][0]["ties"]
    assert "1.50" in found.text and "mean over 2 contexts" in found.text


def test_it_is_linked_and_escaped(out: Path) -> None:
    path = axes_page(out)
    assert f'href="{path.name}"' in path.with_name(path.name.replace("-axes", "")).read_text()
    assert HOSTILE not in path.read_text() and "&lt;script&gt;alert(1)" in path.read_text()


def test_a_board_without_a_grid_has_no_such_page(tmp_path: Path) -> None:
    for student in ("bert:3", "cnn"):
        put(tmp_path / "results", 0.3, "kd", 0, value=0.8, student=student)
    build(tmp_path / "results", tmp_path / "out")
    assert not list((tmp_path / "out/tasks").glob("*-axes.html"))


def axes_page(out: Path) -> Path:
    (found,) = (out / "tasks").glob("*-axes.html")
    return found
