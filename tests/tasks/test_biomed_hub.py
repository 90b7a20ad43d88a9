"""Biomedical sets from the Hub: its rows give the sentences, tags, relations and splits that the files give."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.factories.data import hub_standing_in
from tests.tasks.test_biomed import Biomed, Source, sentence
from tests.tasks.test_superglue_hub import in_child

datasets = pytest.importorskip("datasets", reason="reading from the Hub needs the 'hub' extra")
PARTS = ("train", "dev", "test")
NUMBERED = {"train": range(24), "dev": range(24, 32), "test": range(32, 40)}
RELATIONS = [(f"@GENE$ {n} has to do with @DISEASE$" if n % 2 else f"no {n} of @GENE$", n % 2) for n in range(20)]
ACTS = [(f"<< drug >> {n} [[ gene ]]", ("INHIBITOR", "SUBSTRATE")[n % 2]) for n in range(20)]
TNER = ("O", "B-Chemical", "B-Disease", "I-Disease", "I-Chemical")

CHILD = """
import json
from bench.plugins.registry import find, load
from bench.sources import Source
cls, found = load(find("task", "biomed")), {}
for name in ("bc5cdr", "bc5cdr-disease", "gad", "chemprot"):
    task = cls(Source("hub"), "lite", name)
    found[name] = [task.identity(), task.card().sizes]
print(json.dumps(found))
"""


def files(folder: Path) -> Path:
    """The official files of four sets."""
    tagged = {part: "".join(map(sentence, rows)) for part, rows in NUMBERED.items()}
    for name in ("BC5CDR-IOB", "BC5CDR-disease-IOB"):
        for part, text in tagged.items():
            write(folder / name / f"{part}.tsv", text)
    for part in PARTS:
        rows = [("index", "sentence", "label"), *((n, *row) for n, row in enumerate(RELATIONS))]
        write(folder / "GAD" / f"{part}.tsv", "".join("\t".join(map(str, row)) + "\n" for row in rows))
        write(folder / "chemprot" / f"{part}.txt", lines(ACTS))
    return folder


def hub(folder: Path) -> Path:
    """The same as repositories of the Hub have them."""
    names = datasets.Sequence(datasets.ClassLabel(names=["O", "B", "I"]))
    words = {"tokens": datasets.Sequence(datasets.Value("string")), "ner_tags": names}
    for part, split in zip(PARTS, ("train", "validation", "test"), strict=True):
        rows = [[line.split("\t") for line in sentence(n).splitlines() if line] for n in NUMBERED[part]]
        tokens, tags = [[w for w, _ in row] for row in rows], [[t for _, t in row] for row in rows]
        numbers = [[TNER.index(tag) for tag in row] for row in tags]
        tner = [{"tokens": w, "tags": t} for w, t in zip(tokens, numbers, strict=True)]
        write(folder / f"tner/bc5cdr/dataset/{split.replace('validation', 'valid')}.json", lines(tner))
        letters = {"tokens": [["-DOCSTART-"], *tokens], "ner_tags": [["O"], *([t[0] for t in row] for row in tags)]}
        parquet(folder / f"bigbio/blurb/bc5disease/{split}", letters, datasets.Features(words))
        texts = {"text": [text for text, _ in RELATIONS], "labels": [[str(label)] for _, label in RELATIONS]}
        parquet(folder / f"bigbio/gad/gad_blurb_bigbio_text/{split}", texts)
        write(folder / f"zapsdcn/chemprot/chemprot_{part}.jsonl", lines(ACTS))
    return folder


def lines(rows: list) -> str:
    found = [row if isinstance(row, dict) else dict(zip(("text", "label"), row, strict=True)) for row in rows]
    return "".join(json.dumps(row) + "\n" for row in found)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def parquet(folder: Path, columns: dict, features: object = None) -> None:
    folder.mkdir(parents=True)
    datasets.Dataset.from_dict(columns, features=features).to_parquet(folder / "0000.parquet")


def test_the_hub_gives_what_the_files_give(tmp_path):
    (home := tmp_path / "home").mkdir()
    hub(tmp_path / "hub/datasets")
    with hub_standing_in(tmp_path / "hub") as place:
        found = in_child(place, home, CHILD)
    folder = files(tmp_path / "files")
    for name, told in found.items():
        task = Biomed(Source("directory", folder), "lite", name)
        task.unseal()
        assert told == [task.identity(), task.card().sizes], name
