"""A graph as onnxruntime computes it on the CPU, with as many threads as torch has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch


class Sessions:
    """Called, the session of the graph: one for each number of threads, which is fixed when a session is made."""

    def __init__(self, graph: bytes | Path) -> None:
        self.graph, self.made = graph, dict[int, Any]()

    def __call__(self) -> Any:
        """ImportError: onnxruntime is not installed. Whatever it raises where the graph is none."""
        if (threads := torch.get_num_threads()) not in self.made:
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            self.made[threads] = onnxruntime.InferenceSession(self.graph, options, providers=["CPUExecutionProvider"])
        return self.made[threads]

    def __getstate__(self) -> dict[str, Any]:
        """Sessions are made anew in another process."""
        return {"graph": self.graph, "made": {}}
