"""An oracle of speech: convolutions as `convctc` has them, which attend to the text that is said (`_oracle.py`).

It teaches, and is no student: what it is told is not there when speech is to be recognised. A reconstruction.
"""

from __future__ import annotations

from bench.network import Network
from bench.networks.audio import AudioNetwork
from bench.student import Student
from bench.students._oracle import OracleNetwork, shape
from bench.students.convctc import Convolutions
from bench.task import Task

SOURCE_LAYERS = 3


class OracleSpeech(Student):
    offers = frozenset({"states"})
    kinds = frozenset({"ctc"})
    told = True
    reads = "audio"
    sizes = "WIDTHxLAYERS[mMASK] (4x1 to 9996x9; WIDTH a multiple of 4, MASK in percent)"
    default = "64x1m50"  # our choice

    @classmethod
    def check(cls, size: str) -> str:
        width, layers, mask = shape(size or cls.default, cls)
        return f"{width}x{layers}m{round(100 * mask)}"

    def build(self, size: str, task: Task, teacher: Network | None) -> OracleNetwork:
        width, layers, mask = shape(self.check(size), type(self))
        return OracleNetwork(AudioNetwork(Convolutions(width, SOURCE_LAYERS), width, task), layers, mask)
