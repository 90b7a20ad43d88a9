"""The table of shapes at equal parameters in docs/many-runs.md, counted again on networks of these shapes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from bench.students.bert import SIZE, Bert, default_heads, numbers

PAGE = Path(__file__).resolve().parents[2] / "docs" / "many-runs.md"
ROW = re.compile(r"^\|([^|]*)\| `([0-9x]+)` \| (\d+) \| (\d+) \| ([\d.]+) \| ([\d.]+) \|$", re.MULTILINE)
Row = tuple[str, str, str, str, str, str]


def rows() -> list[Row]:
    found: list[Row] = []
    for group, *rest in ROW.findall(PAGE.read_text(encoding="utf-8")):
        found.append((group.strip() or found[-1][0], *rest))
    return found


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[1])
def test_counts(row: Row) -> None:
    from transformers import BertConfig, BertModel

    _, shape, layers, heads, inside, total = row
    assert Bert.check(shape) == shape
    depth, width, own, inner = numbers(SIZE.fullmatch(shape))
    config = BertConfig(
        num_hidden_layers=depth, hidden_size=width, num_attention_heads=own or default_heads(width),
        intermediate_size=inner or 4 * width,
    )  # fmt: skip
    with torch.device("meta"):
        model = BertModel(config)
    counted = [sum(p.numel() for p in part.parameters()) / 1e6 for part in (model.encoder, model)]
    assert (int(layers), int(heads)) == (depth, config.num_attention_heads)
    assert [f"{n:.2f}" for n in counted] == [inside, total]


def test_groups_are_equal() -> None:
    """Within 2.5% of each other, in what the group is about."""
    assert len(rows()) == 16
    for group in {row[0] for row in rows()}:
        sizes = [float(row[5 if "in all" in group else 4]) for row in rows() if row[0] == group]
        assert len(sizes) > 2 and max(sizes) / min(sizes) < 1.026
