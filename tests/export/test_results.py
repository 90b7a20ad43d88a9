"""Scores of a run as the Hub's model-index and as MTEB's result files: written out by hand, against the forms that both
document (huggingface_hub's EvalResult; mteb.TaskResult, version 2)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from bench.export import card, mteb
from bench.plugins.registry import find, load
from bench.records import disk
from bench.records.schemas import Record
from bench.sources import HubSet, Source
from tests.factories.runs import Finished

SCORES = {
    "sts12": {"pearson": 0.61234567, "spearman": 0.5}, "stsb": {"pearson": 0.25, "spearman": 1 / 3},
    "sickr": {"pearson": 0.0, "spearman": -0.125},
}  # fmt: skip


@pytest.fixture
def record(finished: Finished) -> Record:
    """One as from the Hub: no run of its own, as the scores are ours."""
    found = disk.read(Path(finished.outcomes[0]["record"])).model_copy(deep=True)
    found.metrics.all, found.spec["track"] = SCORES, "lite"
    return found


def places(task: str, dataset: str = "", source: str = "hub") -> dict[str, HubSet]:
    return dict(load(find("task", task))(Source(source), "lite", dataset).on_hub())


def test_a_model_index_names_the_sets_on_the_hub_at_their_revision(record: Record):
    front = yaml.safe_load(card.front_matter(record, "hf", "sentence-similarity", [], hub=places("sts")))
    (model,) = front["model-index"]
    assert model["name"] == "bert:1 by kd"
    assert model["results"][1] == {
        "task": {"type": "sentence-similarity"},
        "dataset": {
            "name": "stsb (sts, lite track)", "type": "mteb/stsbenchmark-sts", "split": "test",
            "revision": "b0fddb56ed78048fa8b90373c8a3cfc37b684831",
        },
        "metrics": [
            {"type": "pearson", "value": 0.25, "verified": False},
            {"type": "spearman", "value": 1 / 3, "verified": False},
        ],
    }  # fmt: skip
    assert len(model["results"]) == 3


def test_files_of_mteb(record: Record, tmp_path: Path):
    assert mteb.write(tmp_path, "me__small", record, places("sts")) == ["STS12", "STSBenchmark", "SICK-R"]
    folder = tmp_path / "results/me__small" / record.run_id
    assert sorted(p.name for p in folder.iterdir()) == ["SICK-R.json", "STS12.json", "STSBenchmark.json"]
    assert json.loads((folder / "STS12.json").read_text()) == {
        "dataset_revision": "a0d554a64d88156834ff5ae9920b964011b16384",
        "task_name": "STS12",
        "mteb_version": None,
        "scores": {
            "test": [
                {
                    "cosine_spearman": 0.5, "cosine_pearson": 0.612346, "main_score": 0.5, "hf_subset": "default",
                    "languages": ["eng-Latn"],
                }
            ]
        },
        "evaluation_time": None,
        "kg_co2_emissions": None,
    }  # fmt: skip
    assert json.loads((folder / "SICK-R.json").read_text())["scores"]["test"][0]["main_score"] == -0.125


def test_there_is_none_of_data_that_is_not_mtebs(record: Record, tmp_path: Path):
    assert places("sts", source="directory") == {}
    assert mteb.write(tmp_path, "me__small", record, {}) == [] and not any(tmp_path.iterdir())
    assert not any(place.mteb for place in places("glue", "stsb").values())


def test_where_tasks_say_that_they_are_on_the_hub():
    found = places("glue", "mnli")
    assert {name: (p.repo, p.config, p.split) for name, p in found.items()} == {
        "mnli-matched": ("nyu-mll/glue", "mnli", "validation_matched"),
        "mnli-mismatched": ("nyu-mll/glue", "mnli", "validation_mismatched"),
    }
    assert places("superglue", "boolq")["boolq"].split == "validation"
    assert places("as2", "wikiqa")["wikiqa"].repo == "microsoft/wiki_qa"
    assert places("retrieval", "nfcorpus")["nfcorpus"].repo == "BeIR/nfcorpus"
    every = {place.mteb for place in places("sts").values()}
    assert every == {"STS12", "STS13", "STS14", "STS15", "STS16", "STSBenchmark", "SICK-R"}


def test_the_card_says_which_files_are_there(record: Record):
    record.metrics.all = {"sts12": SCORES["sts12"]}
    context = {"kind": "hf", "pipeline": "sentence-similarity", "base_models": [], "backbone": False, "max_length": 9}
    context |= {"method_title": "", "method_citation": "", "command": "bench run", "hub": places("sts")}
    assert "`results/` holds what STS12 of MTEB read" in card.render(record, [], **context, mteb=["STS12"])
    assert "MTEB" not in card.render(record, [], **context)


def test_the_card_of_a_run_that_was_not_timed_says_so(record: Record):
    context = {"kind": "hf", "pipeline": "sentence-similarity", "base_models": [], "backbone": False, "max_length": 9}
    context |= {"method_title": "", "method_citation": "", "command": "bench run"}
    assert "| speed-up over the teacher |" in card.render(record, [], **context)
    record.efficiency = record.efficiency.model_copy(
        update={"speedup": None, "speedups": {}, "latency": {}, "throughput": {}, "samples": None, "measured": None}
    )
    page = card.render(record, [], **context)
    assert "\nIt was not timed.\n" in page and "Inside the clock" not in page
