"""All benchmarks beside other tools, and one table of what they showed: `python -m peers --data-dir DIR`.

Exit status 1: a peer could not be installed, a gate did not hold, a script failed. A target that is missed is printed
and changes nothing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import pairing  # noqa: E402

NEEDS_DATA = ("text_distillation", "embedding_distillation", "overhead")
ORDER = (*NEEDS_DATA, "bootstrap")
# With these all take less than 20 minutes; the interval of two or three rounds is hardly more than their range.
ROUNDS = {"text_distillation": 3, "embedding_distillation": 2, "overhead": 7, "bootstrap": 3}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=Path("data"), help="folder of the unpacked data sets")
    o = parser.parse_args()
    failed = []
    for name in ORDER:
        (pairing.OUT / f"{name}.json").unlink(missing_ok=True)
        data = ["--data-dir", str(o.data_dir)] if name in NEEDS_DATA else []
        data += ["--short", "--rounds", str(ROUNDS[name])]
        started = time.perf_counter()
        done = subprocess.run([sys.executable, str(HERE / f"{name}.py"), *data], stdout=subprocess.DEVNULL)
        print(f"{name}: status {done.returncode} after {time.perf_counter() - started:.0f} s", file=sys.stderr)
        failed += [name] * (done.returncode != 0)
    print(*table(), sep="\n")
    print(*(f"FAILED: {name}" for name in failed), sep="\n")
    return 1 if failed else 0


def table() -> list[str]:
    """Every report in build/peers: gates first, then ratios with their intervals and targets."""
    found = []
    for name in ORDER:
        path = pairing.OUT / f"{name}.json"
        if not path.exists():
            found.append(f"{name}: no report")
            continue
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found += [report["title"], *map(pairing.check_line, report["checks"])]
        found += map(pairing.ratio_line, report["ratios"])
    return found


if __name__ == "__main__":
    sys.exit(main())
