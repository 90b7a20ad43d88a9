"""What MAGNN's notebooks leave of DBLP and IMDB: one matrix of all edges, types, features, labels and splits.

    adjM.npz, node_types.npy, labels.npy, train_val_test_idx.npz, features_TYPE.npz or .npy; without one, numbers

Its lists of meta-path instances, of which some are pickles, are not read: they follow from the edges.

Fu, Zhang, Meng, King, "MAGNN", WWW 2020, arXiv:2002.01680; github.com/cynricfu/MAGNN.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.data.graphs import Graph, Relation
from bench.sources import DataError
from bench.tasks._graph_files import Read, array, arrays, matrix, numbered, there_and_back, whole

PARTS = {"train": "train_idx", "dev": "val_idx", "test": "test_idx"}


def processed(folder: Path, kinds: Sequence[str], classes: tuple[str, ...]) -> Read:
    """The first of `kinds` is the target. DataError: files that do not go together."""
    edges, types = matrix(folder / "adjM.npz"), whole(array(folder / "node_types.npy"), "node_types.npy")
    if edges.shape != (len(types), len(types)):
        raise DataError(f"{folder}: adjM.npz has shape {edges.shape}, and there are {len(types)} types of nodes")
    if len(types) and types.max() >= len(kinds):
        raise DataError(f"{folder}: a node is of type {types.max()}, and there are {', '.join(kinds)}")
    rows = {kind: np.flatnonzero(types == number) for number, kind in enumerate(kinds)}
    features = {kind: described(folder, number, len(rows[kind])) for number, kind in enumerate(kinds)}
    relations = {}
    for one in kinds:
        for two in kinds:
            starts, ends = edges[rows[one]][:, rows[two]].nonzero()
            if len(ends):
                relations[f"{one} to {two}"] = Relation(one, two, starts.astype(np.int64), ends.astype(np.int64))
    graph = Graph(features, relations, kinds[0], there_and_back(relations, kinds[0]))
    found = arrays(folder / "train_val_test_idx.npz", tuple(PARTS.values()))
    splits = {name: whole(found[part], part) for name, part in PARTS.items()}
    return Read(graph, classes, whole(array(folder / "labels.npy"), "labels.npy"), splits)


def described(folder: Path, number: int, count: int) -> Any:
    """Features of one type, (count, D). DataError: of another number of nodes."""
    from scipy.sparse import csr_matrix

    sparse, dense = folder / f"features_{number}.npz", folder / f"features_{number}.npy"
    if sparse.exists():
        found = matrix(sparse)
    elif dense.exists():
        found = csr_matrix(array(dense))
    else:
        return numbered(count)
    if found.shape[0] != count:
        raise DataError(f"{folder}: features of {found.shape[0]} nodes of type {number}, and there are {count}")
    return found.astype(np.float32)
