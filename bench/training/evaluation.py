"""A network over dev or test: what the kind keeps of each input, and the score of that."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from bench.errors import BenchError
from bench.kind import Outputs
from bench.network import Encoded, Network
from bench.networks.inference import decoded
from bench.scoring.scores import Predictions, headline
from bench.task import Task
from bench.teachers.teacher import Teacher


class Evaluation:
    """One split of a task. What a network reads of it is made ready once. `together`: the split as networks are given
    it that read two texts together."""

    def __init__(self, task: Task, split: str, together: bool = False) -> None:
        self.task, self.split, self.goal, self.together = task, split, task.goal, together
        self._encoded: tuple[Network, Any] | None = None

    @cached_property
    def inputs(self) -> Any:
        return self.task.together(self.split) if self.together else self.task.inputs(self.split)

    def outputs(self, network: Network) -> Outputs:
        """What the kind keeps of each input. BenchError: test, of a network that is told the answers."""
        return decoded(network, self.encoded(network), self.goal)

    def diagnosis(self, network: Network) -> dict[str, float]:
        """What the network says of itself on this split."""
        return network.diagnosis(self.encoded(network))

    def encoded(self, network: Network) -> Encoded:
        """The split as this network reads it."""
        if self._encoded is None or self._encoded[0] is not network:
            self._encoded = network, self._encode(network)
        found: Encoded = self._encoded[1]
        return found

    def _encode(self, network: Network) -> Encoded:
        if not network.reads_targets:
            return network.encode(self.inputs)
        if self.split != "dev":
            raise BenchError("a network that is told the answers is not told those of test")
        return network.encode_told(self.inputs, self.task.answers())

    def of_teacher(self, teacher: Teacher) -> Outputs | None:
        """The same of a teacher, from the store; None: it cannot read without the answers, or is given other inputs."""
        return teacher.outputs(self.inputs) if teacher.network.reads_together == self.together else None

    def predictions(self, outputs: Outputs) -> Predictions:
        return (self.task.predict_together if self.together else self.task.predict)(outputs, self.split)

    def predictions_of(self, teacher: Teacher) -> Predictions | None:
        """A teacher's predictions, of the split as it is given it; None: it cannot read without the answers."""
        if teacher.network.reads_together != self.together:
            return Evaluation(self.task, self.split, not self.together).predictions_of(teacher)
        outputs = self.of_teacher(teacher)
        return None if outputs is None else self.predictions(outputs)

    def score(self, outputs: Outputs) -> float:
        """The main metric."""
        return headline(self.task.score(self.predictions(outputs)), self.task.main_metric)[1]
