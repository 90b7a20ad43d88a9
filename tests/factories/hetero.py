"""A small heterogeneous graph in the files of HGB: papers of three classes, their authors and venues."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.plugins.registry import find, load
from bench.sources import Source

PAPERS, AUTHORS, VENUES = 90, 30, 6
TYPES = {"0": "paper", "1": "author", "2": "venue"}
LINKS = {"0": ("paper", "author"), "1": ("author", "paper"), "2": ("paper", "venue"), "3": ("venue", "paper")}


def write(folder: Path, several: bool = False, **changed: str) -> Path:
    """Files that a test may read; `changed`: other text of a file, such as `link=`. Paper 0 has no link."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    classes = np.arange(PAPERS) % 3
    info = {
        "node.dat": {"node type": TYPES},
        "link.dat": {"link type": {k: {"meaning": f"{a}->{b}"} for k, (a, b) in LINKS.items()}},
        "label.dat": {"node type": {"0": {"0": "one", "1": "two", "2": "three"}}},
    }
    nodes = [f"{n}\tp{n}\t0\t{features(rng, classes[n])}" for n in range(PAPERS)]
    nodes += [f"{PAPERS + n}\ta{n}\t1" for n in range(AUTHORS)]
    nodes += [f"{PAPERS + AUTHORS + n}\tv{n}\t2" for n in range(VENUES)]
    labels = [
        f"{n}\tp{n}\t0\t{classes[n]}{f',{(classes[n] + 1) % 3}' if several and n % 2 else ''}" for n in range(PAPERS)
    ]
    written = {
        "info": json.dumps(info), "node": lines(nodes), "link": lines(links(rng, classes)),
        "label": lines(labels[:50]), "test": lines(labels[50:]),
    }  # fmt: skip
    for name, text in (written | changed).items():
        (folder / ("label.dat.test" if name == "test" else f"{name}.dat")).write_text(text, encoding="utf-8")
    return folder


def features(rng: np.random.Generator, label: int) -> str:
    return ",".join(f"{value:.3f}" for value in rng.normal(size=6) + np.eye(3, 6)[label])


def links(rng: np.random.Generator, classes: np.ndarray) -> list[str]:
    """Authors and venues keep to a class, mostly."""
    found = []
    for paper in range(1, PAPERS):
        other = rng.integers(3) if rng.random() < 0.2 else classes[paper]
        author, venue = PAPERS + 3 * rng.integers(10) + other, PAPERS + AUTHORS + 3 * rng.integers(2) + other
        found += [f"{paper}\t{author}\t0\t1.0", f"{author}\t{paper}\t1\t1.0"]
        found += [f"{paper}\t{venue}\t2\t1.0", f"{venue}\t{paper}\t3\t1.0"]
    return found


def lines(rows: list[str]) -> str:
    return "".join(f"{row}\n" for row in rows)


def opened(folder: Path, dataset: str = "acm-hgb") -> Any:
    """The task of these files, its test unsealed."""
    task = load(find("task", "graphs"))(Source("directory", folder), "lite", dataset)
    task.name = f"graphs/{dataset}"
    task.unseal()
    return task


def network(task: Any, shape: str, **settings: Any) -> Any:
    """A student's network with its first weights, of seed 0, in eval mode."""
    family, size = shape.split(":")
    cls = load(find("student", family))
    torch.manual_seed(0)
    return cls(cls.Settings(**settings)).build(cls.check(size), task, None).eval()


def read(net: Any, task: Any, *want: str) -> Any:
    """Signals of all target nodes."""
    inputs = task.examples("distil").inputs
    return net(net.encode(inputs).batch(np.arange(len(inputs))), frozenset(want))
