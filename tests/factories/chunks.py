"""Chunks of tagged sentences, counted by the published rules of the script conlleval, word by word, without spans."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

# Letters of a word and of the next one, of one type: between these a chunk begins, and between those one ends.
BEGINS, ENDS = {"BB", "IB", "OB", "OI"}, {"BB", "IB", "BO", "IO"}
Tag = tuple[str, str]  # letter and type
OUTSIDE: Tag = ("O", "")


def conlleval(gold: Sequence[Sequence[str]], found: Sequence[Sequence[str]]) -> dict[str, list[int]]:
    """{type: [right, found and gold chunks]} of sentences of the tags O, and B and I with a type.

    A chunk is right while its two sides began at one word with one type, until both end at one word.
    """
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    before, both = (OUTSIDE, OUTSIDE), False
    for pair in words(gold, found):
        ended = [ends(*two) for two in zip(before, pair, strict=True)]
        begun = [begins(*two) for two in zip(before, pair, strict=True)]
        if both and any(ended):
            counts[before[0][1]][0] += all(ended)
            both = False
        for (_, kind), column, new in zip(pair, (1, 2), begun, strict=True):
            if new:
                counts[kind][column] += 1
        if all(begun) and pair[0][1] == pair[1][1]:
            both = True
        before = pair
    return dict(counts)


def words(gold: Sequence[Sequence[str]], found: Sequence[Sequence[str]]) -> list[tuple[Tag, Tag]]:
    """Found and gold tag of each word, and behind each sentence one that is outside."""
    rows = [[*zip(map(parsed, f), map(parsed, g), strict=True)] for g, f in zip(gold, found, strict=True)]
    return [pair for row in rows for pair in (*row, (OUTSIDE, OUTSIDE))]


def parsed(tag: str) -> Tag:
    letter, _, kind = tag.partition("-")
    return letter, kind


def begins(before: Tag, now: Tag) -> bool:
    return before[0] + now[0] in BEGINS or (now[0] != "O" and now[1] != before[1])


def ends(before: Tag, now: Tag) -> bool:
    return before[0] + now[0] in ENDS or (before[0] != "O" and now[1] != before[1])


def scores(counts: dict[str, list[int]]) -> dict[str, float]:
    """Micro F1, precision and recall, and the mean of the types' F1."""
    right, found, gold = (sum(row[n] for row in counts.values()) for n in range(3))
    each = [2 * row[0] / (row[1] + row[2]) for row in counts.values()]
    return {
        "entity_f1": 2 * right / (found + gold),
        "entity_precision": right / found,
        "entity_recall": right / gold,
        "type_f1": sum(each) / len(each),
    }
