"""Relations in marked sentences, and questions about abstracts: GAD's TSV, ChemProt's JSON lines, PubMedQA, BioASQ."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.data.labelled import Labelled, Splits, by_hash, cut, numbers
from bench.sources import DataError, filled, find_columns, present, read_lines, table

PUBMEDQA, OFFICIAL_TEST = "ori_pqal.json", "test_ground_truth.json"
FOLD = 50  # dev of PubMedQA: as large as one of its ten official folds of the 500 that are not test


def gad(folder: Path, classes: Sequence[str]) -> Splits:
    """index, sentence and label, with a header; the two names are hidden behind @GENE$ and @DISEASE$."""
    return in_files(folder, [f"{part}.tsv" for part in ("train", "dev", "test")], gad_file, classes)


def gad_file(path: Path) -> list[tuple[str, Any, Any]]:
    lines = list(table(path, (3,)))
    find_columns(("index", "sentence", "label"), lines[0][1], lines[0][0])
    return [(place, text, label) for place, (_, text, label) in lines[1:]]


def chemprot(folder: Path, classes: Sequence[str]) -> Splits:
    """SciBERT's form, a JSON object a line: text with << chemical >> and [[ gene ]], and the relation's name."""
    return in_files(folder, [f"{part}.txt" for part in ("train", "dev", "test")], chemprot_file, classes)


def chemprot_file(path: Path) -> list[tuple[str, Any, Any]]:
    found = []
    for number, line in enumerate(filled(path), 1):
        place = f"{path}, line {number}"
        row = parsed(line, place)
        if not isinstance(row, dict) or not {"text", "label"} <= row.keys():
            raise DataError(f"{place}: no object with a text and a label")
        found.append((place, row["text"], row["label"]))
    return found


def bioasq(folder: Path, classes: Sequence[str]) -> Splits:
    """BLURB's form: id, question, abstract and yes or no, without a header."""
    return in_files(folder, [f"{part}.tsv" for part in ("train", "dev", "test")], bioasq_file, classes)


def bioasq_file(path: Path) -> list[tuple[str, Any, Any]]:
    return [(place, (question, text), answer) for place, (_, question, text, answer) in table(path, (4,))]


def in_files(folder: Path, names: Sequence[str], read: Any, classes: Sequence[str]) -> Splits:
    """Three files, one a split."""
    train, dev, test = (labelled(read(present(folder / name)), classes) for name in names)
    return Splits(by_hash(train), dev, {"": test})


def hub_relations(tables: Sequence[Any], repo: str, columns: Sequence[str], classes: Sequence[str]) -> Splits:
    """Three tables of the Hub, train, dev and test; `columns`: of the text, and of the label or a list of one."""
    train, dev, test = (labelled(hub_table(table, repo, columns), classes) for table in tables)
    return Splits(by_hash(train), dev, {"": test})


def hub_table(table: Any, repo: str, columns: Sequence[str]) -> list[tuple[str, Any, Any]]:
    find_columns(columns, table.column_names, repo)
    texts, labels = (table[name] for name in columns)
    single = (label[0] if isinstance(label, list) and len(label) == 1 else label for label in labels)
    return [
        (f"{repo}, {table.split}, row {n}", text, label)
        for n, (text, label) in enumerate(zip(texts, single, strict=True), 1)
    ]


def pubmedqa(folder: Path, classes: Sequence[str]) -> Splits:
    """The 500 questions whose ids the official file of test answers names are test; dev is cut from the others.

    DataError: a question without text, decision or abstract, an id of test that is not there, or another answer there.
    """
    path, official = folder / PUBMEDQA, present(folder / OFFICIAL_TEST)
    rows, gold = (document(p) for p in (path, official))
    if missing := sorted(gold.keys() - rows.keys()):
        raise DataError(f"{official}: {missing[0]} is not in {PUBMEDQA}")
    test = labelled([question(f"{path}, {key}", rows[key]) for key in gold], classes)
    if test.labels.tolist() != numbers(list(gold.values()), classes, [f"{official}, {key}" for key in gold]).tolist():
        raise DataError(f"{official}: an answer is another one than in {PUBMEDQA}")
    others = [question(f"{path}, {key}", row) for key, row in rows.items() if key not in gold]
    dev, train = cut(labelled(others, classes), min(FOLD, len(others) // 2))
    return Splits(train, dev, {"": test})


def question(place: str, row: Any) -> tuple[str, Any, Any]:
    """(place, (question, abstract), decision)"""
    parts = row.get("CONTEXTS") if isinstance(row, dict) else None
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise DataError(f"{place}: no CONTEXTS with the parts of an abstract")
    return place, (row.get("QUESTION"), " ".join(parts)), row.get("final_decision")


def labelled(rows: Sequence[tuple[str, Any, Any]], classes: Sequence[str]) -> Labelled:
    """DataError: a text is missing, or an unknown label."""
    for place, texts, _ in rows:
        if not all(isinstance(t, str) and t.strip() for t in (texts if isinstance(texts, tuple) else [texts])):
            raise DataError(f"{place}: a text is missing")
    return Labelled([texts for _, texts, _ in rows], numbers([r[2] for r in rows], classes, [r[0] for r in rows]))


def document(path: Path) -> Mapping[str, Any]:
    """A file that is one JSON object. DataError: it is none."""
    found = parsed("\n".join(read_lines(present(path))), str(path))
    if not isinstance(found, dict) or not found:
        raise DataError(f"{path}: not a JSON object with something in it")
    return found


def parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: not valid JSON ({error})") from None
