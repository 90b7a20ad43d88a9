"""A data set of the Hub as a task without code: splits, configurations and columns; a run of it, and the way back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.data import hub
from bench.errors import RequestError
from bench.records import typed
from bench.runs.spec import Request, resolve
from bench.task import Task
from tests.factories.commands import refused, runs_of
from tests.factories.runs import SMALL, spawned
from tests.tasks.test_tables import reviews

datasets = pytest.importorskip("datasets", reason="reading from the Hub needs the 'hub' extra")
CONFIGS = """---
license: cc0-1.0
configs:
- config_name: first
  data_files: [{split: train, path: first/train*}, {split: validation_matched, path: first/val*}]
- config_name: second
  data_files: [{split: train, path: second/train*}]
---
"""


def written(path: Path, rows: list[tuple[str, Any]], label: str = "label", hidden: bool = False) -> None:
    """A split as `datasets` writes it: texts, classes by number, and a column that is no cell of a table."""
    features = {"text": datasets.Value("string"), "more": datasets.List(datasets.Value("int64"))}
    names = sorted({value for _, value in rows})
    features[label] = datasets.ClassLabel(names=names) if isinstance(names[0], str) else datasets.Value("float32")
    table = {
        "text": [text for text, _ in rows], "more": [[1, 2]] * len(rows),
        label: [-1 if hidden else names.index(v) if isinstance(v, str) else v for _, v in rows],
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_dict(table, datasets.Features(features)).to_parquet(path)


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the repository me/it; datasets reads it as it reads one of the Hub."""
    place = tmp_path / "it"

    def rows(repo: str, revision: str | None, split: str | None, config: str | None) -> Any:
        assert (repo, split) == ("me/it", None)
        return datasets.load_dataset(str(place), config, cache_dir=str(tmp_path / "cache"))

    monkeypatch.setattr(hub, "hub_rows", rows)
    return place


def opened(name: str, *settings: str) -> Task:
    (spec,) = resolve(Request([name], ["kd"], ["bow:8"], "bow:16", settings=settings))
    return spec.task


def test_splits_and_names_of_classes_are_read_from_the_hub(at: Path) -> None:
    for split, n in {"train": 60, "validation": 20, "test": 20}.items():
        written(at / f"data/{split}-00000-of-00001.parquet", reviews(n, seed=n + len(split)))
    task = opened("hf:me/it")
    assert (task.name, task.kind, task.classes) == ("classes/me-it", "classify", ("neg", "pos"))
    task.unseal()
    assert list(task.inputs("test")) == [text for text, _ in reviews(20, seed=24)]
    card = task.card()
    assert (card.source, len(task.examples("distil")), card.sizes["dev"]) == ("Hugging Face Hub: me/it", 60, 20)
    (on,) = task.on_hub().values()
    assert (on.repo, on.split, on.config, on.revision) == ("me/it", "test", None, card.revision)


def test_a_test_split_whose_labels_are_hidden_is_not_read(at: Path) -> None:
    written(at / "data/train-0.parquet", reviews(60))
    written(at / "data/validation-0.parquet", reviews(20, seed=1))
    written(at / "data/test-0.parquet", reviews(20, seed=2), hidden=True)
    task = opened("hf:me/it@abc123")
    task.unseal()
    assert list(task.inputs("test")) == [text for text, _ in reviews(20, seed=1)], "dev is what is judged"
    assert "the labels of test are hidden: it is not read" in task.card().notes
    assert task.on_hub()["me-it"].split == "validation"


def test_a_configuration_is_a_task_of_its_own_and_splits_can_be_named(at: Path) -> None:
    written(at / "first/train.parquet", reviews(60))
    written(at / "first/val.parquet", reviews(20, seed=1))
    written(at / "second/train.parquet", [(text, n / 7) for n, (text, _) in enumerate(reviews(100))])
    (at / "README.md").write_text(CONFIGS)
    first, second = opened("hf:me/it/first", "test=validation_matched"), opened("hf:me/it/second")
    assert (first.name, second.name, second.kind) == ("classes/me-it-first", "values/me-it-second", "regress")
    first.unseal()
    assert len(first.inputs("test")) == 20 and second.on_hub() == {}, "a test set that is cut here lies nowhere"
    with pytest.raises(RequestError, match="there is no gone; there are train, validation_matched"):
        opened("hf:me/it/first", "test=gone")


def test_what_is_no_data_set(at: Path) -> None:
    written(at / "data/train-0.parquet", reviews(40), label="stars")
    with pytest.raises(RequestError, match="train: no column label or score; there are text, stars: name it with"):
        opened("hf:me/it")
    assert opened("hf:me/it", "label=stars").kind == "classify"
    with pytest.raises(RequestError, match="hf:imdb is no data set of the Hub: write hf:owner/name"):
        opened("hf:imdb")
    assert typed.tasks("hf:me/it/first@abc") == ["classes/me-it-first", "values/me-it-first"]


def test_a_run_from_the_hub_keeps_its_revision_and_leads_back_to_it(tmp_path: Path) -> None:
    from tests.test_hub import serving

    repo = tmp_path / "hub/datasets/me/it"
    written(repo / "data/train-00000-of-00001.parquet", reviews(200))
    mine = {"HF_HOME": str(tmp_path / "hf"), "BENCH_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "0"}
    asked = ["run", "--method", "kd", "--teacher", "bow:16", "--student", "bow:8", *SMALL, "--results", tmp_path / "r"]
    with serving(tmp_path / "hub") as served:
        (run,) = runs_of(spawned(*asked, "--task", "hf:me/it", "--json", **mine | served))
    (path,) = (tmp_path / "r/mini").rglob(f"{run['run_id']}.json")
    data = json.loads(path.read_text())["data"]
    assert data["source"] == "hub" and len(data["revision"]) == 40
    offline = mine | {"HF_HUB_OFFLINE": "1"}
    again = ["verify", run["run_id"], "--results", tmp_path / "r"]
    assert "same: accuracy" in spawned(*again, **offline).out
    other = spawned(*asked, "--task", f"hf:me/it@{'0' * 40}", **offline, check=None)
    refused(other, f"the cache holds me/it@{data['revision'][:7]}, and 0000000 is asked for")
    refused(spawned(*asked, "--task", "hf:no/thing", **offline, check=None), "cannot load no/thing from the Hub")
