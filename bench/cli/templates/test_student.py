"""What template.py reads of a text, worked out by hand, and its contract with bench."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import torch

from bench.runs.contract import built, faults

FILE = Path(__file__).with_name("template.py")


def test_contract() -> None:
    """Sizes, signals, padding, seeds and checkpoints, as `bench test` sees them."""
    assert not faults(FILE)


def test_embedding_by_hand() -> None:
    """Of "a" the one trigram " a ", of "ab" the mean of " ab" and "ab ", whatever stands beside it in the batch."""
    network = built(FILE, size="4").eval()
    batch = network.encode(["a", "ab"]).batch(np.arange(2))
    found = network(batch, frozenset({"embedding"})).embedding
    table = network.table.weight
    rows = [[1 + zlib.crc32(t.encode()) % (len(table) - 1) for t in ts] for ts in ([" a "], [" ab", "ab "])]
    torch.testing.assert_close(found, torch.stack([table[own].mean(0) for own in rows]))
