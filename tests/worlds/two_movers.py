"""Soft targets; a table with sparse gradients is moved by SparseAdam, all else by the student's own recipe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from bench.inputs import Batch
from bench.method import Losses, Method, Part, Role, Stage, Step
from bench.optimiser import Optimiser
from bench.signals import Signals


class TwoMovers(Method):
    needs = frozenset({"output"})

    def stages(self) -> Iterable[Stage]:
        sparse = Optimiser(lr=0.05, kind="sparse_adam", schedule="linear")
        yield Stage(
            name="kd", data="distil", updates=self.run.track.updates, batch_size=self.run.track.batch_size,
            roles={"student": Role("student", trains=True), "teacher": Role("teacher")},
            steps=[Step(self.soft, moves=["table", "rest"])],
            parts={"table": Part(table, sparse), "rest": Part(rest, self.recipe())}, keep="last",
        )  # fmt: skip

    def soft(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        return {"soft": self.goal.match(*self.goal.pair(student, teacher, batch))}


def table(modules: Mapping[str, nn.Module]) -> list[Tensor]:
    return list(modules["student"].table.parameters())


def rest(modules: Mapping[str, nn.Module]) -> list[Tensor]:
    return [p for name, p in modules["student"].named_parameters() if not name.startswith("table")]
