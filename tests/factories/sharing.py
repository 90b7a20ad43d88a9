"""What processes do together, for tests: `python -m tests.factories.sharing FOLDER`, in as many as a launcher starts.

Each writes what it found, and what its commands printed, into the folder. One start for all, since starting is slow.
"""

from __future__ import annotations

import copy
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.base import processes
from bench.base.console import Console
from bench.cli import main as cli
from bench.network import Network
from bench.networks import sharing
from bench.runs.protocol import distil
from bench.runs.spec import Request, resolve
from bench.signals import Signals
from tests.factories.commands import brief_clock

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = ["updates=6", "teach=2", "evaluations=2", "examples=60", "batch_size=9"]
FEW = ["updates=24", "batch_size=9", "examples=96", "evaluations=4"]
ROWS = 9  # an odd batch: shares of 4 and 5


class Normed(Network):
    """Batch normalisation; a parameter that the rows of one process alone use, and one that none uses."""

    offers = frozenset({"logits"})

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 4))
        self.norm = nn.BatchNorm1d(4, momentum=None)
        self.rare, self.never = nn.Parameter(torch.ones(4)), nn.Parameter(torch.ones(4))

    def encode(self, inputs: Any, max_length: int | None = None) -> Any:
        raise NotImplementedError

    def forward(self, batch: dict[str, Tensor], want: frozenset[str]) -> Signals:
        found = self.norm(self.layers(batch["pixels"]))
        special = batch["special"][:, None]
        return Signals(logits=found + special * self.rare if special.any() else found)


def gradients() -> dict[str, Any]:
    """Largest differences to one process, in double precision, after a loss that couples all rows of the batch."""
    torch.manual_seed(0)
    alone, peer = Normed().double(), nn.Linear(4, 4).double()
    shared = copy.deepcopy(alone)
    inputs = {"pixels": torch.randn(ROWS, 3, 8, 8).double(), "special": torch.zeros(ROWS).double()}
    inputs["special"][0] = 1
    found = alone(inputs, frozenset({"logits"})).logits, sharing.forward(shared, inputs, frozenset({"logits"})).logits
    wanted = []
    for logits in found:
        peer.zero_grad()
        (peer(logits) @ logits.T).logsumexp(1).sum().backward()
        wanted.append(peer.weight.grad.clone())
    sharing.share_gradients([*shared.parameters(), *peer.parameters()], peer)
    pairs = [(p.grad, q.grad) for p, q in zip(alone.parameters(), shared.parameters(), strict=True)]
    pairs += [*zip(alone.buffers(), shared.buffers(), strict=True), found, (wanted[0], peer.weight.grad)]
    return {
        "difference": max(float((a - b).detach().abs().max()) for a, b in pairs if a is not None and b is not None),
        "without": [a is None for a, _ in pairs] + [b is None for _, b in pairs],
        "restored": "forward" not in shared.norm.__dict__,
    }


def dropout() -> dict[str, Any]:
    """What each process drops, and what it draws afterwards."""

    class Dropping(Normed):
        def forward(self, batch: dict[str, Tensor], want: frozenset[str]) -> Signals:
            return Signals(logits=nn.functional.dropout(batch["pixels"], 0.5))

    torch.manual_seed(0)
    ones = {"pixels": torch.ones(8, 50)}
    return {"kept": sharing.forward(Dropping(), ones, frozenset()).logits.tolist(), "after": float(torch.rand(()))}


def tokens(teacher: str, folder: Path) -> dict[str, Any]:
    """Hidden states and attention of both sides; a teacher that is taught first, and then runs in every step."""
    request = Request([str(ROOT / "tests/factories/toy.py")], ["tinybert"], ["bert:1"], teacher, settings=SETTINGS)
    (spec,) = resolve(request)
    folder.mkdir(parents=True, exist_ok=True)
    found = distil(spec, folder, torch.device("cpu"), Console(quiet=True))
    weights = {name: float(t.double().square().sum()) for name, t in found.student.state_dict().items()}
    return {"curve": found.trainer.progress.curve, "weights": weights, "forwards": found.teacher.forwards}


def typed(place: Path, count: int, *methods: object) -> list[object]:
    """A command line that runs these methods with the folder's teacher; its records go to FOLDER/<count>."""
    named = [part for method in methods for part in ("--method", method)]
    few = [part for setting in FEW for part in ("--set", setting)]
    teacher = ["--teacher", place / "teacher", "--student", "bert:1", *few]
    return ["run", "--task", "sts", *named, *teacher, "--results", place / str(count), "--json"]


def printed(arguments: list[object], out: Path) -> None:
    """Carry the command out in this process; what it prints goes to the file."""
    sys.argv = ["bench", *map(str, arguments)]
    with out.open("w") as file, redirect_stdout(file), brief_clock():
        cli.main()


def all_of(place: Path) -> None:
    """Everything but a failure."""
    processes.start("cpu")
    number, of = processes.rank(), processes.count()
    found = {
        "gradients": gradients(),
        "dropout": dropout(),
        "tokens": tokens(str(place / "teacher"), place / f"of{of}"),
    }
    (place / f"found-{number}-of-{of}.json").write_text(json.dumps(found))
    printed(typed(place, of, "kd", "disco"), place / f"runs-{number}-of-{of}.json")


def main() -> None:
    place = Path(sys.argv[1])
    all_of(place)
    printed(typed(place, processes.count(), "kd", place / "mine.py"), place / f"failed-{processes.rank()}.json")


if __name__ == "__main__":
    main()
