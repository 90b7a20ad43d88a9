"""SQuAD from the Hub: its rows give the questions, answers and articles that the official files give."""

from __future__ import annotations

import json

import pytest

from tests.factories.data import hub_standing_in
from tests.tasks.test_answered import Squad, opened, squad
from tests.tasks.test_sts_hub import write_parquet
from tests.tasks.test_superglue_hub import in_child

pytest.importorskip("datasets", reason="reading from the Hub needs the 'hub' extra")
HUB = {"1.1": "rajpurkar/squad/plain_text", "2.0": "rajpurkar/squad_v2/squad_v2"}

CHILD = """
import json
from bench.plugins.registry import find, load
from bench.sources import Source
cls, found = load(find("task", "squad")), {}
for name in cls.datasets:
    task = cls(Source("hub"), "lite", name)
    found[name] = [task.identity(), task.card().sizes, task.card().revision]
print(json.dumps(found))
"""


def columns(path):
    """What the Hub's rows have of an official file."""
    articles = json.loads(path.read_text())["data"]
    rows = [(a["title"], p["context"], q) for a in articles for p in a["paragraphs"] for q in p["qas"]]
    answers = [{k: [a[k] for a in q["answers"]] for k in ("text", "answer_start")} for *_, q in rows]
    told = {name: [q[name] for *_, q in rows] for name in ("id", "question")}
    return told | {"title": [t for t, *_ in rows], "context": [c for _, c, _ in rows], "answers": answers}


def test_the_hub_gives_what_the_files_give(tmp_path):
    (home := tmp_path / "home").mkdir()
    for version, place in HUB.items():
        squad(tmp_path, version)
        for part, split in (("train", "train"), ("dev", "validation")):
            path = tmp_path / "hub/datasets" / place / f"{split}-00000-of-00001.parquet"
            write_parquet(path, columns(tmp_path / f"{part}-v{version}.json"))
    with hub_standing_in(tmp_path / "hub") as place:
        found = in_child(place, home, CHILD)
    for version in HUB:
        task = opened(Squad, tmp_path, version)
        assert found[version][:2] == [task.identity(), task.card().sizes] and len(found[version][2]) == 40
