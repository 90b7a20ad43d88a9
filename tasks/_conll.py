"""Tagged sentences: CoNLL files, one word a line, its tag in the last column, an empty line between sentences."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from bench.data.labelled import Labelled
from bench.inputs import Words
from bench.scoring.scores import Ragged
from bench.sources import DataError, filled, find_columns, hub_rows, present

OUTSIDE = "O"
DOCUMENT = "-DOCSTART-"  # the first word of a line between documents, which is no sentence
Sentence = list[tuple[str, str]]  # words and their tags


def sentences(path: Path, untyped: str = "", strict: bool = True, types: Collection[str] = ()) -> Iterator[Sentence]:
    """The sentences of a CoNLL file; an empty line behind the last one is not needed.

    `untyped`: the type of tags that come without one. `strict`: every entity begins with B, as in IOB2. `types`: those
    that there are; empty: any. NoData: not there. DataError: empty, a line without a word and a tag or with another
    number of columns than the first, or a tag that is none at its place.
    """
    found: Sentence = []
    width = 0
    for number, line in enumerate(filled(present(path)), 1):
        if line.startswith(DOCUMENT) or not line.strip():
            if found:
                yield found
            found = []
            continue
        place = f"{path}, line {number}"
        cells = columns(line, width, place)
        width = len(cells)
        found.append((cells[0], typed(cells[-1], untyped, place, types)))
        if strict:
            goes_on([tag for _, tag in found[-2:]], place)
    if found:
        yield found


def columns(line: str, width: int, place: str) -> list[str]:
    """Word, tag, and what stands between; `width`: columns of the lines before, 0: there are none."""
    cells = line.split("\t" if "\t" in line else " ")
    if not cells[0].strip() or len(cells) < 2:
        raise DataError(f"{place}: not a word and its tag: {line!r}")
    if width and len(cells) != width:
        raise DataError(f"{place}: {len(cells)} columns, and the lines before have {width}: {line!r}")
    return cells


def typed(tag: str, untyped: str, place: str, types: Collection[str] = ()) -> str:
    """The tag with its type. DataError: it is none, or its type is not among `types`, where some are given."""
    letter, _, kind = tag.partition("-")
    if untyped and tag in ("B", "I"):
        return f"{tag}-{untyped}"
    if tag != OUTSIDE and not (letter in ("B", "I") and kind):
        raise DataError(f"{place}: {tag!r} is no tag: there are O, and B and I with a type, as in B-Disease")
    if tag != OUTSIDE and types and kind not in types:
        raise DataError(f"{place}: {tag!r} is no tag of this data set: its types are {', '.join(types)}")
    return tag


def goes_on(tags: Sequence[str], place: str) -> None:
    """DataError: the last of these tags is an I that goes on with nothing."""
    before, tag = (OUTSIDE, *tags)[-2:]
    if tag.startswith("I-") and before.partition("-")[2] != tag.partition("-")[2]:
        raise DataError(f"{place}: {tag} stands behind {before}, and in IOB2 every entity begins with B")


def iob2(sentence: Sentence) -> Sentence:
    """The same entities, each of which begins with B: in IOB1 one does only behind another of its type."""
    found: Sentence = []
    for word, tag in sentence:
        before = found[-1][1] if found else OUTSIDE
        begins = tag.startswith("I-") and before.partition("-")[2] != tag.partition("-")[2]
        found.append((word, f"B-{tag[2:]}" if begins else tag))
    return found


def hub_sentences(
    repo: str, revision: str, split: str, files: Mapping[str, str], tags: str = "ner_tags", names: Sequence[str] = ()
) -> list[Sentence]:  # fmt: skip
    """One split of a data set on the Hub, whose tags are numbers with names, or of these `names`."""
    data = hub_rows(repo, revision, split, data_files=files)
    find_columns(("tokens", tags), data.column_names, repo)
    known = names or data.features[tags].feature.names
    rows = zip(data["tokens"], data[tags], strict=True)
    found = ([(word, known[tag]) for word, tag in zip(words, row, strict=True)] for words, row in rows)
    return [sentence for sentence in found if sentence and sentence[0][0] != DOCUMENT]


def tags_of(splits: Iterable[Iterable[Sentence]]) -> tuple[str, ...]:
    """All that there are: O, then type by type B and I."""
    tags = {tag for _, tag in chain.from_iterable(chain.from_iterable(splits))}
    kinds = sorted({tag.partition("-")[2] for tag in tags - {OUTSIDE}})
    return (OUTSIDE, *(tag for kind in kinds for tag in (f"B-{kind}", f"I-{kind}") if tag in tags))


def labelled(found: Sequence[Sentence], classes: Sequence[str]) -> Labelled:
    number = {tag: n for n, tag in enumerate(classes)}
    words = Words([tuple(word for word, _ in sentence) for sentence in found])
    return Labelled(words, Ragged.of([[number[tag] for _, tag in sentence] for sentence in found], np.int64))
