"""The test split is out of reach until training has ended, whatever a task's author forgot."""

from __future__ import annotations

import numpy as np
import pytest

from bench.sources import Source
from bench.task import TestSealed, Track
from bench.tasks.sts import Sts


class Careless(Sts):
    """A family whose author never thinks of the seal."""

    tracks = {"mini": Track(updates=1, batch_size=1)}

    def inputs(self, split):
        return ["a", "b"]

    def predict(self, outputs, split):
        return {"x": {"prediction": outputs, "gold": outputs}}


@pytest.mark.parametrize("family", [Sts, Careless])
def test_reading_test_before_the_end_raises(family):
    task = family(Source("packaged"), "mini")
    for read in (lambda: task.inputs("test"), lambda: task.inputs(split="test"), lambda: task.pairs("test")):
        with pytest.raises(TestSealed, match="choices are made on dev"):
            read()
    with pytest.raises(TestSealed):
        task.predict(np.zeros((2, 2)), split="test")
    assert task.inputs("dev")
    task.unseal()
    assert task.inputs("test")
    task.seal()
    with pytest.raises(TestSealed):
        task.inputs("test")
