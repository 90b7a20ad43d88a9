"""Memory and start-up of a run whose training text has a million sentences.

    python peers/million.py --data-dir data [--sentences 1000000]

Makes sentences from the words of the given SentEval folder's own text (each once, of lengths as there), and runs
`bench run --task sts --method kd` on them twice: first with nothing stored, then with another seed. Printed for each:
seconds from the start of Python to the first update, and peak resident memory until the last, beside the same run on
2,000 sentences, whose memory is that of the libraries, the models and the evaluation sets.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FEW, UPDATES = 2_000, 8
RUN = ["--task", "sts", "--track", "lite", "--method", "kd", "--student", "bert:2", "--set", "evaluations=1"]


@dataclass
class Seen:
    """One run, from outside."""

    first_update: float  # seconds
    peak: int  # bytes
    output: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True, help="holds sts/senteval and sts/unlabelled")
    parser.add_argument("--sentences", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        few, many = (corpus(options.data_dir, home / str(n), n) for n in (FEW, options.sentences))
        base = run(home, few, FEW, 0)
        print(
            f"{FEW:,} sentences: first update after {base.first_update:.1f} s, peak {base.peak / 1e9:.2f} GB",
            flush=True,
        )
        for seed, what in ((0, "nothing stored"), (1, "tokens stored")):
            seen = run(home, many, options.sentences, seed)
            print(
                f"{options.sentences:,} sentences, {what}: first update after {seen.first_update:.1f} s, "
                f"peak {seen.peak / 1e9:.2f} GB, {(seen.peak - base.peak) / 1e9:+.2f} GB",
                flush=True,
            )


def corpus(data: Path, folder: Path, count: int) -> Path:
    """A folder in the official layout whose training text is generated."""
    folder.mkdir()
    shutil.copytree(data / "sts" / "senteval", folder / "senteval")  # no link: text beside its target would be read
    lines = (data / "sts" / "unlabelled" / "sentences_50k.txt").read_text(encoding="utf-8").splitlines()
    rng, words = random.Random(0), [line.split() for line in lines]
    flat = [w for line in words for w in line]
    with (folder / "wiki1m_for_simcse.txt").open("w", encoding="utf-8") as file:
        for number in range(count):
            file.write(" ".join([*rng.choices(flat, k=len(words[number % len(words)])), str(number)]) + "\n")
    return folder


def run(home: Path, data: Path, count: int, seed: int) -> Seen:
    """The command in a new process; reads its progress, and its memory from the system."""
    settings = ["--set", f"examples={count}", "--set", f"updates={UPDATES}", "--set", "batch_size=32"]
    command = [sys.executable, "-m", "bench", "run", *RUN, *settings, "--seeds", str(seed), "--data-dir", str(data)]
    environment = os.environ | {"BENCH_CACHE": str(home / "cache")}
    started = time.perf_counter()
    child = subprocess.Popen(
        [*command, "--results", str(home / "results")], cwd=ROOT, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    peak, first, output = [0], 0.0, []
    threading.Thread(target=watch, args=(child.pid, peak), daemon=True).start()
    for line in child.stdout or ():
        output.append(line)
        first = first or (f" 0/{UPDATES}  dev" in line and time.perf_counter() - started)
        if f" {UPDATES}/{UPDATES}  dev" in line:  # trained; test and the clock are not what is asked here
            child.kill()
    if child.wait() != -signal.SIGKILL:
        sys.exit("".join(output))
    return Seen(first, peak[0], "".join(output))


def watch(pid: int, peak: list[int]) -> None:
    """The largest resident memory of the process itself."""
    while True:
        try:
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        except OSError:
            return
        peak[0] = max([peak[0], *(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))])
        time.sleep(0.2)


if __name__ == "__main__":
    main()
