"""Tables of labelled rows as people keep them: CSV, TSV, JSON lines, Parquet; one file, or one for each split."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.sources import DataError, filled

SPLITS = {
    "train": ("train", "training"),
    "dev": ("dev", "devel", "validation", "valid", "val"),
    "test": ("test", "eval"),
}


@dataclass(frozen=True)
class Table:
    """Rows by column name, and where each stands: `data.csv, line 7`."""

    path: Path
    header: Sequence[str]
    rows: Sequence[Mapping[str, Any]]
    places: Sequence[str]

    def named(self, names: Sequence[str]) -> str:
        """The first of the names that is a column, in the table's own letters; empty: none is."""
        known = {column.strip().lower(): column for column in reversed(self.header)}
        return next((known[name.lower()] for name in names if name.lower() in known), "")

    def column(self, name: str) -> list[Any]:
        """Its cells. DataError: there is no such column, or a row has none."""
        if name not in self.header:
            raise DataError(f"{self.path}: no column {name}; there are {', '.join(self.header)}")
        cells = [row.get(name) for row in self.rows]
        if None in cells:
            raise DataError(f"{self.places[cells.index(None)]}: nothing in the column {name}")
        return cells

    def blank(self, name: str) -> bool:
        """Whether no row has anything in the column: nothing, or -1 throughout."""
        cells = [row.get(name) for row in self.rows]
        return all(cell is None or cell == "" for cell in cells) or all(cell == -1 for cell in cells)

    def where(self, chosen: Sequence[int]) -> Table:
        """Some of the rows."""
        return Table(self.path, self.header, [self.rows[i] for i in chosen], [self.places[i] for i in chosen])


def read(path: Path) -> Table:
    """The table of a file, by its ending. DataError: not there, not of that format, or without rows."""
    header, rows, places = [*map(str, (found := READERS[path.suffix.lower()](path))[0])], [], []
    for place, cells in found[1]:
        rows.append(cells)
        places.append(place)
    if not rows:
        raise DataError(f"{path} holds no rows below its column names")
    return Table(path, header, rows, places)


Found = tuple[Sequence[str], Iterator[tuple[str, Mapping[str, Any]]]]


def separated(path: Path, delimiter: str, quoting: bool) -> Found:
    """Column names in the first line. Without quoting a quote mark is text, as in the TSV files of GLUE."""
    lines = filled(path)
    how: dict[str, Any] = {"delimiter": delimiter} if quoting else {"delimiter": delimiter, "quoting": csv.QUOTE_NONE}
    reader = csv.reader((line.removeprefix("\ufeff") + "\n" for line in lines), strict=True, **how)
    header = next(reader)
    if double := [name for name in header if header.count(name) > 1]:
        raise DataError(f"{path}, line 1: two columns are called {double[0]!r}")

    def cells() -> Iterator[tuple[str, Mapping[str, Any]]]:
        start = reader.line_num
        try:
            for row in reader:
                place, start = f"{path}, line {start + 1}", reader.line_num
                if row and len(row) != len(header):
                    raise DataError(f"{place}: {len(row)} columns, and {len(header)} names in the first line")
                if row:
                    yield place, dict(zip(header, row, strict=True))
        except csv.Error as error:
            raise DataError(f"{path}, line {start + 1}: not valid CSV ({error})") from None

    return header, cells()


def json_lines(path: Path) -> Found:
    """One JSON object a line; the columns are the keys of the first one."""
    lines = [(f"{path}, line {n}", line) for n, line in enumerate(filled(path), 1) if line.strip()]
    return list(parsed(*lines[0])), ((place, parsed(place, line)) for place, line in lines)


def parsed(place: str, line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise DataError(f"{place}: not valid JSON ({error})") from None
    if not isinstance(found, dict):
        raise DataError(f"{place}: not a JSON object")
    return found


def parquet(path: Path) -> Found:
    """Numbers that the Hub stores for names of classes are those names again."""
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"{path} is not valid Parquet ({error})") from None
    rows = named_rows(table, class_names(table.schema.metadata or {}))
    return table.column_names, ((f"{path}, row {n}", row) for n, row in enumerate(rows, 1))


