"""SuperGLUE's jsonl, official and from the Hub, as items: the inputs that a network reads of an example, with labels.

A pair is read as (text, text). What the eight data sets ask is said so (our words, after the forms of P-tuning v2):

    BoolQ    (question, passage)                    CB, RTE   (premise, hypothesis)
    COPA     (premise + because | so, choice), one input a choice
    MultiRC  (passage, question + answer), one input an answer
    ReCoRD   (passage, query with the entity in the gap), one input an entity
    WiC      (word: sentence 1, word: sentence 2)   WSC       (text with the *pronoun* marked, noun phrase)
"""

from __future__ import annotations

import json
import re
import string
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.sources import DataError, filled, hub_rows, present

HUB = ("aps/super_glue", "3de24cf8022e94f4ee4b9d55a6f539891524d646")
JOINER = {"cause": "because", "effect": "so"}  # of COPA, between premise and choice
GAP = "@placeholder"  # of ReCoRD
MARKS = string.punctuation  # around words of WSC
ARTICLES = re.compile(r"\b(a|an|the)\b")


@dataclass(frozen=True)
class Item:
    """An example: its inputs, and a label of each. `key`: what may not stand on both sides of a cut."""

    key: str
    inputs: Sequence[tuple[str, str]]
    labels: Sequence[int]  # class numbers; of candidates 1 where it is right, else 0
    worth: Sequence[tuple[float, float]] = ()  # of ReCoRD's candidates: F1 and EM


@dataclass(frozen=True)
class Row:
    """One JSON object, and where it stands: reading a field that is not there, or of another type, says so."""

    place: str
    cells: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.get(name, object)

    def get(self, name: str, kind: type | tuple[type, ...]) -> Any:
        """DataError: the field is not there, or is no `kind`."""
        if name not in self.cells:
            raise DataError(f"{self.place}: the field {name} is missing")
        value = self.cells[name]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
            raise DataError(f"{self.place}: the field {name} holds {str(value)[:40]!r}")
        return value

    def text(self, name: str) -> str:
        """DataError: no text, or an empty one."""
        value: str = self.get(name, str).strip()
        if not value:
            raise DataError(f"{self.place}: the field {name} is empty")
        return value

    def inside(self, name: str) -> Row:
        return Row(self.place, self.get(name, dict))

    def rows(self, name: str) -> list[Row]:
        """A list of objects, at least one."""
        found = self.get(name, list)
        if not found or not all(isinstance(each, dict) for each in found):
            raise DataError(f"{self.place}: the field {name} is no list of objects")
        return [Row(self.place, each) for each in found]

    def label(self, classes: Sequence[str]) -> int:
        """The label by the class's name or number, or as JSON's true and false."""
        value = self["label"]
        name = str(value).lower() if isinstance(value, bool) else value
        if isinstance(name, int) and 0 <= name < len(classes):
            return name
        if name not in classes:
            raise DataError(f"{self.place}: {value!r} is no label; there are {', '.join(classes)}")
        return list(classes).index(name)


def read_jsonl(path: Path) -> list[Row]:
    """One official file. NoData: not there. DataError: a line that is no JSON object."""
    rows = []
    for number, line in enumerate(filled(present(path, "the official SuperGLUE download holds it")), 1):
        place = f"{path}, line {number}"
        try:
            cells = json.loads(line)
        except ValueError as error:
            raise DataError(f"{place}: not valid JSON ({error})") from None
        if not isinstance(cells, dict):
            raise DataError(f"{place}: no JSON object")
        rows.append(Row(place, cells))
    return rows


def read_hub(dataset: str, split: str) -> list[Row]:
    """One split of the Hub's parquet form. Its wsc.fixed has the spans of the official files of version 2."""
    config = "wsc.fixed" if dataset == "wsc" else dataset
    table = hub_rows(*HUB, split, data_files={split: f"{config}/{split}-*.parquet"})
    return [Row(f"{HUB[0]} {config} {split}, row {n}", cells) for n, cells in enumerate(table, 1)]


def pair(first: str, second: str, classes: Sequence[str]) -> Callable[[Row], list[Item]]:
    def read(row: Row) -> list[Item]:
        texts = row.text(first), row.text(second)
        return [Item("\t".join(texts), [texts], [row.label(classes)])]

    return read


def copa(row: Row) -> list[Item]:
    asked = row.text("question")
    if asked not in JOINER:
        raise DataError(f"{row.place}: the question {asked!r} is none of {', '.join(JOINER)}")
    start = f"{row.text('premise')} {JOINER[asked]}"
    choices = [row.text("choice1"), row.text("choice2")]
    right = row.label(("choice1", "choice2"))
    return [Item(row.text("premise"), [(start, choice) for choice in choices], [int(right == n) for n in (0, 1)])]


def wic(row: Row) -> list[Item]:
    word = row.text("word")
    texts = f"{word}: {row.text('sentence1')}", f"{word}: {row.text('sentence2')}"
    return [Item("\t".join(texts), [texts], [row.label(BINARY)])]


def wsc(row: Row) -> list[Item]:
    spans = row.inside("target") if "target" in row.cells else row
    text = marked(row.text("text"), spans.text("span2_text"), spans.get("span2_index", int), row.place)
    return [Item(row.text("text"), [(text, spans.text("span1_text"))], [row.label(BINARY)])]


