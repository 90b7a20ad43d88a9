"""SuperGLUE from the Hub: its flat rows give the items that the official files give."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.factories.data import shared_tool
from tests.tasks.test_sts_hub import write_parquet
from tests.tasks.test_superglue import EXAMPLES, opened, varied, write

pytest.importorskip("datasets", reason="reading from the Hub needs the 'hub' extra")
ROOT = Path(__file__).resolve().parents[2]
CLASSES = {"entailment": 0, "contradiction": 1, "neutral": 2, "not_entailment": 1}
CONFIGS = {folder: folder.lower() if folder != "WSC" else "wsc.fixed" for folder in EXAMPLES}

CHILD = """
import json, sys
from bench.plugins.registry import find, load
from bench.sources import Source
cls, found = load(find("task", "superglue")), {}
for name in cls.datasets:
    task = cls(Source("hub"), "lite", name)
    task.unseal()
    inputs = {split: [list(pair) for pair in task.inputs(split)] for split in ("dev", "test")}
    inputs["train"] = [list(pair) for pair in task.examples("distil").inputs]
    found[name] = {"inputs": inputs, "revision": task.card().revision, "identity": task.identity()}
print(json.dumps(found))
"""


def flat(folder, row, number):
    """Rows as the Hub has them of an official one."""
    row = dict(row)
    if "label" in row:
        row["label"] = CLASSES.get(row["label"], row["label"])
        row["label"] = int(row["label"])
    if folder == "WSC":
        return [row | row.pop("target")]
    if folder == "ReCoRD":
        text, (query,) = row["passage"]["text"], row["qas"]
        names = [text[e["start"] : e["end"] + 1] for e in row["passage"]["entities"]]
        answers = [a["text"] for a in query["answers"]]
        return [{"passage": text, "query": query["query"], "entities": names, "answers": answers}]
    if folder == "MultiRC":
        return [
            {"paragraph": row["passage"]["text"], "question": question["question"], "answer": answer["text"],
             "idx": {"paragraph": number, "question": n, "answer": m}, "label": answer["label"]}
            for n, question in enumerate(row["passage"]["questions"]) for m, answer in enumerate(question["answers"])
        ]  # fmt: skip
    return [row]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    root, home = tmp_path_factory.mktemp("hub"), tmp_path_factory.mktemp("home")
    for folder, config in CONFIGS.items():
        for split, count in (("train", 30), ("validation", 3)):
            rows = [r for n in range(count) for r in flat(folder, varied(folder, n), n)]
            path = root / "datasets/aps/super_glue" / config / f"{split}-00000-of-00001.parquet"
            write_parquet(path, {name: [row[name] for row in rows] for name in rows[0]})
    command = [sys.executable, str(shared_tool("hub_server.py")), str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield in_child(f"http://127.0.0.1:{int(server.stdout.readline())}", home)
        finally:
            server.terminate()


def in_child(endpoint, home, script=CHILD):
    """HF_ENDPOINT and HF_HOME are read when the client is imported."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HF_") and "proxy" not in k.lower()}
    env = kept | {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, cwd=home, capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("folder", EXAMPLES)
def test_the_same_inputs_in_the_same_splits_as_from_the_files(loaded, tmp_path, folder):
    task, found = opened(write(tmp_path, folder), folder.lower()), loaded[folder.lower()]
    for split in ("dev", "test"):
        assert found["inputs"][split] == [list(pair) for pair in task.inputs(split)]
    assert found["inputs"]["train"] == [list(pair) for pair in task.examples("distil").inputs]
    assert found["identity"] == task.identity() and len(found["revision"]) == 40