def named_rows(table: Any, names: Mapping[str, Mapping[int, str]]) -> Iterator[Mapping[str, Any]]:
    """The rows of an arrow table, with names of classes for the numbers of the columns that have names."""
    for row in table.to_pylist():
        yield {k: names[k][v] if k in names and v is not None else v for k, v in row.items()}


def class_names(metadata: Mapping[bytes, bytes]) -> dict[str, dict[int, str]]:
    """Column -> number -> name, as `datasets` writes it beside a table; {}: it did not write this one."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}")).get("info", {}).get("features", {})
        return {c: numbered(f["names"]) for c, f in features.items() if f.get("_type") == "ClassLabel"}
    except (ValueError, AttributeError, KeyError, TypeError):
        return {}


def numbered(names: Sequence[str]) -> dict[int, str]:
    """Names of classes by their numbers; -1 stands for none, as where labels are hidden."""
    return {-1: "", **dict(enumerate(names))}


READERS: Mapping[str, Callable[[Path], Found]] = {
    ".csv": lambda path: separated(path, ",", quoting=True),
    ".tsv": lambda path: separated(path, "\t", quoting=False),
    ".jsonl": json_lines,
    ".parquet": parquet,
}


def tables_in(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.suffix.lower() in READERS]


def parts(place: Path, said: Mapping[str, str] | None = None) -> dict[str, Table]:
    """{"": one file}, or of a folder the table of each split that has a file: train.csv, dev.csv, test.csv.

    `said`: split -> what it is called, where that is not usual. DataError: no such place, or no such file in it, or
    two for one split.
    """
    if place.is_file():
        return {"": read(place)}
    if not place.is_dir():
        raise DataError(f"there is no data at {place}")
    files = tables_in(place)
    return {split: read(files[n]) for split, n in chosen([p.stem for p in files], said or {}, str(place)).items()}


def chosen(names: Sequence[str], said: Mapping[str, str], place: str) -> dict[str, int]:
    """Split -> which of the names it is: what is said of it, else its usual names.

    DataError: none is train, two are one split, or what is said is not there.
    """
    there = ", ".join(names) or "none"
    if missing := [name for name in said.values() if name not in names]:
        raise DataError(f"{place}: there is no {missing[0]}; there are {there}")
    of = [next((s for s, name in said.items() if name == own), "") or split_of(own) for own in names]
    of = [split if said.get(split, own) == own else "" for own, split in zip(names, of, strict=True)]
    if "train" not in of:
        raise DataError(f"{place}: none of its tables is called train; there are {there}: say --set train=NAME")
    if several := [split for split in SPLITS if of.count(split) > 1]:
        both = " and ".join(own for own, split in zip(names, of, strict=True) if split == several[0])
        raise DataError(f"{place}: {both} are both {several[0]}: say which with --set {several[0]}=NAME")
    return {split: of.index(split) for split in SPLITS if split in of}


def split_of(name: str) -> str:
    """train, dev or test, by its usual names; empty: none of them. `train-00000-of-00001` is train too."""
    plain = re.sub(r"-\d+-of-\d+$", "", name.strip().lower())
    return next((split for split, names in SPLITS.items() if plain in names), "")


def by_column(table: Table, name: str) -> dict[str, Table]:
    """The rows of each split, as a column says. DataError: a cell that names none of them."""
    found: dict[str, list[int]] = {}
    for row, (cell, place) in enumerate(zip(table.column(name), table.places, strict=True)):
        if not (split := split_of(str(cell))):
            raise DataError(f"{place}: {cell!r:.40} in the column {name} is none of train, dev and test")
        found.setdefault(split, []).append(row)
    if "train" not in found:
        raise DataError(f"{table.path}: no row is of the split train")
    return {split: table.where(rows) for split, rows in found.items()}