def marked(text: str, pronoun: str, at: int, place: str) -> str:
    """The text with stars around the pronoun: of words that are it, the one nearest to number `at`, as a few official
    numbers are off. DataError: no word is it."""
    words, wanted = text.split(), pronoun.strip(MARKS).lower()
    found = [n for n, word in enumerate(words) if word.strip(MARKS).lower() == wanted]
    if not found:
        raise DataError(f"{place}: the text has no word {pronoun!r}")
    nearest = min(found, key=lambda n: abs(n - at))
    bare = words[nearest].strip(MARKS)
    words[nearest] = words[nearest].replace(bare, f"*{bare}*", 1)
    return " ".join(words)


def multirc(row: Row) -> list[Item]:
    """A passage with its questions and answers: one item a question."""
    passage = row.inside("passage")
    text, found = passage.text("text"), []
    for question in passage.rows("questions"):
        answers = question.rows("answers")
        inputs = [(text, f"{question.text('question')} {answer.text('text')}") for answer in answers]
        found.append(Item(text, inputs, [answer.label(BINARY) for answer in answers]))
    return found


def record(row: Row) -> list[Item]:
    """A passage with its entities and queries: one item a query. An entity is a candidate once, however often it is
    named; right ones are those that an answer is as a string."""
    passage = row.inside("passage")
    text, found = passage.text("text").replace("\n@highlight\n", " "), []
    spans = [(e.get("start", int), e.get("end", int)) for e in passage.rows("entities")]
    raw = passage.get("text", str)
    entities = list(dict.fromkeys(raw[start : end + 1] for start, end in spans))
    for query in row.rows("qas"):
        answers = [answer.text("text") for answer in query.rows("answers")]
        found.append(cloze(text, query.text("query"), entities, answers, row.place))
    return found


def cloze(text: str, query: str, entities: Sequence[str], answers: Sequence[str], place: str) -> Item:
    if GAP not in query:
        raise DataError(f"{place}: the query has no {GAP}")
    if not all(map(str.strip, entities)):
        raise DataError(f"{place}: an entity's span holds no text")
    inputs = [(text, query.replace(GAP, entity)) for entity in entities]
    worth = [credit(entity, answers) for entity in entities]
    return Item(text, inputs, [int(exact == 1) for _, exact in worth], worth)


def credit(entity: str, answers: Iterable[str]) -> tuple[float, float]:
    """(F1 over words, whether it is one of them): the best over the answers, as SQuAD's script normalises texts."""
    said = plain(entity)
    scores = [(overlap(said.split(), plain(answer).split()), float(said == plain(answer))) for answer in answers]
    return max(f1 for f1, _ in scores), max(exact for _, exact in scores)


def plain(text: str) -> str:
    """Lower case, without punctuation, articles and repeated space."""
    kept = "".join(c for c in text.lower() if c not in string.punctuation)
    return " ".join(ARTICLES.sub(" ", kept).split())


def overlap(said: Sequence[str], true: Sequence[str]) -> float:
    shared = sum((Counter(said) & Counter(true)).values())
    return 2 * shared / (len(said) + len(true)) if shared else 0.0


BINARY = ("false", "true")
ENTAILED = ("entailment", "not_entailment")
THREE = ("entailment", "contradiction", "neutral")


def official(rows: Iterable[Row], read: Callable[[Row], list[Item]]) -> list[Item]:
    return [item for row in rows for item in read(row)]


def multirc_hub(rows: Sequence[Row]) -> list[Item]:
    """Flat rows, one an answer, those of a question one after the other by `idx`."""
    found: dict[tuple[int, int], tuple[str, list[tuple[str, str]], list[int]]] = {}
    for row in rows:
        number = row.inside("idx")
        key = number.get("paragraph", int), number.get("question", int)
        text, inputs, labels = found.setdefault(key, (row.text("paragraph"), [], []))
        inputs.append((text, f"{row.text('question')} {row.text('answer')}"))
        labels.append(row.label(BINARY))
    return [Item(*each) for each in found.values()]


def record_hub(rows: Sequence[Row]) -> list[Item]:
    """Flat rows, one a query, with the texts of entities and answers."""
    return [
        cloze(
            row.text("passage").replace("\n@highlight\n", " "), row.text("query"),
            list(dict.fromkeys(row.get("entities", list))), row.get("answers", list), row.place,
        )
        for row in rows
    ]  # fmt: skip


@dataclass(frozen=True)
class Form:
    """How a data set is written, what it asks, and what a reader must know."""

    folder: str  # of the official download
    classes: Sequence[str]  # in the Hub's order
    read: Callable[[Row], list[Item]]
    licence: str
    metrics: Sequence[str] = ("accuracy",)
    hub: Callable[[Sequence[Row]], list[Item]] | None = None  # where the Hub writes other rows
    notes: Sequence[str] = field(default=())

    def items(self, rows: Sequence[Row], hub: bool) -> list[Item]:
        return self.hub(rows) if hub and self.hub else official(rows, self.read)


RESEARCH = "SuperGLUE's terms by data set, for research"
FORMS = {
    "boolq": Form("BoolQ", BINARY, pair("question", "passage", BINARY), "CC BY-SA 3.0"),
    "cb": Form("CB", THREE, pair("premise", "hypothesis", THREE), RESEARCH, ("accuracy", "macro_f1")),
    "copa": Form("COPA", (), copa, RESEARCH),
    "multirc": Form("MultiRC", BINARY, multirc, RESEARCH, ("f1a", "question_em"), multirc_hub),
    "record": Form("ReCoRD", BINARY, record, RESEARCH, ("entity_choice_f1", "entity_choice_em"), record_hub),
    "rte": Form("RTE", ENTAILED, pair("premise", "hypothesis", ENTAILED), "not stated"),
    "wic": Form("WiC", BINARY, wic, "CC BY-NC 4.0"),
    "wsc": Form("WSC", BINARY, wsc, RESEARCH),
}
