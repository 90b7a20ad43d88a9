"""The three words of evidence, and that every place says the same one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.board import evidence, leaderboard
from bench.board.compared import compare
from bench.board.verdicts import judge
from bench.records import disk
from bench.web import facts
from tests.factories.records import put
from tests.factories.runs import ROOT


@pytest.mark.parametrize(
    ("low", "high", "corrected", "word"),
    [
        (0.46, 0.76, 0.3, "likely"), (0.46, 0.76, 0.01, "clear"), (-0.76, -0.46, 0.2, "likely"),
        (-0.01, 0.02, 1.0, "open"), (0.0, 0.0, 1.0, "open"), (-0.01, 0.2, 0.049, "open"),
    ],
)  # fmt: skip
def test_words(low: float, high: float, corrected: float, word: str) -> None:
    assert evidence.word(low, high, corrected) == word


def test_a_large_difference_is_never_called_nothing() -> None:
    said = evidence.sentence(evidence.word(0.46, 0.76, 0.9), 0.61, "A", "B")
    assert said.startswith("A is likely better than B") and "does not survive Holm's correction" in said
    assert evidence.sentence("clear", -0.61, "A", "B").startswith("B is clearly better than A")


def test_rows_are_counted_by_their_side() -> None:
    found = [
        {"evidence": "clear", "value": 0.1}, {"evidence": "likely", "value": -0.1}, None,
        {"evidence": "open", "value": 0}, {"evidence": "clear", "value": 0.2},
    ]  # fmt: skip
    assert evidence.counted(found) == {
        "clear above": 2, "likely above": 0, "open": 1, "likely below": 1, "clear below": 0,
    }  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Methods from far above kd to just about as good, three seeds each, with two students."""
    folder = tmp_path_factory.mktemp("results")
    for seed in range(3):
        for method, noise in (("good", 0.2), ("near", 0.49), ("kd", 0.5), ("finetune", 0.55)):
            put(folder, noise, method, seed, taught=True)
        put(folder, 0.9, "finetune", seed, student="cnn")
    return folder


def test_holm_goes_over_what_the_board_shows(results: Path) -> None:
    """Five differences: good, near and kd to finetune, good and near to kd; finetune - kd is the same pair as kd's."""
    found = list(disk.read_all(results))
    (board,) = leaderboard.rows(found)
    verdicts = judge(board, found, results)
    rows = {row.name: place for place, row in enumerate(board.rows)}
    shown = [("good", "finetune"), ("near", "finetune"), ("kd", "finetune"), ("good", "kd"), ("near", "kd")]
    told = [verdicts.difference(rows[f"{a} bert:3"], rows[f"{b} bert:3"]) for a, b in shown]
    p, running = sorted(d["p_value"] for d in told if d), 0.0
    expected = {}
    for rank, value in enumerate(p):
        running = max(running, min(1.0, (5 - rank) * value))
        expected[value] = running
    assert {d["p_value"]: d["p_holm"] for d in told if d} == pytest.approx(expected)
    other = verdicts.difference(rows["good bert:3"], rows["finetune cnn"])
    assert other is not None and other["family"] == "all 15 pairs of the board"


def test_every_place_says_the_same(results: Path) -> None:
    ((board, pairs),) = facts.boards(list(disk.read_all(results)), results)
    rows = {row["name"]: row for row in board["rows"]}
    keys = [row["key"] for row in board["rows"]]
    said = set()
    for row in rows.values():
        for method, found in row["against"].items():
            if found:
                answer = compare(results, "sts", row["name"], f"{method} {row['student']}")
                (pair,) = (p for p in pairs if {keys[p[0]], keys[p[1]]} == {row["key"], found["key"]})
                assert answer["evidence"] == found["evidence"] == pair[8] and pair[9] == 1
                assert answer["p_holm"] == found["p_holm"] == pair[6]
                said.add(found["evidence"])
    assert {"clear", "open"} <= said


def test_nobody_else_builds_such_sentences() -> None:
    """But templates and scripts, which have them from the module."""
    files = [*(ROOT / "bench").rglob("*.py"), *(ROOT / "site").glob("*.html"), *(ROOT / "site").glob("*.js")]
    texts = {path: path.read_text(encoding="utf-8").lower() for path in files if path.name != "evidence.py"}
    for words in ("nothing separates", "clearly better", "likely better", "do not separate"):
        assert not [path for path, text in texts.items() if words in text], words


def test_the_site_has_the_sentences(results: Path, tmp_path: Path) -> None:
    from bench.web.build import build

    build(results, tmp_path / "out")
    (script,) = (tmp_path / "out/data").glob("sts-*.js")
    data = json.loads(script.read_text().removeprefix("benchData(").removesuffix(");\n"))
    assert data["sentences"] == evidence.SENTENCES and data["families"][1].startswith("5 differences")
    assert {pair[8] for pair in data["pairs"]} <= set(evidence.WORDS)
