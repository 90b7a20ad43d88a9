"""An oracle of scene text: columns as `crnn` makes them, which attend to the word that is written (`_oracle.py`).

It teaches, and is no student: what it is told is not there when a picture is to be read. A reconstruction.
"""

from __future__ import annotations

from bench.network import Network
from bench.student import Student
from bench.students._oracle import OracleNetwork, shape
from bench.students.crnn import ColumnNetwork
from bench.task import Task


class OracleScene(Student):
    offers = frozenset({"states"})
    kinds = frozenset({"ctc"})
    told = True
    reads = "image"
    sizes = "WIDTHxLAYERS[mMASK] (4x1 to 9996x9; WIDTH a multiple of 4, MASK in percent)"
    default = "64x1m50"  # our choice

    @classmethod
    def check(cls, size: str) -> str:
        width, layers, mask = shape(size or cls.default, cls)
        return f"{width}x{layers}m{round(100 * mask)}"

    def build(self, size: str, task: Task, teacher: Network | None) -> OracleNetwork:
        width, layers, mask = shape(self.check(size), type(self))
        return OracleNetwork(ColumnNetwork(max(1, width // 4), width // 2, task), layers, mask)
