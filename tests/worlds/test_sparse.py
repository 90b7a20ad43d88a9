"""Sparse gradients beside dense ones, and a table that is frozen: what moves, and what a checkpoint holds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench.base import processes
from bench.errors import RequestError
from bench.networks import sharing
from bench.records.check import check
from bench.runs.protocol import build_student
from bench.training import checkpoint
from bench.training.loop import Trainer
from bench.training.mover import clipped
from tests.worlds.tools import TOY, alike, carried, installed, interrupted, planned, trained, world

STUDENT, TEACHER = world("bags", "8"), "bow:8"


def test_both_optimisers_move_their_parts_and_a_resumed_run_is_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec = planned(TOY, world("two_movers"), STUDENT, TEACHER)
    whole = trained(spec, tmp_path / "whole")
    first = build_student(spec, whole.teacher)
    assert all(not torch.equal(p, q) for p, q in zip(first.parameters(), whole.student.parameters(), strict=True))
    assert alike(whole, interrupted(spec, tmp_path / "parts", monkeypatch))


def test_rows_of_words_that_were_not_read_stay(tmp_path: Path) -> None:
    """SparseAdam moves the rows that a batch has read, and no other."""
    spec = planned(TOY, world("two_movers"), STUDENT, TEACHER, "updates=1", "teach=1", "evaluations=1")
    found = trained(spec, tmp_path)
    moved = (build_student(spec, found.teacher).table.weight != found.student.table.weight).any(1)
    assert 0 < int(moved.sum()) < len(moved) / 2


@pytest.mark.parametrize("method", ["finetune", "kd", "sparse"])
def test_any_method_moves_a_sparse_table_and_a_resumed_run_is_the_same(
    method: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec = planned(TOY, method, "dan:800x8", TEACHER, "lr=0.05")
    whole = trained(spec, tmp_path / "whole")
    first = build_student(spec, whole.teacher)
    moved = (first.table.weight != whole.student.table.weight).any(1)
    assert 0 < int(moved.sum()) < len(moved)
    assert alike(whole, interrupted(spec, tmp_path / "parts", monkeypatch))


def test_a_run_leaves_a_sound_record(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    record = carried(planned(TOY, world("two_movers"), STUDENT, TEACHER), tmp_path)
    assert record.efficiency.parameters.embedding == 8 * (record.efficiency.parameters.embedding // 8) > 0
    installed(monkeypatch, TOY)
    assert check(tmp_path) == (1, [])


def test_what_is_frozen_stays_bit_for_bit_and_no_checkpoint_holds_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec = planned(TOY, world("two_movers"), STUDENT, TEACHER, "bags.frozen=true")
    seen: list[set[str]] = []
    save = Trainer._save

    def watched(trainer: Trainer, *arguments: object, **keywords: object) -> None:
        save(trainer, *arguments, **keywords)  # type: ignore[arg-type]
        kept = checkpoint.load(trainer.path)
        seen.append(set(kept[0]) if kept else set())

    monkeypatch.setattr(Trainer, "_save", watched)
    found = trained(spec, tmp_path / "whole")
    assert seen[-1] and not [name for name in seen[-1] if "table" in name]
    assert [name for name in seen[-1] if name.startswith("student.layer")]
    first = build_student(spec, found.teacher)
    assert torch.equal(first.table.weight, found.student.table.weight)
    assert not torch.equal(first.layer.weight, found.student.layer.weight)
    assert alike(found, interrupted(spec, tmp_path / "parts", monkeypatch))


def test_several_processes_are_told_that_sparse_gradients_are_not_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    table = torch.nn.Embedding(5, 2, sparse=True)
    table(torch.tensor([1, 1])).sum().backward()
    monkeypatch.setattr(processes, "count", lambda: 2)
    with pytest.raises(RequestError, match="sparse"):
        sharing.share_gradients([table.weight], torch.nn.Module())


def test_a_word_that_came_twice_is_clipped_as_one_row() -> None:
    """The norm is that of the dense gradient, and so are the clipped values."""
    sparse, dense = (torch.nn.Embedding(5, 2, sparse=kind) for kind in (True, False))
    for table in (sparse, dense):
        table(torch.tensor([1, 1, 3])).sum().mul(3).backward()
        torch.nn.utils.clip_grad_norm_([clipped(table.weight)], 1.0)
    assert torch.allclose(sparse.weight.grad.to_dense(), dense.weight.grad)
