"""Questions with candidate sentences: WikiQA's TSV and its form on the Hub, TREC-QA's jacana and CSV, ASNQ's TSV."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from bench.sources import DataError, filled, find_columns, hub_rows, table

HUB = ("microsoft/wiki_qa", "f09754ebeca7180f0f2a1c175b9a2131bbdfc2d2")  # the Hub's own parquet of the data set
HUB_FILES = {split: f"default/{split}/*.parquet" for split in ("train", "validation", "test")}
WIKIQA = ("QuestionID", "Question", "SentenceID", "Sentence", "Label")
OPENED = re.compile(r"<QApairs id='([^']+)'>")
KINDS = ("<negative>", "<positive>")  # by label
BINARY = {"0": 0, "1": 1}
ASNQ_LABELS = {"1": 0, "2": 0, "3": 0, "4": 1}  # 4: inside the long answer, and it holds the short one


class Question(NamedTuple):
    """A question's sentences, and of each the label: 1 where it answers the question, else 0."""

    text: str
    sentences: list[str]
    labels: list[int]


class Row(NamedTuple):
    place: str  # in a file
    key: str  # of the question
    text: str
    sentence: str
    label: str


def gathered(rows: Iterable[Row], meanings: Mapping[str, int] = BINARY) -> list[Question]:
    """Rows by question, in the order of the file.

    DataError: an empty question or sentence, an unknown label, two texts of one question.
    """
    found: dict[str, Question] = {}
    for place, key, *texts, label in rows:
        text, sentence = map(str.strip, texts)
        if not text or not sentence:
            raise DataError(f"{place}: {'the sentence' if text else 'the question'} is missing")
        if label not in meanings:
            raise DataError(f"{place}: the label {label!r} is none of {', '.join(meanings)}")
        question = found.setdefault(key, Question(text, [], []))
        if question.text != text:
            raise DataError(f"{place}: question {key} has another text than before")
        question.sentences.append(sentence)
        question.labels.append(meanings[label])
    return list(found.values())


def wikiqa(path: Path) -> list[Question]:
    """Microsoft's WikiQA-*.tsv: a header, and quote marks are text. DataError: a sentence's id comes twice."""
    return gathered(wikiqa_rows(path))


def wikiqa_rows(path: Path) -> Iterable[Row]:
    header = filled(path)[0].split("\t")
    at = find_columns(WIKIQA, header, f"{path}, line 1")
    seen = set()
    for place, cells in list(table(path, (len(header),)))[1:]:
        key, text, name, sentence, label = (cells[i] for i in at)
        if (key, name) in seen:
            raise DataError(f"{place}: sentence {name} of question {key} comes twice")
        seen.add((key, name))
        yield Row(place, key, text, sentence, label)


def wikiqa_hub(split: str) -> list[Question]:
    """One split of the Hub's parquet form, which has no ids of sentences."""
    data, names = hub_rows(*HUB, split, data_files=HUB_FILES), ("question_id", "question", "answer", "label")
    find_columns(names, data.column_names, HUB[0])
    rows = zip(*(data[name][:] for name in names), strict=True)
    return gathered(
        Row(f"{HUB[0]} {split}, row {number}", str(key), text or "", answer or "", str(label))
        for number, (key, text, answer, label) in enumerate(rows, 1)
    )


def jacana(path: Path) -> list[Question]:
    """<QApairs id='...'> around <question>, <positive> and <negative>, the first line of each holding its words. It
    looks like XML and is none. A few questions have no sentence: they are left out.

    DataError: a question's id is not there, or comes twice.
    """
    return gathered(jacana_rows(path))


def jacana_rows(path: Path) -> Iterable[Row]:
    lines, key, text, seen = filled(path), "", "", set()
    for number, (line, after) in enumerate(zip(lines, [*lines[1:], ""], strict=True), 1):
        place, words = f"{path}, line {number}", "" if after.startswith("</") else " ".join(after.split("\t"))
        if line.startswith("<QApairs"):
            opened = OPENED.fullmatch(line)
            if opened is None:
                raise DataError(f"{place}: a question has no id: {line[:60]}")
            if opened[1] in seen:
                raise DataError(f"{place}: the question's id {opened[1]} comes twice")
            key, text = opened[1], ""
            seen.add(key)
        elif line == "<question>":
            text = words
        elif line in KINDS:
            yield Row(place, key, text, words, str(KINDS.index(line)))


def wang(path: Path) -> list[Question]:
    """CSV with the columns qtext, label, atext; a question is known by its text. DataError: not valid CSV."""
    reader = csv.reader((line + "\n" for line in filled(path)), strict=True)
    try:
        (place, header), *rows = [(f"{path}, line {reader.line_num}", cells) for cells in reader if cells]
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: not valid CSV ({error})") from None
    at = find_columns(("qtext", "atext", "label"), header, place)
    for place, cells in rows:
        if len(cells) != len(header):
            raise DataError(f"{place}: {len(cells)} columns, and the header has {len(header)}")
    return gathered(Row(place, cells[at[0]].strip(), *(cells[i] for i in at)) for place, cells in rows)


def asnq(path: Path) -> list[Question]:
    """Question, sentence and a label from 1 to 4, without a header; a question is known by its text."""
    return gathered((Row(place, cells[0].strip(), *cells) for place, cells in table(path, (3,))), ASNQ_LABELS)
