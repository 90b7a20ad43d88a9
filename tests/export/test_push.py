"""`bench push` against a stand-in of the Hub on loopback: what arrives there, and what is refused in one sentence."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from bench.errors import BenchError
from bench.export.push import check_safe
from tests.factories.commands import Answer, bench, refused
from tests.factories.hub import Repository, serving
from tests.factories.runs import Finished


@pytest.fixture
def run(finished: Finished) -> str:
    return str(finished.outcomes[0]["run_id"])


def push(finished: Finished, *arguments: Any, check: int = 0) -> Answer:
    return bench("push", *arguments, "--results", finished.results, cache=finished.cache, check=check)


def test_what_was_exported_arrives(finished: Finished, run: str, tmp_path: Path):
    with serving(tmp_path) as hub:
        told = json.loads(push(finished, run, "me/small", "--private", "--json").out)
        assert hub.repositories["me/small"].private
        arrived = hub.repositories["me/small"].branches["main"]
        assert {f["path"]: f["bytes"] for f in told["files"]} == {name: len(data) for name, data in arrived.items()}
        assert told["bytes"] == sum(map(len, arrived.values())) and told["commit"] == "a" * 40
        assert "model.safetensors" in arrived and "blobs" in " ".join(hub.asked)  # as large files are stored
        assert b"model-index:" in arrived["README.md"] and run.encode() in arrived["README.md"]
        refused(push(finished, run, "me/small", check=2), "me/small is on the Hub already", "--force")
        hub.repositories["me/small"].private = False
        refused(push(finished, run, "me/small", "--private", "--force", check=2), "me/small is public")
        push(finished, run, "me/small", "--revision", "seed-0", "--force")
        assert hub.repositories["me/small"].branches["seed-0"].keys() == arrived.keys()


def test_a_dry_run_says_what_would_go_and_asks_nobody(finished: Finished, run: str, tmp_path: Path):
    with serving(tmp_path, token="") as hub:
        lines = push(finished, run, "me/small", "--dry-run").out.splitlines()
        assert not hub.asked and not hub.repositories
    sizes = [int(line.split()[0].replace(",", "")) for line in lines]
    assert sum(sizes[:-1]) == sizes[-1] > 100_000
    assert re.search(r"bytes in \d+ files would go to me/small, main$", lines[-1])
    assert any(line.endswith("  model.safetensors") for line in lines)


@pytest.mark.parametrize(
    ("token", "name", "status", "words"),
    [
        ("", "me/small", 2, "there is no token of the Hugging Face Hub: say hf auth login, or set HF_TOKEN"),
        ("old", "me/small", 1, "the Hub does not know the token"),
        ("of-me", "you/small", 1, "the token may not write to you/small"),
        ("of-me", "small", 2, "'small' is no name of a repository: give owner/name"),
        ("of-me", "me/a--b", 2, "'me/a--b' is no name of a repository"),
        ("of-me", "me/../x", 2, "is no name of a repository"),
    ],
)
def test_refusals(finished: Finished, run: str, tmp_path: Path, token: str, name: str, status: int, words: str):
    with serving(tmp_path, token) as hub:
        told = push(finished, run, name, check=status)
        assert not hub.repositories
    assert words in told.err.splitlines()[-1] and not told.out and "Traceback" not in told.err


def test_no_network_is_one_sentence_before_anything_is_exported(finished: Finished, run: str, tmp_path, monkeypatch):
    with serving(tmp_path):
        monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
        told = push(finished, run, "me/small", check=1)
    assert re.fullmatch(r"bench: cannot push me/small to http://127.0.0.1:9 \(.+\): check the network\n", told.err)


def test_offline_is_a_request_that_cannot_be_met(finished: Finished, run: str):
    refused(push(finished, run, "me/small", check=2), "HF_HUB_OFFLINE is set")


def test_a_hub_that_breaks_off_says_how_to_go_on(finished: Finished, run: str, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    with serving(tmp_path) as hub:
        hub.down = True
        told = push(finished, run, "me/small", check=1)
        assert "try again with --force" in told.err.splitlines()[-1]
        assert hub.repositories == {"me/small": Repository(False)}


@pytest.mark.parametrize("files", [["a.safetensors", "pytorch_model.bin"], ["a.safetensors", "x.py"], ["config.json"]])
def test_weights_are_safetensors_and_nothing_else(files: list[str]):
    check_safe(["README.md", "1_Pooling/config.json", "a.safetensors"])
    with pytest.raises(BenchError, match="safetensors alone"):
        check_safe(files)
