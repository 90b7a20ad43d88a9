"""retrieval from the Hub, in BeIR's two repositories and in mteb's one: the real loading code against a server on
loopback, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.factories.data import shared_tool

pytest.importorskip("datasets", reason="reading from the Hub needs the 'hub' extra")
ROOT = Path(__file__).resolve().parents[2]

# HF_ENDPOINT and HF_HOME are read when datasets is imported, so it runs in a new interpreter.
CHILD = """
import json
from bench.plugins.registry import find, load
from bench.sources import Source
report = {}
for name in ("scifact", "dbpedia-entity"):
    task = load(find("task", "retrieval"))(Source("hub"), "lite", name)
    task.unseal()
    (part,) = task.parts.values()
    report[name] = {
        "documents": dict(zip(part.collection.names, part.documents)),
        "splits": {split: dict(zip(q.names, q.gold.tolist())) for split, q in part.collection.splits.items()},
        "revision": task.card().revision, "source": task.card().source, "dev": part.collection.dev_from,
    }
print(json.dumps(report))
"""


def write_parquet(path: Path, **columns: list) -> None:
    parquet, arrow = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow")
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(arrow.table(columns), path)


def configure(repo: Path, **configs: dict[str, str]) -> None:
    """The README that names configurations, and the files of their splits."""
    lines = ["---", "configs:"]
    for name, splits in configs.items():
        lines += [f"- config_name: {name}", "  data_files:"]
        lines += [line for s, path in splits.items() for line in (f"  - split: {s}", f"    path: {path}")]
    (repo / "README.md").write_text("\n".join([*lines, "---", ""]))


def write_texts(repo: Path) -> None:
    numbers = range(30)
    write_parquet(
        repo / "corpus/corpus.parquet", _id=[f"d{n}" for n in numbers], title=[f"Title {n}" for n in numbers],
        text=[f"text{n} word{n % 7}" for n in numbers],
    )  # fmt: skip
    write_parquet(repo / "queries/queries.parquet", _id=[f"q{n}" for n in numbers], title=[""] * 30,
                  text=[f"word{n % 7}" for n in numbers])  # fmt: skip


TEXTS = {"corpus": {"corpus": "corpus/corpus.parquet"}, "queries": {"queries": "queries/queries.parquet"}}


def write_hub(root: Path) -> None:
    beir, judged, mteb = (root / "datasets" / name for name in ("BeIR/scifact", "BeIR/scifact-qrels", "mteb/dbpedia"))
    write_texts(beir)
    configure(beir, **TEXTS)
    judged.mkdir(parents=True)
    for split, rows in (("train", range(20)), ("test", range(20, 30))):
        lines = ["query-id\tcorpus-id\tscore", *(f"q{n}\td{n}\t1" for n in rows)]
        (judged / f"{split}.tsv").write_text("\n".join(lines) + "\n")
    write_texts(mteb)
    for split, rows in (("dev", range(4)), ("test", range(4, 10))):
        write_parquet(mteb / f"data/{split}.parquet", **{
            "query-id": [f"q{n}" for n in rows], "corpus-id": [f"d{n}" for n in rows], "score": [2.0 for _ in rows],
        })  # fmt: skip
    configure(mteb, default={"dev": "data/dev.parquet", "test": "data/test.parquet"}, **TEXTS)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    root, home = tmp_path_factory.mktemp("hub"), tmp_path_factory.mktemp("home")
    write_hub(root)
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGINGFACE")) and "proxy" not in k.lower()
    }
    command = [sys.executable, str(shared_tool("hub_server.py")), str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            endpoint = f"http://127.0.0.1:{int(server.stdout.readline())}"
            env = kept | {
                "HF_ENDPOINT": endpoint,
                "HF_HOME": str(home),
                "PYTHONPATH": str(ROOT),
                "NO_PROXY": "127.0.0.1",
            }
            done = subprocess.run([sys.executable, "-c", CHILD], env=env, cwd=home, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            yield json.loads(done.stdout)
        finally:
            server.terminate()


def test_both_forms_are_read_whole(loaded):
    for name in ("scifact", "dbpedia-entity"):
        assert len(loaded[name]["documents"]) == 30 and loaded[name]["documents"]["d8"] == "Title 8 text8 word1"
        assert loaded[name]["source"] == "Hugging Face Hub"
    assert set(loaded["scifact"]["splits"]["test"]) == {f"q{n}" for n in range(20, 30)}
    assert {name: len(found) for name, found in loaded["scifact"]["splits"].items()} == {
        "train": 18,
        "dev": 2,
        "test": 10,
    }
    assert {name: len(found) for name, found in loaded["dbpedia-entity"]["splits"].items()} == {"dev": 4, "test": 6}
    names = sorted(loaded["dbpedia-entity"]["documents"])
    assert loaded["dbpedia-entity"]["splits"]["dev"]["q3"] == [[names.index("d3"), 2.0]]


def test_the_card_names_every_pinned_revision(loaded):
    for repo in ("BeIR/scifact@b3b5335", "BeIR/scifact-qrels@2938d17"):
        assert repo in loaded["scifact"]["revision"]
    assert "mteb/dbpedia@c0f706b" in loaded["dbpedia-entity"]["revision"]
