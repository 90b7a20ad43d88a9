"""Models whose files do not hold what their config says: the library would fill the gap with random numbers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from bench.errors import RequestError
from bench.networks.transformer import load, load_classifier
from bench.plugins import registry


@pytest.fixture
def plain(teacher: Path, tmp_path: Path) -> Path:
    return shutil.copytree(teacher.with_name(teacher.name + "-plain"), tmp_path / "plain")


def change(folder: Path, edit: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    file = next(folder.rglob("*.safetensors"))
    save_file(edit(load_file(file)), file, metadata={"format": "pt"})


def goal() -> Any:
    return registry.load(registry.installed("kind", "classify")).of(3, ("a", "b", "c"), None)


def test_a_layer_that_is_missing_is_refused(plain: Path) -> None:
    load(plain)
    load_classifier(plain, goal(), new_head=True)
    change(plain, lambda held: {n: t for n, t in held.items() if "layer.1.output.dense.weight" not in n})
    for loaded in (lambda: load(plain), lambda: load_classifier(plain, goal(), new_head=True)):
        with pytest.raises(RequestError, match=r"holds no weights of .*layer\.1\.output\.dense\.weight"):
            loaded()


def test_a_head_that_is_missing_is_refused_unless_it_is_to_be_new(plain: Path) -> None:
    config = plain / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"id2label": {"0": "a", "1": "b", "2": "c"}}))
    with pytest.raises(RequestError, match=r"holds no weights of classifier\.weight and 1 more"):
        load_classifier(plain, goal())
    load_classifier(plain, goal(), new_head=True)


def test_layers_that_the_config_does_not_have_are_refused(plain: Path) -> None:
    config = plain / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"num_hidden_layers": 1}))
    with pytest.raises(RequestError, match=r"holds 2 layers, and its config.json says 1"):
        load(plain)
