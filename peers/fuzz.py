"""Commands, data files, model folders and plug-ins that are wrong at random: none may end in a traceback, or hang.

    python peers/fuzz.py --count 2000

A case is known by its number. It is one command, given in this process: refused in a sentence (exit status 2 or 1) or
carried out (0). Counted as faults are tracebacks, faults that `bench` calls unexpected, hangs (longer than `--limit`
seconds), and sentences that show a library's address or a placeholder.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
TOY = ROOT / "tests/factories/toy.py"
SMALL = ("--set", "updates=1", "--set", "teach=1", "--set", "examples=16", "--set", "batch_size=4", "--no-measure")
WORDS = [
    "", " ", "x", "0", "-1", "1e999", "nan", "9" * 40, "kd", "bow:8", "bow:", ":", "sts", "text/trec", "a/b", "none",
    "./nowhere.py", "/dev/null", "..", "--", "\u202e", "\udce9", "é" * 300, "[1", "lr=x",
    "lr=1e-4", "updates=0", "track.updates=-5", "kd.alpha=2", "temperature=inf", "mini", "lite", "gpu", "cpu", "infGB",
]  # fmt: skip
COMMANDS = {  # command -> the options that a case draws from
    "run": ("--task", "--method", "--student", "--teacher", "--track", "--seeds", "--set", "--axis", "--device",
            "--store-quota", "--engine", "--results", "--data-dir", "--remeasure", "--json"),
    "teach": ("--model", "--track", "--set", "--device", "--results"),
    "compare": ("--task", "--track", "--student", "--results", "--json"),
    "recommend": ("--task", "--track", "--max-latency-ms", "--max-params", "--min-retention", "--results"),
    "export": ("--format", "--out", "--results", "--data-dir", "--file"), "check": ("--json",),
    "verify": ("--results", "--data-dir", "--device"), "sweep": ("--data-dir", "--results", "--store-quota"),
    "list": ("--json",), "reported": ("--json",), "store": ("--json",), "site": ("--results", "--out"),
}  # fmt: skip
FLAGS = ("--json", "--remeasure")
# task -> module of the tests and function that writes its small official files; the function's other arguments
FILES: dict[str, tuple[str, str, tuple[Any, ...]]] = {
    **{f"glue/{d}": ("tests.tasks.test_glue", "official", (d,)) for d in ("cola", "mrpc", "stsb", "mnli")},
    **{f"text/{d}": ("tests.tasks.test_text", "official", (d,)) for d in ("trec", "subj", "sst5", "agnews", "imdb")},
    "conll/2003": ("tests.tasks.test_conll", "corpus", ()),
    "biomed/ncbi": ("tests.tasks.test_biomed", "corpus", ()),
    "squad/1.1": ("tests.tasks.test_answered", "squad", ()),
    "factoid/bioasq": ("tests.tasks.test_answered", "bioasq", ()),
    "images/cifar10": ("tests.tasks.test_images", "archive", ()),
    "speech/digits": ("tests.tasks.test_speech", "digits", ()),
    "speech/librispeech": ("tests.tasks.test_speech", "books", ()),
    "scene_text/svt": ("tests.tasks.test_scene_text", "folders", ()),
    "translation/lines": ("tests.tasks.test_translation", "files", ()),
    "retrieval/scifact": ("tests.factories.collection", "write_beir", ()),
    "itr/flickr8k": ("tests.factories.captions", "write_flickr", ()),
    "indonlu/casa": ("tests.tasks.test_indonlu", "casa", ()),
    "indonlu/keps": ("tests.tasks.test_indonlu", "keps", ()),
    "graphs/acm-hgb": ("tests.factories.hetero", "write", ()),
}
MEMORY = 8 * 2**30  # bytes
SHOWN = re.compile(r"https://errors\.pydantic|\{0\}|Traceback|unexpected, which")


class Hang(BaseException):
    """A case took longer than its limit."""


# Data


def damaged(data: bytes, rng: random.Random) -> bytes:
    """The bytes of a file, changed in one of the ways in which files are wrong."""
    lines, at = data.split(b"\n"), rng.randrange(len(data) + 1)
    line = rng.randrange(len(lines))
    odd = rng.choice([b"\0", b"\xff", b"\t\t\t", b'"', b"9" * 30, b"-1", b"nan", b"{", "\u2028".encode(), b"", b"x"])
    text = data.decode("utf-8", "replace")
    ways: list[Callable[[], bytes]] = [
        lambda: b"", lambda: b"\n\n", lambda: data[:at], lambda: data[:at] + odd + data[at:],
        lambda: b"\xef\xbb\xbf" + data, lambda: text.encode("utf-16"), lambda: text.encode("utf-16-le"),
        lambda: data.replace(b"\n", b"\r"), lambda: data.replace(b"\n", b"\r\n"), lambda: b"\n".join(lines[:line]),
        lambda: b"\n".join([*lines[:line], odd, *lines[line + 1 :]]), lambda: data.replace(b"\t", b","),
        lambda: b"\n".join([*lines[:line], *lines[line + 1 :]]), lambda: re.sub(rb"\d+", odd, data, count=3),
        lambda: data + data, lambda: rng.randbytes(200), lambda: b"<html>", lambda: re.sub(rb"\d", b"", data),
        lambda: data.lower(), lambda: re.sub(rb'"[a-z_]+":', b'"z":', data, count=rng.randrange(1, 4)),
        lambda: b"null", lambda: b"[]", lambda: b"{}",
    ]  # fmt: skip
    return rng.choice(ways)()


def misplace(path: Path, rng: random.Random) -> None:
    """In the place of a file something else."""
    path.unlink()
    what = rng.choice(["nothing", "folder", "pipe", "link", "broken link"])
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    elif what != "nothing":
        path.symlink_to("/dev/zero" if what == "link" else "nowhere")


def spoil(folder: Path, rng: random.Random) -> str:
    """Damage one file or two; what was done to which."""
    done = []
    for _ in range(rng.choice([1, 1, 2])):
        path = rng.choice(
            [p for p in sorted(folder.rglob("*")) if p.is_file() and not p.is_symlink()] or [folder / "x"]
        )
        if rng.random() < 0.15 and path.exists():
            misplace(path, rng)
        else:
            path.write_bytes(damaged(path.read_bytes() if path.exists() else b"", rng))
        done.append(str(path.relative_to(folder)))
    if rng.random() < 0.2:
        (path.parent / ".ipynb_checkpoints").mkdir(exist_ok=True)
    return ", ".join(done)


def written(task: str, place: Path) -> Path:
    """The task's small files, from a copy that is made once."""
    module, function, arguments = FILES[task]
    kept = place / "kept" / task.replace("/", "-")
    if not kept.exists():
        kept.mkdir(parents=True)
        with contextlib.suppress(FileExistsError):
            getattr(importlib.import_module(module), function)(kept, *arguments)
    return Path(shutil.copytree(kept, place / "case" / "data"))


