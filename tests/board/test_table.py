"""A board as a table says what its verdicts and the site say."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.board import table
from bench.errors import RequestError
from bench.records import disk
from bench.web import facts
from tests.factories.records import put


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    for method, noise in (("finetune", 0.9), ("kd", 0.4)):
        for seed in range(3):
            put(folder, noise, method, seed, taught=True, value=1 / (1 + noise))
    put(folder, 0.5, "kd", 0, track="lite", value=0.5)
    return folder


def test_rows_say_what_the_site_says(results: Path) -> None:
    (found,) = table.boards(results, "sts", "mini")
    ((site, _),) = [pair for pair in facts.boards(list(disk.read_all(results)), results) if pair[0]["track"] == "mini"]
    assert found["slug"] == site["slug"] and len(found["rows"]) == len(site["rows"]) == 3
    for own, other in zip(found["rows"], site["rows"], strict=True):
        assert set(own) == set(table.BoardRow.__annotations__)
        for key, name in {"low": "score_low", "high": "score_high", "tie": "best_or_tied"}.items():
            assert own[key] == other[name]
        for key in ("name", "score", "retention", "best", "parameters", "marks", "dev", "updates", "seeds"):
            assert own[key] == other[key], key
        against = other["against"].get("finetune") or {}
        assert own["finetune_evidence"] == against.get("evidence")
        assert own["finetune_difference"] == against.get("value")
        assert own["latency_ms"] == other["timings"][0]["latency_ms"]
    kd = next(row for row in found["rows"] if row["method"] == "kd")
    assert kd["finetune_evidence"] == "clear" and kd["best"] and kd["low"] < kd["high"]


def test_without_a_track_all_of_them(results: Path) -> None:
    assert [found["track"] for found in table.boards(results, "sts")] == ["mini", "lite"]
    lines = table.overview(results)
    assert [(line["track"], line["rows"], line["runs"], line["best"]) for line in lines] == [
        ("mini", 2, 6, "kd bert:3"), ("lite", 1, 1, "kd bert:3"),
    ]  # fmt: skip
    assert [line["track"] for line in table.overview(results, "lite")] == ["lite"]


def test_what_is_not_there_is_refused(results: Path, tmp_path: Path) -> None:
    wrong = {
        "did you mean sts": lambda: table.boards(results, "stx"),
        "run `bench run`": lambda: table.overview(tmp_path / "no"),
        "unknown track": lambda: table.overview(results, "ful"),
        "holds no records": lambda: table.overview(tmp_path),
    }
    for words, call in wrong.items():
        with pytest.raises(RequestError, match=words):
            call()
