"""ACM as HAN and as HeCo give it: two cuts of one source, whose scores are not comparable.

HAN: ACM3025.mat, 3025 papers of three classes and matrices of those that share an author (PAP) or a subject (PLP);
what joins them is not in the file. Of its four matrices these two are read, as HAN's code does.
HeCo: 4019 papers, 7167 authors, 60 subjects, pairs in pa.txt and ps.txt; splits with 20, 40 or 60 labels a class and
1000 nodes each of dev and test. Features are divided by their sums, as HeCo's loader does. `nei_*.npy`, of which one is
a pickle, say what the two lists do, and are not read.

Wang et al., "Heterogeneous Graph Attention Network", WWW 2019; Wang et al., "Self-supervised Heterogeneous Graph Neural
Network with Co-contrastive Learning" (HeCo), KDD 2021.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bench.data.graphs import Graph, Relation
from bench.sources import DataError, present
from bench.tasks._dblp import pairs
from bench.tasks._graph_files import Read, array, both_ways, matrix, numbered, there_and_back, whole

PATHS = ("PAP", "PLP")
PARTS = {"train": "train_idx", "dev": "val_idx", "test": "test_idx"}


def han(folder: Path) -> Read:
    """DataError: not there, damaged, or without one of its parts."""
    from scipy.sparse import csr_matrix

    path = folder / "ACM3025.mat"
    parts = loaded(path)
    try:
        labels, features = (np.asarray(parts[name]) for name in ("label", "feature"))
        found = {name: whole(np.asarray(parts[index]).ravel(), f"{path}, {index}") for name, index in PARTS.items()}
        edges = {name: np.asarray(parts[name]).nonzero() for name in PATHS}
    except KeyError as error:
        raise DataError(f"{path} holds no {error}") from None
    if labels.ndim != 2 or (labels.sum(1) != 1).any():
        raise DataError(f"{path}, label: not one class for each paper")
    relations = {
        name: Relation("paper", "paper", s.astype(np.int64), e.astype(np.int64)) for name, (e, s) in edges.items()
    }
    graph = Graph({"paper": csr_matrix(features, dtype=np.float32)}, relations, "paper", tuple((n,) for n in PATHS))
    return Read(graph, classes(labels.shape[1]), labels.argmax(1).astype(np.int64), found)


def loaded(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat

    present(path)
    try:
        return loadmat(path)
    except Exception as error:  # a damaged file fails in one of a dozen ways
        raise DataError(f"{path} is no MATLAB file that can be read ({error})") from None


def heco(folder: Path, per_class: int) -> Read:
    """The files of one split. DataError: a pair names a node that is not there."""
    labels = whole(array(folder / "labels.npy"), "labels.npy")
    papers, authors = (divided(matrix(folder / f"{kind}_feat.npz")) for kind in "pa")
    of_author, of_subject = (listed(folder / name) for name in ("pa.txt", "ps.txt"))
    counts = len(labels), authors.shape[0]
    features = {"paper": papers, "author": authors, "subject": numbered(1 + int(of_subject[1].max()))}
    if papers.shape[0] != counts[0]:
        raise DataError(f"{folder}: {counts[0]} labels, and features of {papers.shape[0]} papers")
    relations = both_ways({("paper", "author"): of_author, ("paper", "subject"): of_subject})
    graph = Graph(features, relations, "paper", there_and_back(relations, "paper"))
    names = {"train": "train", "dev": "val", "test": "test"}
    splits = {n: whole(array(folder / f"{file}_{per_class}.npy"), file) for n, file in names.items()}
    return Read(graph, classes(1 + int(labels.max())), labels, splits)


def listed(path: Path) -> tuple[np.ndarray, np.ndarray]:
    found = np.array(pairs(path, (2,)), np.int64).T
    return found[0], found[1]


def divided(features: Any) -> Any:
    """Rows divided by their sums; an empty row stays empty."""
    from scipy.sparse import diags

    sums = np.asarray(features.sum(1)).ravel()
    return (diags(np.divide(1, sums, out=np.zeros(len(sums)), where=sums != 0)) @ features).astype(np.float32).tocsr()


def classes(count: int) -> tuple[str, ...]:
    """The files number them and say no more."""
    return tuple(f"class {n}" for n in range(count))
