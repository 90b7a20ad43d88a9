"""DBLP's four areas from their raw files, cut as MAGNN's preprocess_DBLP.ipynb does.

Authors with a label, the papers that one of them wrote, the terms and conferences of these: 4057, 14328, and 20
conferences. Split by MAGNN's own draw: 400 train, 400 dev, 3257 test. What differs from MAGNN: terms are neither
lemmatised nor freed of stop words (which takes NLTK's data), so there are more of them; a paper's features are its
terms, an author's are those of the author's papers (HAN's 334 are not in the raw files), terms and conferences are
known by their numbers (MAGNN: GloVe vectors of terms).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.data.graphs import Graph
from bench.sources import DataError, read_lines, table
from bench.tasks._graph_files import Read, both_ways, numbered

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

CLASSES = ("Database", "Data Mining", "AI", "Information Retrieval")
SEED = 1566911444  # of MAGNN's splits
LEAST = 2  # papers that hold a term, for it to be a feature: MAGNN's min_df


def raw(folder: Path) -> Read:
    """The raw files. DataError: an edge leads to something that no file names."""
    labels = dict(pairs(folder / "author_label.txt", (3,)))
    authors = sorted(labels)
    written = [p for p in known(folder, "paper", "author") if p[1] in labels]
    papers = sorted({paper for paper, _ in written})
    chosen = set(papers)
    of_term, of_conf = ([p for p in known(folder, "paper", other) if p[0] in chosen] for other in ("term", "conf"))
    terms, confs = (sorted({other for _, other in edges}) for edges in (of_term, of_conf))
    edges = {
        ("paper", "author"): at(written, papers, authors), ("paper", "term"): at(of_term, papers, terms),
        ("paper", "conference"): at(of_conf, papers, confs),
    }  # fmt: skip
    words = incidence(edges["paper", "term"], len(papers), len(terms))
    words = words[:, np.asarray(words.sum(0)).ravel() >= LEAST]
    by_author = incidence(edges["paper", "author"], len(papers), len(authors)).T.tocsr()
    features = {
        "author": (by_author @ words).sign(), "paper": words, "term": numbered(len(terms)),
        "conference": numbered(len(confs)),
    }  # fmt: skip
    ends = ("author to paper", "paper to author")
    through = [(f"paper to {kind}", f"{kind} to paper") for kind in ("term", "conference")]
    paths = (ends, *((ends[0], *middle, ends[1]) for middle in through))
    graph = Graph(features, both_ways(edges), "author", paths)
    return Read(graph, CLASSES, np.array([labels[a] for a in authors], np.int64), drawn(len(authors), 400, 3257))


def pairs(path: Path, widths: Sequence[int]) -> list[tuple[int, int]]:
    """The whole numbers in the first two columns."""
    found = []
    for place, cells in table(path, widths):
        try:
            found.append((int(cells[0]), int(cells[1])))
        except ValueError:
            raise DataError(f"{place}: {cells[0]!r} and {cells[1]!r} are no whole numbers") from None
    return found


def known(folder: Path, one: str, two: str) -> list[tuple[int, int]]:
    """The edges of a file between two that other files name. DataError: one that they do not."""
    there = [numbers_in(folder / f"{kind}.txt") for kind in (one, two)]
    path = folder / f"{one}_{two}.txt"
    found = pairs(path, (2,))
    for line, ends in enumerate(found, 1):
        for number, kind, names in zip(ends, (one, two), there, strict=True):
            if number not in names:
                raise DataError(f"{path}, line {line}: {kind} {number} is not in {kind}.txt")
    return found


def numbers_in(path: Path) -> set[int]:
    """The numbers that a file of names gives; titles and names are Latin-1 in parts, and no names are read here."""
    lines = read_lines(path, "latin-1")
    try:
        return {int(line.split("\t")[0]) for line in lines if line.strip()}
    except ValueError:
        raise DataError(f"{path}: a line does not begin with a whole number") from None


def at(edges: Sequence[tuple[int, int]], ones: Sequence[int], twos: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of files -> numbers of nodes."""
    one, two = np.array(edges, np.int64).reshape(-1, 2).T
    return np.searchsorted(ones, one), np.searchsorted(twos, two)


def incidence(edges: tuple[np.ndarray, np.ndarray], ones: int, twos: int) -> csr_matrix:
    """(ones, twos), 1 where there is an edge."""
    from scipy.sparse import csr_matrix

    return csr_matrix((np.ones(len(edges[0]), np.float32), edges), (ones, twos)).sign()


def drawn(count: int, dev: int, test: int) -> dict[str, np.ndarray]:
    """MAGNN's split, by scikit-learn with its seed: dev first, then test out of the rest; what is left is train."""
    from sklearn.model_selection import train_test_split

    if count <= dev + test:
        raise DataError(f"{count} nodes with a label are too few for {dev} of dev and {test} of test")
    rest, found_dev = train_test_split(np.arange(count), test_size=dev, random_state=SEED)
    train, found_test = train_test_split(rest, test_size=test, random_state=SEED)
    return {"train": np.sort(train), "dev": np.sort(found_dev), "test": np.sort(found_test)}
