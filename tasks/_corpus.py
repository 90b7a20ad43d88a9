"""Texts without labels for masked language models: those of biomedical data sets, or a file of one document a line."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path

import numpy as np

from bench.data.labelled import Labelled
from bench.data.lines import Chosen, Lines
from bench.inputs import texts
from bench.plugins import registry
from bench.sources import DataError, NoData, Source

SHARE = 50  # every so many documents one of dev, and one of test
MOST = 200  # documents of dev, and of test
FILES = ("corpus.txt", "corpus")  # a file, or a folder of *.txt files


def of_file(folder: Path) -> Lines:
    """DataError: it is not there, or holds no text."""
    there = [folder / name for name in FILES if (folder / name).exists()]
    if not there:
        raise DataError(
            f"no corpus in {folder}: looked for corpus.txt, one document a line, and a folder corpus of such"
        )
    return Lines(there[0])


def of_tasks(family: str, names: Sequence[str]) -> Callable[[Path], list[str]]:
    """The training texts of those data sets of a family that are there, each once, of pairs the second. Dev and test of
    none are read as text. NoData: none of the data sets is there. DataError: one is malformed."""

    def read(folder: Path) -> list[str]:
        found = dict[str, None]()
        for name in names:
            task = registry.load(registry.find("task", family))(Source("directory", folder), "lite", name)
            with suppress(NoData):
                found |= dict.fromkeys(documents(task.splits.train))
        if not found:
            raise NoData(
                f"none of the data sets of {family} whose texts it is made of is in {folder}; another one is named as "
                "--set METHOD.corpus=mlm/biomed, mlm/indonlu or mlm/text"
            )
        return list(found)

    return read


def documents(data: Labelled) -> Iterator[str]:
    """Of pairs, questions and abstracts, the abstract."""
    pool = texts(data.inputs)
    last = pool.columns[-1]
    return chain((" ".join(words) for words in last) if pool.split else last)


def splits(lines: Sequence[str]) -> dict[str, Chosen]:
    """train, dev and test: by the sha256 of each document, so that equal ones stay together."""
    part = np.fromiter(
        (int.from_bytes(hashlib.sha256(line.encode()).digest()[:8], "big") % SHARE for line in lines), np.int64
    )
    rows = {"train": part > 1, "dev": part == 0, "test": part == 1}
    found = {name: Chosen(lines, np.flatnonzero(here)) for name, here in rows.items()}
    return {n: c if n == "train" else Chosen(lines, c.rows[:MOST]) for n, c in found.items()}
