"""What template.py reads, and its contract with bench."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.runs.contract import faults, opened

FILE = Path(__file__).with_name("template.py")


def test_contract() -> None:
    """Identity, training sets, sealed test and a few updates, as `bench test` sees them."""
    assert not faults(FILE)


def test_splits_and_scores() -> None:
    """No sentence is in two splits, and right answers score 1."""
    task = opened(FILE)
    train, dev = task.examples("supervised"), task.inputs("dev")
    assert not set(train.inputs) & set(dev) and len(dev) == 300
    answers = np.eye(2, dtype=np.float32)[task.answers()]
    assert task.score(task.predict(answers, "dev"))["template"] == {"macro_f1": 1.0, "accuracy": 1.0}
