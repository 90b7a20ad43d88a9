"""Five seeds in one computation, against five seeds one after the other: whole commands, and the updates alone.

    python peers/seeds.py commands [--student bert:2x128] [--task sts] [--data-dir DIR] [--seeds 5] [--set KEY=VALUE]
    python peers/seeds.py updates [--shape 4x312 2x128] [--tokens 12] [--batch 32] [--seeds 5] [--threads 1 2]

`commands`: `bench run` on an empty store with one seed, with all seeds, and with all seeds and seeds=stacked; wall and
CPU seconds of each, imports, teacher, tokens, signals and timing session included. `updates`: CPU and wall seconds of
one update of all seeds, of a BERT classifier with 30,522 word pieces, dropout 0.1, AdamW.
"""

from __future__ import annotations

import argparse
import copy
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def commands(a: argparse.Namespace) -> None:
    """One line a command, and what all seeds cost in units of one."""
    many = ",".join(map(str, range(a.seeds)))
    forms = {"one seed": ("0", ()), f"{a.seeds} seeds": (many, ()), f"{a.seeds} stacked": (many, ("seeds=stacked",))}
    first = None
    for name, (seeds, more) in forms.items():
        wall, cpu = timed(a, seeds, (*a.settings, *more))
        first = first or (wall, cpu)
        print(
            f"{name:12} wall {wall:7.1f} s  CPU {cpu:7.1f} s  x{wall / first[0]:.2f} wall  x{cpu / first[1]:.2f} CPU",
            flush=True,
        )


def timed(a: argparse.Namespace, seeds: str, settings: tuple[str, ...]) -> tuple[float, float]:
    """(wall, CPU) seconds of one command on an empty store."""
    words = ["run", "--task", a.task, "--method", a.method, "--student", a.student, "--seeds", seeds]
    words += ["--track", "lite", "--data-dir", a.data_dir] if a.data_dir else []
    words += [w for s in settings for w in ("--set", s)]
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"BENCH_CACHE": f"{folder}/store"}
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "bench", *words, "--results", f"{folder}/results"], cwd=ROOT, env=environment,
            check=True, capture_output=True,
        )  # fmt: skip
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def updates(a: argparse.Namespace) -> None:
    import torch

    for shape in a.shape:
        for threads in a.threads:
            torch.set_num_threads(threads)
            apart, stacked = steps(*map(int, shape.split("x")), a)
            (wall, cpu), (wall_s, cpu_s) = best(apart, a.rounds), best(stacked, a.rounds)
            print(
                f"bert:{shape} {threads} threads  apart {wall:.3f} s {cpu:.3f} CPU-s  stacked {wall_s:.3f} s "
                f"{cpu_s:.3f} CPU-s  x{wall_s / wall:.2f} wall  x{cpu_s / cpu:.2f} CPU", flush=True,
            )  # fmt: skip


def steps(layers: int, width: int, a: argparse.Namespace) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """One update of each of the seeds: one after the other, and at once."""
    import torch
    from torch.nn.functional import cross_entropy
    from transformers import BertConfig, BertForSequenceClassification

    from bench.inputs import Batch
    from bench.method import Stage
    from bench.networks.transformer import TransformerClassifier
    from bench.optimiser import Optimiser, over
    from bench.signals import Signals
    from bench.students.bert import default_heads
    from bench.training.stacked import Replica, Stack, clip

    config = BertConfig(
        hidden_size=width, num_hidden_layers=layers, num_attention_heads=default_heads(width),
        intermediate_size=4 * width,
    )  # fmt: skip
    replicas = [
        Replica(TransformerClassifier(BertForSequenceClassification(config), None, 512).train(), torch.nn.Module())  # type: ignore[arg-type]
        for _ in range(a.seeds)
    ]
    size = (a.seeds, a.batch, a.tokens)
    ids, labels = torch.randint(1000, 30_000, size), torch.randint(2, size[:2])
    mask = (torch.arange(a.tokens) < torch.randint(a.tokens // 2, a.tokens + 1, size[:2])[..., None]).long()
    recipe, want = Optimiser(lr=5e-5), frozenset({"logits"})
    stage: Any = Stage("ce", "distil", lambda s, t, b: {"ce": cross_entropy(s.logits, b.labels)}, 1, a.batch, recipe)
    alone = [over(recipe, list(r.parameters())) for r in replicas]

    def apart() -> None:
        for k, (replica, optimiser) in enumerate(zip(replicas, alone, strict=True)):
            inputs = {"input_ids": ids[k], "attention_mask": mask[k]}
            replica(stage, want, inputs, Signals(), Batch(ids[k], 1, labels[k], inputs))["ce"].backward()
            torch.nn.utils.clip_grad_norm_(replica.parameters(), recipe.clip)
            optimiser.step()
            optimiser.zero_grad()

    stack = Stack([Replica(copy.deepcopy(r.student), r.method) for r in replicas])
    learning = list(stack.parameters.values())
    optimiser = over(recipe, learning, stacked=True)
    batch = Batch(ids, 1, labels, {"input_ids": ids, "attention_mask": mask})

    def stacked() -> None:
        stack.losses(stage, want, Signals(), batch, stack.state)["ce"].sum().backward()
        clip(learning, recipe.clip)
        optimiser.step()
        optimiser.zero_grad()

    return apart, stacked


def best(work: Callable[[], Any], rounds: int) -> tuple[float, float]:
    """(wall, CPU) seconds of the quickest round, after one to warm up."""
    found = []
    for _ in range(rounds + 1):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        found.append((time.perf_counter() - wall, time.process_time() - cpu))
    return min(w for w, _ in found[1:]), min(c for _, c in found[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("commands", "updates"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--task", default="sts")
    parser.add_argument("--method", default="kd")
    parser.add_argument("--student", default="bert:2x128")
    parser.add_argument("--data-dir", default="", help="official data, then on the lite track")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--shape", nargs="+", default=["4x312", "2x128"])
    parser.add_argument("--tokens", type=int, default=12)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    {"commands": commands, "updates": updates}[arguments.what](arguments)


if __name__ == "__main__":
    main()
