"""Folders of models: nothing in them is run, whatever their files ask for."""

from __future__ import annotations

import ast
import json
import os
import shutil
from dataclasses import replace

import pytest

from bench.errors import RequestError
from bench.kinds.classify import Classify
from bench.networks import places
from bench.networks.transformer import load, load_classifier
from bench.runs.spec import Request, open_tasks
from bench.teachers import plans
from tests.factories.runs import ROOT
from tests.worlds.tools import TOY

CODE = "open({marker!r}, 'w').close()\n"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"auto_map": {"AutoConfig": "own.Own", "AutoModel": "own.Own"}, "model_type": "own"}, "cannot load"),
        ({"attn_implementation": "owner/kernels"}, "attention kernels"),
        ({"_attn_implementation": "owner/kernels:attend"}, "attention kernels"),
    ],
)
@pytest.mark.parametrize("loaded", [load, lambda folder: load_classifier(folder, Classify(2), new_head=True)])
def test_code_of_a_model_folder_is_refused_and_not_asked_for(teacher, tmp_path, monkeypatch, change, reason, loaded):
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("the user was asked"))
    folder = model(teacher, tmp_path, change)
    with pytest.raises(RequestError, match=reason):
        loaded(folder)
    assert not (tmp_path / "marker").exists()


def test_a_pipe_or_a_device_in_a_model_folder_is_not_waited_for(teacher, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(teacher, folder)
    os.mkfifo(folder / "NOTES.md")
    with pytest.raises(RequestError, match=r"NOTES\.md is no plain file"):
        places.check(folder)
    (folder / "NOTES.md").unlink()
    before, size = places.content_key(folder), places.Place("x", "", "", folder).disk_bytes
    shutil.copytree(teacher, folder / "checkpoint-500")
    assert (places.content_key(folder), places.Place("x", "", "", folder).disk_bytes) == (before, size)


@pytest.mark.parametrize("loaded", [load, lambda folder: load_classifier(folder, Classify(2), new_head=True)])
def test_a_model_that_the_library_knows_is_loaded_without_its_own_code(teacher, tmp_path, loaded):
    names = ("AutoConfig", "AutoModel", "AutoModelForSequenceClassification")
    assert loaded(model(teacher, tmp_path, {"auto_map": dict.fromkeys(names, "own.Own")})).encode(["a"]).lengths == 3
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("name", ["tokenizer_config.json", "preprocessor_config.json", "processor_config.json"])
@pytest.mark.parametrize("loaded", [load, lambda folder: load_classifier(folder, Classify(2), new_head=True)])
def test_code_of_a_tokenizer_or_processor_does_not_run(teacher, tmp_path, monkeypatch, name, loaded):
    """Neither where the class is the folder's own, nor is the user asked: the model is read, or refused."""
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("the user was asked"))
    folder = model(teacher, tmp_path, {})
    path, own = folder / name, {"tokenizer_class": "Own", "processor_class": "Own", "image_processor_type": "Own"}
    maps = {"AutoTokenizer": ["own.Own", "own.Own"]} | dict.fromkeys(("AutoProcessor", "AutoImageProcessor"), "own.Own")
    before = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(before | own | {"auto_map": maps}))
    try:
        assert loaded(folder).encode(["a"]).lengths == 3
    except RequestError as error:
        assert "custom code" in str(error)
    assert not (tmp_path / "marker").exists()


def test_every_load_says_that_it_runs_no_code_of_the_folder():
    """Of transformers, whose default asks; `weights.py` says it among its options."""
    rooms = ("bench", "tasks", "baselines", "students")
    calls = [
        (path, call)
        for room in rooms
        for path in (ROOT / room).rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith(".from_pretrained")
        and ast.unparse(call.func) != "nn.Embedding.from_pretrained"
    ]  # fmt: skip
    assert len(calls) > 15
    for path, call in calls:
        said = {word.arg: word.value for word in call.keywords}
        refused = "trust_remote_code" in said and ast.literal_eval(said["trust_remote_code"]) is False
        assert refused or (path.name, None in said) == ("weights.py", True), f"{path}:{call.lineno}"


def model(teacher, tmp_path, change):
    """A small model whose config is changed, beside code that would leave a marker."""
    folder = tmp_path / "model"
    shutil.copytree(teacher.with_name(teacher.name + "-plain"), folder)
    (folder / "own.py").write_text(CODE.format(marker=str(tmp_path / "marker")))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    return folder


def test_what_was_taught_or_copied_with_other_masks_is_not_taken_for_what_is_taught_now(teacher, tmp_path, monkeypatch):
    """Teachers whose attention is causal or local have identities, and keys of what was taught, of their own; those of
    models in which every token attends to all stay as they were."""
    monkeypatch.chdir(tmp_path)
    (task,) = open_tasks(Request([TOY], ["kd"], ["bert:1"]))
    for kind, added in (("bert", ""), ("xlm-roberta", ""), ("qwen3", " own masks"), ("gpt2", " own masks"),
                        ("modernbert", " own masks")):  # fmt: skip
        folder = tmp_path / kind
        shutil.copytree(teacher.with_name(teacher.name + "-plain"), folder)
        config = json.loads((folder / "config.json").read_text()) | {"model_type": kind}
        (folder / "config.json").write_text(json.dumps(config))
        place = places.locate(str(folder), task)
        assert place.identity == f"{places.content_key(folder)}#{added}"
        key = plans.Plan(str(folder), task, place).key
        before = plans.Plan(str(folder), task, replace(place, identity=f"{places.content_key(folder)}#")).key
        assert (key == before) == (not added)


def test_of_a_hub_model_its_configuration_alone_is_fetched_for_that(tmp_path, monkeypatch):
    """One that has none at its root, as old folders of sentence-transformers, is read as ever."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    (task,) = open_tasks(Request([TOY], ["kd"], ["bert:1"]))
    monkeypatch.setattr(places, "hub_commit", lambda reference: "abc")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2", "vocab_size": 9}))
    monkeypatch.setattr(places, "config_of", lambda place: tmp_path)
    assert places.locate("owner/name@main", task).identity == "owner/name@abc# own masks"

    def absent(place, cause=LocalEntryNotFoundError):
        raise RequestError("cannot load") from cause("no such file")

    monkeypatch.setattr(places, "config_of", absent)
    assert places.locate("owner/name", task).identity == "owner/name@abc#"
    monkeypatch.setattr(places, "config_of", lambda place: absent(place, OSError))
    with pytest.raises(RequestError, match="cannot load"):
        places.locate("owner/name", task)
