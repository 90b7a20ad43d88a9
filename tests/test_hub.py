"""A whole run whose data and teacher come from the Hub, against a server on loopback."""

import json
import subprocess
import sys
from contextlib import contextmanager

import pytest

from tests.factories.commands import refused, runs_of
from tests.factories.data import shared_tool
from tests.factories.runs import SMALL, save_teacher, spawned
from tests.tasks.test_sts_hub import write_hub

pytest.importorskip("datasets", reason="reading from the Hub needs the 'hub' extra")


@contextmanager
def serving(root):
    """Environment of a client of a Hub that serves `root`."""
    server = subprocess.Popen([sys.executable, shared_tool("hub_server.py"), root], stdout=subprocess.PIPE, text=True)
    try:
        yield {"HF_ENDPOINT": f"http://127.0.0.1:{server.stdout.readline().strip()}"}
    finally:
        server.kill()
        server.wait()


def test_lite_run_from_the_hub_and_without_a_network_afterwards(tmp_path):
    root = tmp_path / "hub"
    write_hub(root)
    save_teacher(root / "models/somebody/tiny")
    arguments = [
        "run", "--task", "sts", "--track", "lite", "--method", "kd",
        "--teacher", "somebody/tiny", "--student", "bert:1",
        "--results", tmp_path / "results", *SMALL, "--json",
    ]  # fmt: skip
    mine = {"HF_HOME": str(tmp_path / "hf"), "BENCH_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "0"}
    with serving(root) as served:
        outcome = runs_of(spawned(*arguments, **mine | served))[0]
    record = json.loads((tmp_path / "results").rglob("*.json").__next__().read_text())
    assert outcome["status"] == "done" and record["data"]["source"] == "hub"
    assert record["teacher"]["identity"].startswith("somebody/tiny@") and "a0d554a6" in record["data"]["revision"]
    assert set(record["metrics"]["all"]) == {"sts12", "sts13", "sts14", "sts15", "sts16", "stsb", "sickr"}
    assert runs_of(spawned(*arguments, **mine | {"HF_HUB_OFFLINE": "1"}))[0]["status"] == "skipped"


def test_a_teacher_that_the_hub_does_not_have_is_one_sentence(tmp_path):
    (tmp_path / "hub/models").mkdir(parents=True)
    arguments = ["run", "--task", "sts", "--method", "kd", "--teacher", "nobody/nothing", "--results", tmp_path / "r"]
    with serving(tmp_path / "hub") as served:
        mine = served | {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "0"}
        refused(spawned(*arguments, **mine, check=2), "bench: cannot load the model nobody/nothing")
    assert not (tmp_path / "r").exists()
