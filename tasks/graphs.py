"""Classes of nodes of heterogeneous graphs: papers, authors and films.

    acm-han                 HAN's ACM3025: papers alone, 600, 300 and 2125 of them
    acm-heco-20 -40 -60     HeCo's ACM: 4019 papers, authors, subjects; 20, 40 or 60 labels a class
    acm-hgb dblp-hgb freebase-hgb imdb-hgb      folders of HGB; of IMDB a film may have several labels
    imdb-hgb-links          the same IMDB without node.dat: every node is known by its number
    dblp-magnn imdb-magnn   what MAGNN's notebooks leave
    dblp-raw imdb-raw       the raw files, cut and split as these notebooks do
    films                   packaged with bokeh-sampledata (mini)

One name may be several graphs with several splits, whose scores are not comparable, so each form is a data set of its
own. All are transductive: networks read the whole graph, with the features of dev's and test's nodes, whose labels they
do not see. `distil` are all target nodes, of which those of train alone have labels; an update reads all of them.
Scores are micro and macro F1.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.data.graphs import Nodes
from bench.data.labelled import Labelled, LabelledTask, Splits, scored
from bench.inputs import IGNORED, Examples, single
from bench.sources import DataError, find_folder
from bench.task import Card, Predictions, Scores, Track
from bench.tasks import _dblp, _films, _hgb, _magnn, _papers
from bench.tasks._graph_files import Read


class Form(NamedTuple):
    """Folders that it may lie in, a file that marks one, how it is read, and what a card says."""

    folders: tuple[str, ...]
    marker: str
    read: Callable[[Path], Read]
    source: str
    split: str
    licence: str = "none stated"


def hgb(name: str, several: bool = False) -> Form:
    return Form(
        (f"hetgraph/HGB/{name}", f"HGB/{name}", name), "node.dat", partial(_hgb.folder, several=several),
        f"HGB, {name}", "a fifth of label.dat is dev, by one draw; test is label.dat.test", "MIT (HGB's code)",
    )  # fmt: skip


def heco(per_class: int) -> Form:
    return Form(
        ("hetgraph/HeCo/data/acm", "HeCo/data/acm", "data/acm", "acm"), "pa.txt",
        partial(_papers.heco, per_class=per_class), "HeCo, acm", f"HeCo's own with {per_class} labels a class",
    )  # fmt: skip


def magnn(name: str, kinds: tuple[str, ...], classes: tuple[str, ...]) -> Form:
    folder = f"data/preprocessed/{name}_processed"
    return Form(
        (f"hetgraph/MAGNN/{folder}", f"MAGNN/{folder}", folder, f"{name}_processed"), "adjM.npz",
        partial(_magnn.processed, kinds=kinds, classes=classes), f"MAGNN, {name}_processed", "MAGNN's own",
    )  # fmt: skip


def raw(name: str, marker: str, read: Callable[[Path], Read], licence: str = "none stated") -> Form:
    folders = (f"hetgraph/MAGNN/data/raw/{name}", f"MAGNN/data/raw/{name}", f"data/raw/{name}", name)
    return Form(folders, marker, read, f"raw files of MAGNN, {name}", "MAGNN's draw, by scikit-learn", licence)


FORMS = {
    "acm-han": Form(
        ("hetgraph/ACM-HAN", "ACM-HAN", "data"),
        "ACM3025.mat",
        _papers.han,
        "HAN, ACM3025.mat: PAP and PLP",
        "HAN's own",
    ),
    "acm-heco-20": heco(20),
    "acm-heco-40": heco(40),
    "acm-heco-60": heco(60),
    "acm-hgb": hgb("ACM"),
    "dblp-hgb": hgb("DBLP"),
    "freebase-hgb": hgb("Freebase"),
    "imdb-hgb": hgb("IMDB", several=True),
    "imdb-hgb-links": hgb("IMDB", several=True)._replace(
        marker="meta.dat",
        read=partial(_hgb.folder, several=True, links_alone=True),
        source="HGB, IMDB without node.dat",
    ),
    "dblp-magnn": magnn("DBLP", ("author", "paper", "term", "conference"), _dblp.CLASSES),
    "imdb-magnn": magnn("IMDB", ("film", "director", "actor"), _films.CLASSES),
    "dblp-raw": raw("DBLP", "author_label.txt", _dblp.raw, "academic and educational use, no redistribution"),
    "imdb-raw": raw("IMDB", "movie_metadata.csv", _films.imdb),
}
SEVERAL = ("imdb-hgb", "imdb-hgb-links")


class Graphs(LabelledTask):
    """Node classification."""

    title = "Heterogeneous graphs"
    purposes = {
        "acm-han": "What is a paper about? (ACM of HAN)",
        "acm-heco-20": "What is a paper about? (ACM of HeCo, 20 labels a class)",
        "acm-heco-40": "What is a paper about? (ACM of HeCo, 40 labels a class)",
        "acm-heco-60": "What is a paper about? (ACM of HeCo, 60 labels a class)",
        "acm-hgb": "What is a paper about? (ACM of HGB)",
        "dblp-hgb": "In which field does an author write? (DBLP of HGB)",
        "dblp-magnn": "In which field does an author write? (DBLP of MAGNN)",
        "dblp-raw": "In which field does an author write? (DBLP, raw files)",
        "freebase-hgb": "Of what kind is a book? (Freebase of HGB)",
        "imdb-hgb": "Of which genres is a film? (IMDB of HGB)",
        "imdb-hgb-links": "Of which genres is a film? (IMDB of HGB, links alone)",
        "imdb-magnn": "Of which genre is a film? (IMDB of MAGNN)",
        "imdb-raw": "Of which genre is a film? (IMDB, raw files)",
        "films": "Of which genre is a film?",
    }
    kind = "classify"
    kinds = {"imdb-hgb": "multilabel", "imdb-hgb-links": "multilabel"}
    reads = "graph"
    datasets = (
        "acm-han", "acm-heco-20", "acm-heco-40", "acm-heco-60", "acm-hgb", "dblp-hgb", "freebase-hgb", "imdb-hgb",
        "imdb-hgb-links", "dblp-magnn", "imdb-magnn", "dblp-raw", "imdb-raw", "films",
    )  # fmt: skip
    main_metric = "macro_f1"
    main_metrics = {"imdb-hgb": "label_macro_f1", "imdb-hgb-links": "label_macro_f1"}
    tracks = {
        "mini": Track(
            updates=60, batch_size=None, evaluations=6, teacher="rgcn:2x64", student="rgcn:1x8", datasets=("films",)
        ),
        "lite": Track(
            updates=100, batch_size=None, evaluations=10, teacher="rgcn:2x64", student="rgcn:1x8",
            datasets=(
                "acm-han", "acm-heco-20", "acm-heco-40", "acm-heco-60", "acm-hgb", "dblp-hgb", "freebase-hgb",
                "imdb-hgb", "imdb-hgb-links", "dblp-magnn", "imdb-magnn", "dblp-raw", "imdb-raw",
            ),
        ),
        "full": Track(
            updates=300, batch_size=None, evaluations=30, teacher="simplehgn:2x64", student="rgcn:2x16",
            datasets=(
                "acm-han", "acm-heco-20", "acm-heco-40", "acm-heco-60", "acm-hgb", "dblp-hgb", "freebase-hgb",
                "imdb-hgb", "imdb-hgb-links", "dblp-magnn", "imdb-magnn", "dblp-raw", "imdb-raw",
            ),
        ),
    }  # fmt: skip

    @cached_property
    def found(self) -> Read:
        if self.source.kind == "packaged":
            return _films.packaged()
        if self.source.folder is None:
            raise DataError(f"no revision of {self.name} on the Hub is known: give its files with --data-dir")
        form = FORMS[self.dataset]
        return form.read(find_folder(self.source.folder, form.folders, form.marker, f"{self.dataset} data"))

    @cached_property
    def classes(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.found.classes

    def read(self) -> Splits:
        graph, labels = self.found.graph, self.found.labels
        train, dev, test = (Labelled(Nodes(graph, rows), labels[rows]) for rows in self.rows)
        return Splits(train, dev, {self.dataset: test})

    @property
    def rows(self) -> list[np.ndarray]:
        """Node numbers of train, dev and test."""
        return [self.found.splits[name] for name in ("train", "dev", "test")]

    def examples(self, purpose: str) -> Examples:
        """`supervised`: the nodes of train; `distil`: all target nodes, those of train with their labels."""
        return self._distil if purpose == "distil" else super().examples(purpose)

    @cached_property
    def _distil(self) -> Examples:
        known, train = self.found.labels, self.splits.train
        labels = np.full_like(known, IGNORED)
        labels[train.inputs.rows] = train.labels  # type: ignore[attr-defined]
        return single(Nodes(self.found.graph, np.arange(len(known))), labels)

    @staticmethod
    def score(predictions: Predictions) -> Scores:
        return {name: scored({"of": arrays}, {"of": metrics_of(name)})["of"] for name, arrays in predictions.items()}

    def card(self) -> Card:
        form, graph = FORMS.get(self.dataset), self.found.graph
        packaged = "packaged with bokeh-sampledata (OMDb, movies.db)"
        nodes = ", ".join(f"{graph.count(kind)} {kind}" for kind in graph.features)
        edges = ", ".join(f"{name} {len(r.ends)}" for name, r in graph.relations.items())
        return Card(
            title=f"{self.title}: {self.dataset}",
            source=f"directory in the official layout ({form.source})" if form else packaged,
            revision="as given; its fingerprint is recorded",
            licence=form.licence if form else "CC0",
            citation="Lv et al. KDD 2021 (HGB); Wang et al. WWW 2019, KDD 2021 (HAN, HeCo); Fu et al. WWW 2020 (MAGNN)",
            splits={"test": form.split if form else "films after 3000, in the order of their numbers' sha256"},
            sizes=self.sizes() | {"distil": len(self._distil)},
            notes=(
                "transductive: features and edges of dev's and test's nodes are read in training, their labels are not",
                "distil: teacher and student read all nodes of the target type",
                f"nodes: {nodes}",
                f"edges: {edges}",
            ),
        )


def metrics_of(name: str) -> tuple[str, ...]:
    return ("label_macro_f1", "label_micro_f1") if name in SEVERAL else ("macro_f1", "micro_f1")
