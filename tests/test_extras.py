"""Each extra alone, in a fresh environment: what it is for works with it, and without it says in a sentence what is
missing. pip fetches its packages; those that every installation has are read from where the tests run.
"""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.factories.runs import ROOT

EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
BASE = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
SMALL = ("--set", "updates=2", "--set", "batch_size=4", "--set", "examples=16", "--set", "evaluations=1")
PAIR = ("--task", "sts", "--method", "kd", "--student", "bow:8", "--teacher", "bow:16")
PLAN = ("-m", "bench", "run", "--method", "kd", "--dry-run", "--task")
LOOK = ("-m", "bench", "profile", "--student", "bow:8", "--teacher", "bow:16", "--task", "sts", "--quick")
BM25 = "from bench.tasks._bm25 import Bm25; print(list(Bm25(['a b', 'b c']).scores(['c'])))"
SOUND = (
    "import numpy, soundfile; soundfile.write('a.flac', numpy.zeros(99, 'int16'), 16000); from pathlib import Path; "
    "from bench.data.audio import other; print(other(Path('a.flac')))"
)
SCENE = "from pathlib import Path; from bench.tasks._scene_files import database; list(database(Path('.')))"
LINES = (
    "from bench.networks.line_reader import Model; from bench.sources import package_file; "
    "print(len(Model(package_file('rapidocr', 'models/PP-OCRv6_rec_small.onnx')).characters))"
)
# extra -> what is typed, and what of its answer shows that it worked
TYPED: dict[str, tuple[tuple[str, ...], str]] = {
    "hub": ((*PLAN, "hf:me/nothing"), "cannot load me/nothing from the Hub"),
    "vision": ((*PLAN, "itr/openmoji"), "  seed 0"),
    "onnx": ((*LOOK, "--onnx", "--device", "cpu"), "bow:8 int8"),
    "retrieval": (("-c", BM25), "array"),
    "graphs": ((*PLAN, "graphs/films"), "  seed 0"),
    "audio": (("-c", SOUND), "16000"),
    "scene": (("-c", SCENE), "no data.mdb in"),
    "ocr": (("-c", LINES), "18708"),
    "translation": (("-c", "from bench.scoring.bleu import library; print(library().BLEU)"), "sacrebleu.metrics"),
    "tune": (("-m", "bench", "tune", *PAIR, "--trials", "2", *SMALL), "spearman on dev"),
    "ray": (("-m", "bench", "run", *PAIR, *SMALL, "--engine", "ray", "--jobs", "1"), "kd bow:8"),
    "pandas": (("-c", "import os, bench; os.mkdir('r'); print(bench.records('r').columns)"), "run_id"),
    "notebook": (("-c", "import matplotlib.pyplot, pandas; print('drawn')"), "drawn\n"),
    "gpu": (("-c", "import pynvml; print(pynvml.__name__)"), "pynvml\n"),
    "docs": (("-m", "mkdocs", "--version"), "mkdocs, version"),
    "release": (("-m", "build", "--version"), "build 1"),
}
PLAIN = ("notebook", "gpu", "docs", "release")  # nothing of bench asks for them by name
LATER = ("audio",)  # its own import comes first


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what bench itself needs and nothing else, as links."""
    folder = tmp_path_factory.mktemp("base")
    for name in closure(BASE):
        files = importlib.metadata.distribution(name).files or []
        for top in {file.parts[0] for file in files if file.parts[0] not in ("..", "__pycache__")}:
            source, link = Path(str(importlib.metadata.distribution(name).locate_file(top))), folder / top
            if source.exists() and not link.exists():
                link.symlink_to(source)
    return folder


def closure(requirements: list[str]) -> set[str]:
    """The names of distributions that these ask for, and those ask for, as they are installed here."""
    found, waiting = set[str](), [Requirement(text) for text in requirements]
    while waiting:
        asked = waiting.pop()
        extras = asked.extras or {""}
        name = canonicalize_name(asked.name)
        if name in found or (asked.marker and not any(asked.marker.evaluate({"extra": e}) for e in ("",))):
            continue
        try:
            more = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:  # of another system
            continue
        found.add(name)
        waiting += [
            r for r in map(Requirement, more) if not r.marker or any(r.marker.evaluate({"extra": e}) for e in extras)
        ]
    return found


@pytest.fixture(scope="module")
def python(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python without any package."""
    folder = tmp_path_factory.mktemp("fresh")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder / "bin/python"


def asked_of(extra: str) -> Iterator[str]:
    """Its requirements; an extra of bench's own stands for its requirements."""
    for text in EXTRAS[extra]:
        own = Requirement(text)
        if own.name == "bench-kd":
            for name in sorted(own.extras):
                yield from asked_of(name)
        else:
            yield text


def typed(python: Path, words: Sequence[str], where: Path, *folders: Path) -> str:
    """What it prints, whatever comes of it."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, *folders))), "BENCH_CACHE": str(where / "cache"),
        "HF_HUB_OFFLINE": "1",
    }  # fmt: skip
    done = subprocess.run([python, *words], cwd=where, env=environment, capture_output=True, text=True, timeout=900)
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif("BENCH_EXTRAS" not in os.environ, reason="fetches packages, for minutes each: set BENCH_EXTRAS=1")
@pytest.mark.parametrize("extra", TYPED)
def test_an_extra_alone(extra: str, base: Path, python: Path, tmp_path: Path) -> None:
    words, shows = TYPED[extra]
    (without := tmp_path / "without").mkdir()
    before = typed(python, words, without, base)
    assert shows not in before
    if extra not in (*PLAIN, *LATER):
        assert f"pip install 'bench-kd[{extra}]'" in before.splitlines()[-1], before
    (alone := tmp_path / "alone").mkdir()
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--target",
        alone,
        "--constraint",
        ROOT / "constraints.txt",
    ]
    subprocess.run([*pip, *asked_of(extra)], check=True, timeout=900)
    (there := tmp_path / "with").mkdir()
    assert shows in (after := typed(python, words, there, base, alone)), after


def test_every_extra_is_tried() -> None:
    assert TYPED.keys() == EXTRAS.keys() - {"dev"}
