"""Tagged sentences: CoNLL files, one word a line, its tag in the last column, an empty line between sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from bench.data.labelled import Labelled
from bench.inputs import Words
from bench.scoring.scores import Ragged
from bench.sources import DataError, filled

OUTSIDE = "O"
DOCUMENT = "-DOCSTART-"  # the first word of a line between documents, which is no sentence
Sentence = list[tuple[str, str]]  # words and their tags


def sentences(path: Path, untyped: str = "", strict: bool = True) -> Iterator[Sentence]:
    """The sentences of a CoNLL file; an empty line behind the last one is not needed.

    `untyped`: the type of tags that come without one. `strict`: every entity begins with B, as in IOB2.
    DataError: not there, empty, a line without a word and a tag, or a tag that is none at its place.
    """
    if not path.is_file():
        raise DataError(f"no {path.name} in {path.parent}")
    found: Sentence = []
    for number, line in enumerate(filled(path), 1):
        if line.startswith(DOCUMENT) or not line.strip():
            if found:
                yield found
            found = []
        else:
            found.append(parsed(line, untyped, f"{path}, line {number}"))
            if strict:
                goes_on([tag for _, tag in found[-2:]], f"{path}, line {number}")
    if found:
        yield found


def parsed(line: str, untyped: str, place: str) -> tuple[str, str]:
    """The word and its tag."""
    word, *others = line.split("\t" if "\t" in line else " ")
    if not word.strip() or not others:
        raise DataError(f"{place}: not a word and its tag: {line!r}")
    return word, typed(others[-1], untyped, place)


def typed(tag: str, untyped: str, place: str) -> str:
    """The tag with its type. DataError: it is none."""
    letter, _, kind = tag.partition("-")
    if tag == OUTSIDE or (letter in ("B", "I") and kind):
        return tag
    if untyped and tag in ("B", "I"):
        return f"{tag}-{untyped}"
    raise DataError(f"{place}: {tag!r} is no tag: there are O, and B and I with a type, as in B-Disease")


def goes_on(tags: Sequence[str], place: str) -> None:
    """DataError: the last of these tags is an I that goes on with nothing."""
    before, tag = (OUTSIDE, *tags)[-2:]
    if tag.startswith("I-") and before.partition("-")[2] != tag.partition("-")[2]:
        raise DataError(f"{place}: {tag} stands behind {before}, and in IOB2 every entity begins with B")


def tags_of(splits: Iterable[Iterable[Sentence]]) -> tuple[str, ...]:
    """All that there are: O, then type by type B and I."""
    tags = {tag for _, tag in chain.from_iterable(chain.from_iterable(splits))}
    kinds = sorted({tag.partition("-")[2] for tag in tags - {OUTSIDE}})
    return (OUTSIDE, *(tag for kind in kinds for tag in (f"B-{kind}", f"I-{kind}") if tag in tags))


def labelled(found: Sequence[Sentence], classes: Sequence[str]) -> Labelled:
    number = {tag: n for n, tag in enumerate(classes)}
    words = Words([tuple(word for word, _ in sentence) for sentence in found])
    return Labelled(words, Ragged.of([[number[tag] for _, tag in sentence] for sentence in found], np.int64))
