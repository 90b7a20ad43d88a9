"""Records with one leaf changed at random: no command fails, and none refuses the others because of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from peers import mutations


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mutations.prepared(tmp_path_factory.mktemp("mutated"))


@pytest.mark.parametrize("first", range(0, 12, 4))
def test_a_few_of_the_mutations(results: Path, first: int) -> None:
    found = [
        f for number in range(first, first + 4) for f in mutations.failures(number, results, results.parent / "out")
    ]
    assert found == []
