"""Folders of HGB's node classification: node.dat, link.dat, label.dat and label.dat.test, tab-separated; info.dat.

    node.dat    number, name, type, and values separated by commas where the type has features
    link.dat    number, number, type, weight        label.dat    number, name, type, one label or several with commas

Nodes of a type follow one another. Types without features are known by their numbers, as HGB's loader has it. Weights
are not read. Links are directed; what info.dat calls them are the relations' names. Test is label.dat.test; HGB draws a
fifth of label.dat as validation anew in each run, and here that is one draw. Releases before March 2023 have random
labels for test.

Lv et al., "Are we really making much progress?", KDD 2021, arXiv:2112.14936; github.com/THUDM/HGB.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.data.graphs import Graph, Relation
from bench.sources import DataError, filled, table
from bench.tasks._graph_files import Read, numbered, there_and_back

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

SHARE = 0.2  # of label.dat that is dev
SEED = 0  # of the draw


def folder(path: Path, several: bool = False, links_alone: bool = False) -> Read:
    """`links_alone`: without node.dat, whose types meta.dat counts: every node is known by its number."""
    info = described(path / "info.dat")
    counts, features = (counted(path / "meta.dat"), {}) if links_alone else nodes(path / "node.dat")
    names = info.get("node.dat", {}).get("node type", {})
    kinds = {number: plain(names.get(str(number), f"type {number}")) for number in sorted(counts)}
    starts = dict(zip(kinds, np.cumsum([0, *(counts[k] for k in kinds)]), strict=False))
    matrices = {name: features[k] if k in features else numbered(counts[k]) for k, name in kinds.items()}
    known = info.get("link.dat", {}).get("link type", {})
    relations = links(path / "link.dat", kinds, starts, counts, known)
    target, train, test = labelled(path, starts, counts)
    classes, labels = numbered_labels(info, target, {**train, **test}, counts[target], starts[target], several)
    graph = Graph(matrices, relations, kinds[target], there_and_back(relations, kinds[target]))
    return Read(graph, classes, labels, splits([n - starts[target] for n in train], [n - starts[target] for n in test]))


def described(path: Path) -> dict[str, Any]:
    """DataError: no JSON."""
    try:
        found = json.loads("\n".join(filled(path)))
    except ValueError as error:
        raise DataError(f"{path}: not valid JSON ({error})") from None
    return found if isinstance(found, dict) else {}


def plain(name: str) -> str:
    """A name that parameters can have."""
    return name.replace(".", " ")


def integer(cell: str, place: str) -> int:
    try:
        return int(cell)
    except ValueError:
        raise DataError(f"{place}: {cell!r} is no whole number") from None


def counted(path: Path) -> dict[int, int]:
    """Nodes of each type. The one whose number is left out, as in the released IMDB, has the rest of all."""
    text = "\n".join(filled(path))
    total = re.search(r'"Node Total":\s*(\d+)', text)
    found = {int(k): int(n) if n else 0 for k, n in re.findall(r'"Node Type_(\d+)":\s*(\d*)', text)}
    empty = [k for k, n in found.items() if not n]
    if not total or not found or len(empty) > 1:
        raise DataError(f"{path} does not count the nodes of each type")
    return found | {k: int(total[1]) - sum(found.values()) for k in empty}


def nodes(path: Path) -> tuple[dict[int, int], dict[int, csr_matrix]]:
    """How many nodes each type has, and the features of those that have any."""
    from scipy.sparse import csr_matrix

    counts: dict[int, int] = {}
    rows: dict[int, list[np.ndarray]] = {}
    last = -1
    for number, (place, cells) in enumerate(table(path, (3, 4))):
        kind = integer(cells[2], place)
        if integer(cells[0], place) != number or kind < last:
            raise DataError(f"{place}: nodes are numbered from 0 on, type after type, and this is {cells[0]} of {kind}")
        last, counts[kind] = kind, counts.get(kind, 0) + 1
        if len(cells) == 4 and cells[3]:
            try:
                rows.setdefault(kind, []).append(np.array(cells[3].split(","), np.float32))
            except ValueError:
                raise DataError(f"{place}: features that are no numbers") from None
    for kind, found in rows.items():
        if len(found) != counts[kind] or len({len(row) for row in found}) > 1:
            raise DataError(f"{path}: nodes of type {kind} have unlike numbers of features")
    return counts, {kind: csr_matrix(np.stack(found)) for kind, found in rows.items()}


def links(
    path: Path, kinds: dict[int, str], starts: dict[int, int], counts: dict[int, int], known: dict[str, Any]
) -> dict[str, Relation]:
    """Relations by what info.dat calls them. DataError: a link leads to a node that is not there."""
    total, found = sum(counts.values()), dict[int, list[tuple[int, int]]]()
    for place, (head, tail, kind, _) in table(path, (4,)):
        pair = integer(head, place), integer(tail, place)
        if not all(0 <= n < total for n in pair):
            raise DataError(f"{place}: a link from {head} to {tail}, and there are {total} nodes, from 0 on")
        found.setdefault(integer(kind, place), []).append(pair)
    return dict(named(path, number, found[number], kinds, starts, known) for number in sorted(found))


def named(
    path: Path, number: int, pairs: list[tuple[int, int]], kinds: dict[int, str], starts: dict[int, int],
    known: dict[str, Any],
) -> tuple[str, Relation]:  # fmt: skip
    """(name, relation) of one type of links, each pair once."""
    heads, tails = np.unique(np.array(pairs), axis=0).T
    firsts = np.array(list(starts.values()))
    ends = [np.unique(np.searchsorted(firsts, side, "right") - 1) for side in (heads, tails)]
    if any(len(e) > 1 for e in ends):
        raise DataError(f"{path}: links of type {number} lead between more than two types of nodes")
    (source, end), order = (int(e[0]) for e in ends), list(kinds)
    name = plain(known.get(str(number), {}).get("meaning", f"link {number}"))
    return name, Relation(kinds[order[source]], kinds[order[end]], heads - firsts[source], tails - firsts[end])


def labels_in(path: Path) -> Iterator[tuple[str, int, int, str]]:
    """(place, node, type, its labels)"""
    for place, (node, _, kind, label) in table(path, (4,)):
        yield place, integer(node, place), integer(kind, place), label


def labelled(
    path: Path, starts: dict[int, int], counts: dict[int, int]
) -> tuple[int, dict[int, tuple[str, str]], dict[int, tuple[str, str]]]:
    """The type that has labels, and of train and test {node: (place, labels)}."""
    target, parts = None, []
    for name in ("label.dat", "label.dat.test"):
        part: dict[int, tuple[str, str]] = {}
        for place, node, kind, label in labels_in(path / name):
            target = kind if target is None else target
            if kind != target or kind not in starts or not 0 <= node - starts[kind] < counts[kind]:
                raise DataError(f"{place}: node {node} is not one of type {target}, which is labelled")
            if node in part:
                raise DataError(f"{place}: node {node} is labelled twice")
            part[node] = place, label
        parts.append(part)
    assert target is not None  # the files hold something
    return target, parts[0], parts[1]


def numbered_labels(
    info: dict[str, Any], target: int, found: dict[int, tuple[str, str]], count: int, start: int, several: bool
) -> tuple[tuple[str, ...], np.ndarray]:
    """Classes, and labels as `Read` has them. DataError: a label that info.dat does not know, or several of one."""
    names = info.get("label.dat", {}).get("node type", {}).get(str(target), {})
    classes = tuple(names[str(n)] for n in range(len(names)) if str(n) in names)
    labels = np.zeros((count, len(classes)), np.float32) if several else np.full(count, -100, np.int64)
    for node, (place, text) in found.items():
        own = [integer(cell, place) for cell in text.split(",")]
        if not all(0 <= n < len(classes) for n in own):
            raise DataError(f"{place}: {text!r} is no label; there are 0 to {len(classes) - 1}")
        if not several and len(own) > 1:
            raise DataError(f"{place}: several labels, and nodes of this data set have one each")
        labels[node - start] = np.isin(np.arange(len(classes)), own) if several else own[0]
    return classes, labels


def splits(train: Sequence[int], test: Sequence[int]) -> dict[str, np.ndarray]:
    """train without a fifth, which is dev, and test; all ascending."""
    order = np.random.default_rng(SEED).permutation(np.sort(np.array(train, np.int64)))
    size = int(len(order) * SHARE)
    return {"train": np.sort(order[size:]), "dev": np.sort(order[:size]), "test": np.sort(np.array(test, np.int64))}
