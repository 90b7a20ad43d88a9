"""Tables as people keep them: the same rows from each format, and every fault by file and line."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from bench.data.tables import by_column, parts, read
from bench.sources import DataError

ROWS = [{"text": "good, really", "label": "yes"}, {"text": 'he said "no"', "label": "no"}]
FORMS = {
    "t.csv": '\ufefftext,label\n"good, really",yes\n"he said ""no""",no\n',
    "t.tsv": 'text\tlabel\r\ngood, really\tyes\r\nhe said "no"\tno\r\n',
    "t.jsonl": "".join(json.dumps(row) + "\n" for row in ROWS),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_format_gives_the_same_rows(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(FORMS[name], encoding="utf-8", newline="")
    table = read(tmp_path / name)
    assert (list(table.header), [dict(row) for row in table.rows]) == (["text", "label"], ROWS)
    assert table.named(["LABEL"]) == "label" and table.named(["score"]) == ""


def test_parquet_with_names_of_classes(tmp_path: Path) -> None:
    """As `datasets` writes it: numbers, and the names beside them."""
    features = {"info": {"features": {"label": {"names": ["no", "yes"], "_type": "ClassLabel"}}}}
    table = pyarrow.table({"text": ["good, really", 'he said "no"'], "label": [1, 0]})
    table = table.replace_schema_metadata({"huggingface": json.dumps(features)})
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    assert [dict(row) for row in read(tmp_path / "t.parquet").rows] == ROWS


def test_a_place_is_that_of_the_first_line_of_a_row(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('text,label\n"two\nlines",a\n\nlast,b\n')
    table = read(tmp_path / "t.csv")
    assert [place.rpartition(" ")[2] for place in table.places] == ["2", "5"]
    assert table.column("text") == ["two\nlines", "last"]


BROKEN = {
    "short.csv": ("a,b\n1,2\n3\n", "line 3: 1 columns, and 2 names in the first line"),
    "double.csv": ("a,a\n1,2\n", "line 1: two columns are called 'a'"),
    "quote.csv": ('a,b\n1,2\n3,"4\n', "line 3: not valid CSV"),
    "only.csv": ("a,b\n", "holds no rows below its column names"),
    "bad.jsonl": ('{"a": 1}\n{"a": \n', "line 2: not valid JSON"),
    "list.jsonl": ("[1]\n", "line 1: not a JSON object"),
    "not.parquet": ("text", "is not valid Parquet"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_faults_name_file_and_line(name: str, tmp_path: Path) -> None:
    text, why = BROKEN[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError) as error:
        read(tmp_path / name)
    assert name in str(error.value) and why in str(error.value)


def test_a_missing_column_and_a_missing_cell(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"a": 1, "b": 2}\n{"a": 3}\n')
    table = read(tmp_path / "t.jsonl")
    with pytest.raises(DataError, match=r"t\.jsonl: no column c; there are a, b"):
        table.column("c")
    with pytest.raises(DataError, match=r"line 2: nothing in the column b"):
        table.column("b")


def test_splits_of_a_folder_and_of_a_column(tmp_path: Path) -> None:
    for name in ("train-00000-of-00001.csv", "validation.csv", "other.csv"):
        (tmp_path / name).write_text("text,split\nx,test\ny,train\nz,val\n")
    found = parts(tmp_path)
    assert list(found) == ["train", "dev"]
    assert {k: t.column("text") for k, t in by_column(found["train"], "split").items()} == {
        "test": ["x"], "train": ["y"], "dev": ["z"],
    }  # fmt: skip
    (tmp_path / "dev.csv").write_text("text\nx\n")
    with pytest.raises(DataError, match="dev and validation are both dev: say which with --set dev=NAME"):
        parts(tmp_path)
    (tmp_path / "train-00000-of-00001.csv").unlink()
    with pytest.raises(DataError, match="called train; there are dev, other, validation: say --set train=NAME"):
        parts(tmp_path)