def data_case(rng: random.Random, place: Path) -> tuple[str, list[str]]:
    task = rng.choice(sorted(FILES))
    folder = written(task, place)
    what = spoil(folder, rng)
    run = ["run", "--task", task, "--method", "finetune", "--track", "lite", "--data-dir", str(folder)]
    return f"{task}: {what}", [*run, "--dry-run"]


# Model folders


def model_case(rng: random.Random, place: Path) -> tuple[str, list[str]]:
    kept = place / "kept" / "model"
    if not kept.exists():
        from tests.factories.runs import save_teacher

        kept.parent.mkdir(parents=True, exist_ok=True)
        save_teacher(kept)
    folder = Path(shutil.copytree(kept, place / "case" / "model"))
    what = spoil(folder, rng)
    return f"model: {what}", [
        "run",
        "--task",
        "sts",
        "--method",
        "kd",
        "--student",
        "bow:8",
        "--teacher",
        str(folder),
        *SMALL,
    ]


# Plug-ins

METHOD = """from dataclasses import dataclass
from bench.method import Method, Wanted


class Mine(Method):
    title = "Mine"
    needs = frozenset({"output"})
    kinds = frozenset()
    version = 1

    @dataclass(frozen=True)
    class Settings:
        lr: float | None = None
        share: float = 0.5

    @staticmethod
    def needed(settings, names):
        return names

    @staticmethod
    def wanted(settings):
        return ()

    @staticmethod
    def teachers(settings):
        return ()

    def __init__(self, settings, run):
        super().__init__(settings, run)
        self.notes = {"share": settings.share}

    def stages(self):
        yield self.stage("mine", self.loss, needs=self.needs, data="supervised")

    def loss(self, student, teacher, batch):
        return {"mine": (student.logits - teacher.logits).square().mean()}
"""
PIECES = [
    "None", "3", "'x'", "()", "[]", "{}", "object()", "1 / 0", "undefined", "exit(0)", "float('nan')", "[None]",
    "{'a': 1}", "frozenset({3})", "lambda: 0", "print", "b'x'", "Wanted('a', student=3)", "-1",
    "(Wanted('a', student='bow:4'),)",
]  # fmt: skip


