"""sts from the Hub: the real loading code against a server on loopback, in a process of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.factories.data import shared_tool

pytest.importorskip("datasets", reason="reading from the Hub needs the 'hub' extra")
ROOT = Path(__file__).resolve().parents[2]
HUB = {
    "sts12": "mteb/sts12-sts",
    "sts13": "mteb/sts13-sts",
    "sts14": "mteb/sts14-sts",
    "sts15": "mteb/sts15-sts",
    "sts16": "mteb/sts16-sts",
    "stsb": "mteb/stsbenchmark-sts",
    "sickr": "mteb/sickr-sts",
}
TRIPLETS = [("a dog runs", "an animal moves", "a cat sits"), ("a cat sits", "an animal rests", 'he said "no", twice')]

# HF_ENDPOINT and HF_HOME are read when datasets is imported, so each case runs in a new interpreter.
CHILD = """
import hashlib, json, sys
import numpy as np
from bench.errors import BenchError
from bench.plugins.registry import find, load
from bench.sources import Source
task = load(find("task", "sts"))(Source("hub"), "lite")
try:
    task.unseal()
    vector = lambda text: np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8).astype(float) - 127.5
    report = {"identity": task.identity()}
    for split in ("dev", "test"):
        outputs = np.stack([vector(text) for text in task.inputs(split)])
        report[split] = task.score(task.predict(outputs, split))
    supervised = task.examples("supervised")
    report["text"] = list(task.examples("distil").inputs)
    report["triplets"] = [[supervised.inputs[i] for i in group] for group in supervised.groups]
    report["sizes"], report["revision"] = dict(task.card().sizes), task.card().revision
except BenchError as error:
    report = {"error": str(error), "type": type(error).__name__}
print(json.dumps(report))
"""


def rows_of(name: str, count: int = 12) -> list[tuple[str, str, float]]:
    rng = np.random.default_rng(len(name) + ord(name[-1]))
    return [
        (f'{name} "first" {i}', f"{name} second\t{i % 5}", round(float(rng.uniform(0, 5)), 2)) for i in range(count)
    ]


def write_hub(root: Path) -> None:
    """The repositories as they are on the Hub: one parquet file a split, configurations named in the README."""
    for name, repo in HUB.items():
        splits = {"test": name} | ({"validation": "stsb-dev"} if name == "stsb" else {})
        for split, key in splits.items():
            first, second, score = zip(*rows_of(key), strict=True)
            columns = {"sentence1": first, "sentence2": second, "score": score}
            write_parquet(root / "datasets" / repo / f"data/{split}-00000-of-00001.parquet", columns)
    repo = root / "datasets/sentence-transformers/all-nli"
    columns = dict(zip(("anchor", "positive", "negative"), zip(*TRIPLETS, strict=True), strict=True))
    write_parquet(repo / "triplet/train-00000-of-00001.parquet", columns)
    write_parquet(repo / "pair/train-00000-of-00001.parquet", {"anchor": ["wrong"], "positive": ["configuration"]})
    configs = "".join(
        f"- config_name: {c}\n  data_files:\n  - split: train\n    path: {c}/train-*\n" for c in ("pair", "triplet")
    )
    (repo / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")


def write_parquet(path: Path, columns: dict) -> None:
    parquet, arrow = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow")
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(arrow.table({name: list(values) for name, values in columns.items()}), path)


def load_in_child(endpoint: str, home: Path) -> dict:
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGINGFACE")) and "proxy" not in k.lower()
    }
    env = kept | {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1"}
    done = subprocess.run([sys.executable, "-c", CHILD], env=env, cwd=home, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    root, home = tmp_path_factory.mktemp("hub"), tmp_path_factory.mktemp("home")
    write_hub(root)
    command = [sys.executable, str(shared_tool("hub_server.py")), str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield load_in_child(f"http://127.0.0.1:{int(server.stdout.readline())}", home)
        finally:
            server.terminate()


def direct_spearman(rows: list[tuple[str, str, float]]) -> float:
    """Spearman of the same vectors' cosines, computed from the rows themselves."""
    import hashlib

    from scipy.stats import rankdata

    cosines = []
    for first, second, _ in rows:
        u, v = (np.array(list(hashlib.sha256(t.encode()).digest()), float) - 127.5 for t in (first, second))
        cosines.append(u @ v / np.linalg.norm(u) / np.linalg.norm(v))
    return float(np.corrcoef(rankdata(cosines), rankdata([score for *_, score in rows]))[0, 1])


@pytest.mark.parametrize("name", HUB)
def test_spearman_is_that_of_the_rows(loaded, name):
    assert "error" not in loaded, loaded
    assert loaded["test"][name]["spearman"] == pytest.approx(direct_spearman(rows_of(name)), abs=1e-9)


def test_dev_is_the_validation_split(loaded):
    assert loaded["dev"] == {"stsb-dev": loaded["dev"]["stsb-dev"]}
    assert loaded["dev"]["stsb-dev"]["spearman"] == pytest.approx(direct_spearman(rows_of("stsb-dev")), abs=1e-9)


def test_training_text_is_the_triplets_sentences_once(loaded):
    assert sorted(map(tuple, loaded["triplets"])) == sorted(TRIPLETS)
    assert sorted(loaded["text"]) == sorted({sentence for row in TRIPLETS for sentence in row})
    assert loaded["sizes"]["supervised"] == 2


def test_card_names_every_pinned_revision(loaded):
    for repo in (*HUB.values(), "sentence-transformers/all-nli"):
        assert f"{repo}@" in loaded["revision"]


def test_without_a_network_it_says_so_soon(tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    started = time.monotonic()
    report = load_in_child(f"http://127.0.0.1:{port}", tmp_path)
    assert report["type"] == "DataError"
    assert "\n" not in report["error"]
    assert "mteb/stsbenchmark-sts" in report["error"]
    assert "--data-dir" in report["error"]
    assert time.monotonic() - started < 60