def plugin_case(rng: random.Random, place: Path) -> tuple[str, list[str]]:
    """A line of a method or of a task removed, or what stands behind `=` or `return` replaced."""
    kind = rng.choice(["method", "method", "task"])
    lines = (METHOD if kind == "method" else TOY.read_text(encoding="utf-8")).split("\n")
    at = rng.choice([n for n, line in enumerate(lines) if line.strip()])
    piece = rng.choice(PIECES)
    changed = re.sub(r"(?<=[^=!<>:]= ).*|(?<=return ).*|(?<=yield ).*", lambda _: piece, lines[at], count=1)
    lines[at] = changed if changed != lines[at] and rng.random() < 0.8 else ""
    path = place / "case" / f"mine{rng.randrange(10**9)}.py"
    path.write_bytes(("\ufeff" * (rng.random() < 0.1) + "\n".join(lines)).encode())
    task, method = (TOY, path) if kind == "method" else (path, "finetune")
    return f"{kind}, line {at + 1}: {lines[at].strip()}", ["run", "--task", str(task), "--method", str(method), *SMALL]


# Command lines


def command_case(rng: random.Random, place: Path) -> tuple[str, list[str]]:
    command = rng.choice(sorted(COMMANDS))
    words = [command, *(rng.sample(WORDS, rng.randrange(2)))]
    if command in ("store", "site"):
        words = [command, rng.choice(["ls", "build", "diff", "x"])]
    sound = {"--task": str(TOY), "--method": "kd", "--student": "bow:8", "--format": "hf", "--out": str(place / "out")}
    for option in rng.sample(COMMANDS[command], rng.randrange(len(COMMANDS[command]) + 1)):
        value = sound.get(option) if rng.random() < 0.6 else None
        words += [option] if option in FLAGS else [option, value or rng.choice(WORDS)]
    if command == "run":
        words += ["--dry-run", *(["--task", str(TOY), "--method", "kd"] if rng.random() < 0.5 else [])]
    return " ".join(words)[:80], words


Sort = Callable[[random.Random, Path], tuple[str, list[str]]]
SORTS: Sequence[Sort] = (data_case, data_case, command_case, command_case, plugin_case, model_case)


def outcome(number: int, place: Path, limit: float, sorts: Sequence[Sort] = SORTS) -> tuple[str, str]:
    """(0, 1, 2, 130, `traceback`, `hang` or `shown`; what the case was and what was said)"""
    from tests.factories.commands import bench

    rng = random.Random(number)
    case = place / "case"
    shutil.rmtree(case, ignore_errors=True)
    case.mkdir(parents=True)
    what, words = rng.choice(sorts)(rng, place)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        found = bench(*words, cache=place / "cache", cwd=case, check=None)
    except Hang:
        return "hang", what
    except BaseException:
        return "traceback", f"{what}\n{traceback.format_exc()}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    said = found.err.strip().split("\n")[-1]
    return ("shown" if SHOWN.search(found.err) else str(found.status)), f"{what}: {said}"


def faults(
    count: int, first: int, limit: float, place: Path, told: Counter[str], sorts: Sequence[Sort] = SORTS
) -> Iterator[str]:
    """What went wrong, case by case; how all ended is counted in `told`."""

    def stop(*_: Any) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, stop)
    try:
        for number in range(first, first + count):
            status, said = outcome(number, place, limit, sorts)
            told[status] += 1
            if status in ("traceback", "hang", "shown"):
                yield f"{number}: {status}: {said}"
    finally:
        signal.signal(signal.SIGALRM, before)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--count", type=int, default=500)
    arguments.add_argument("--first", type=int, default=0)
    arguments.add_argument("--limit", type=float, default=30.0, help="seconds that a case may take")
    given = arguments.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))  # what reads for ever ends in an error
    told, found = Counter[str](), 0
    with tempfile.TemporaryDirectory() as name:
        for fault in faults(given.count, given.first, given.limit, Path(name), told):
            found += 1
            print(fault, flush=True)
    print(", ".join(f"{status}: {count}" for status, count in sorted(told.items())))
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
