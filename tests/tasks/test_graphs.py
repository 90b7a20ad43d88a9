"""Heterogeneous graphs: the official files, wrong ones, what is told in training, and runs as a user types them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.metrics import f1_score

from bench.data.graphs import Graph, Relation
from bench.inputs import IGNORED
from bench.records import disk
from bench.sources import DataError, Source
from bench.task import TestSealed
from tests.factories import hetero
from tests.factories.commands import bench, refused, runs_of
from tests.factories.data import real_data
from tests.factories.hetero import opened

# nodes of each type, edges of the relations that lead from the target, classes, train, dev and test
OFFICIAL: dict[str, tuple[Any, ...]] = {
    "acm-han": ({"paper": 3025}, {"PAP": 29_281, "PLP": 2_210_761}, 3, (600, 300, 2125)),
    "acm-heco-20": (
        {"paper": 4019, "author": 7167, "subject": 60}, {"paper to author": 13_407, "paper to subject": 4019}, 3,
        (60, 1000, 1000),
    ),
    "acm-heco-40": (
        {"paper": 4019, "author": 7167, "subject": 60}, {"paper to author": 13_407, "paper to subject": 4019}, 3,
        (120, 1000, 1000),
    ),
    "acm-heco-60": (
        {"paper": 4019, "author": 7167, "subject": 60}, {"paper to author": 13_407, "paper to subject": 4019}, 3,
        (180, 1000, 1000),
    ),
    "imdb-hgb-links": (
        {"movie": 4932, "director": 2393, "actor": 6124, "keyword": 7971},
        {"movie->director": 4932, "movie->actorh": 14_779, "movie->keyword": 23_610}, 5, (1097, 274, 3202),
    ),
    "dblp-raw": (
        {"author": 4057, "paper": 14_328, "term": 8898, "conference": 20}, {"author to paper": 19_645}, 4,
        (400, 400, 3257),
    ),
    "imdb-raw": (
        {"film": 4278, "director": 2081, "actor": 5257}, {"film to director": 4278, "film to actor": 12_828}, 3,
        (400, 400, 3478),
    ),
}  # fmt: skip
LINES = {  # of the files that are lists
    "MAGNN/data/raw/DBLP": {
        "author": 14_475, "author_label": 4057, "conf": 20, "conf_label": 20, "paper": 14_376, "paper_author": 41_794,
        "paper_conf": 14_376, "paper_label": 100, "paper_term": 114_624, "term": 8920,
    },
    "HeCo/data/acm": {"pa": 13_407, "ps": 4019},
}  # fmt: skip


@pytest.mark.parametrize("dataset", OFFICIAL)
def test_official_files(dataset: str) -> None:
    task = opened(real_data("hetgraph"), dataset)
    graph, (nodes, edges, classes, sizes) = task.found.graph, OFFICIAL[dataset]
    assert {kind: graph.count(kind) for kind in graph.features} == nodes and len(task.classes) == classes
    out = {name: len(r.ends) for name, r in graph.relations.items() if r.source == graph.target}
    assert {name: out[name] for name in edges} == edges
    assert tuple(task.card().sizes[split] for split in ("train", "dev", "test")) == sizes


def test_official_lists_have_the_lines_that_are_known_of_them() -> None:
    folder = real_data("hetgraph") / "hetgraph"
    for place, counts in LINES.items():
        found = {name: len((folder / place / f"{name}.txt").read_bytes().splitlines()) for name in counts}
        assert found == counts
    hgb = folder / "HGB/IMDB"
    counts = {"info.dat": 8190, "label.dat": 1371, "label.dat.test": 3202, "link.dat": 86_642, "meta.dat": 20}
    assert {
        name: len((hgb / name).read_bytes().split(b"\n")) - ((hgb / name).read_bytes()[-1:] == b"\n") for name in counts
    } == counts


def test_what_is_one_matrix_of_papers_has_one_edge_for_each_entry() -> None:
    """ACM3025's PAP is symmetric, and every paper shares its authors with itself."""
    relation = opened(real_data("hetgraph"), "acm-han").found.graph.relations["PAP"]
    pairs = set(zip(relation.sources.tolist(), relation.ends.tolist(), strict=True))
    assert len(pairs) == len(relation.ends) and all((b, a) in pairs for a, b in pairs)
    assert all((n, n) in pairs for n in range(3025))


def test_a_split_is_the_same_whenever_it_is_read(tmp_path: Path) -> None:
    hetero.write(tmp_path / "ACM")
    one, two = opened(tmp_path), opened(tmp_path)
    assert one.identity() == two.identity() and one.card().sizes == one.card().sizes
    assert one.card().sizes["train"] == 40 and one.card().sizes["dev"] == 10 and one.card().sizes["test"] == 40
    hetero.write(tmp_path / "ACM", link="1\t95\t0\t1.0\n")
    assert opened(tmp_path).identity() != one.identity()


def test_labels_of_dev_and_test_are_not_told_in_training(tmp_path: Path) -> None:
    task = opened(hetero.write(tmp_path / "ACM").parent)
    distil = task.examples("distil")
    known = np.flatnonzero(distil.labels != IGNORED)
    assert len(distil) == hetero.PAPERS and known.tolist() == task.found.splits["train"].tolist()
    task.seal()
    with pytest.raises(TestSealed):
        task.inputs("test")


def test_a_node_without_edges_stays(tmp_path: Path) -> None:
    graph = opened(hetero.write(tmp_path / "ACM").parent).found.graph
    assert graph.count("paper") == hetero.PAPERS and 0 not in graph.relations["author->paper"].ends


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"link": "1\t999\t0\t1.0\n"}, "link.dat, line 1: a link from 1 to 999, and there are 126 nodes"),
        ({"link": "1\t95\t0\t1.0\n1\t125\t0\t1.0\n"}, "more than two types"),
        ({"link": "1\tx\t0\t1.0\n"}, "link.dat, line 1: 'x' is no whole number"),
        ({"label": "0\tp0\t0\t7\n"}, "label.dat, line 1: '7' is no label; there are 0 to 2"),
        ({"label": "0\tp0\t0\t0,1\n"}, "label.dat, line 1: several labels"),
        ({"label": "95\ta5\t0\t0\n"}, "label.dat, line 1: node 95 is not one of type 0"),
        ({"label": "0\tp0\t0\t0\n0\tp0\t0\t0\n"}, "label.dat, line 2: node 0 is labelled twice"),
        ({"test": "1\tp1\t0\t0\n"}, "paper 1 is in two splits"),
        ({"node": "1\tp\t0\n"}, "node.dat, line 1: nodes are numbered from 0 on"),
        ({"node": "0\tp\t0\t1,2\n1\tp\t0\t1\n"}, "unlike numbers of features"),
        ({"info": "{"}, "info.dat: not valid JSON"),
        ({"link": ""}, "link.dat is empty"),
    ],
)
def test_wrong_files_of_hgb_are_told_in_a_sentence(files: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        opened(hetero.write(tmp_path / "ACM", **files).parent).read()


def test_an_edge_to_a_node_that_is_not_there() -> None:
    features = {"a": sparse.identity(3, format="csr"), "b": sparse.identity(2, format="csr")}
    with pytest.raises(DataError, match="an edge leads to b 2, and there are 2, from 0 on"):
        Graph(features, {"a to b": Relation("a", "b", np.array([0]), np.array([2]))}, "a")


def test_a_film_of_several_genres(tmp_path: Path) -> None:
    """Scores are scikit-learn's, and without node.dat every node is known by its number."""
    folder = hetero.write(tmp_path / "IMDB", several=True).parent
    (folder / "IMDB/meta.dat").write_text(
        '{\n "Node Total": 126,\n "Node Type_0": 90,\n "Node Type_1": ,\n "Node Type_2": 6\n}'
    )
    for dataset, width in (("imdb-hgb", 6), ("imdb-hgb-links", 90)):
        task = opened(folder, dataset)
        assert task.found.graph.features["paper"].shape == (90, width)
        outputs = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
        gold = task.splits.test[dataset].labels
        found = task.score(task.predict(outputs, "test"))[dataset]
        for average in ("micro", "macro"):
            assert found[f"label_{average}_f1"] == pytest.approx(f1_score(gold, outputs > 0, average=average))


def magnn(folder: Path) -> Path:
    """DBLP_processed of 6 authors, 4 papers, 2 terms and a conference; authors 0 to 3 have features of theirs."""
    folder = folder / "DBLP_processed"
    folder.mkdir(parents=True)
    edges = sparse.lil_matrix((13, 13))
    for one, two in ((0, 6), (1, 6), (2, 7), (5, 9), (6, 10), (7, 11), (6, 12), (9, 12)):
        edges[one, two] = edges[two, one] = 1
    sparse.save_npz(folder / "adjM.npz", edges.tocsr())
    sparse.save_npz(folder / "features_0.npz", sparse.random(6, 5, 0.5, "csr", random_state=0))
    np.save(folder / "features_2.npy", np.ones((2, 50)))
    np.save(folder / "node_types.npy", np.repeat([0, 1, 2, 3], [6, 4, 2, 1]))
    np.save(folder / "labels.npy", np.array([0, 1, 2, 3, 0, 1]))
    np.savez(folder / "train_val_test_idx.npz", train_idx=[0, 1], val_idx=[2], test_idx=[3, 4, 5])
    return folder


def test_what_magnn_preprocessed(tmp_path: Path) -> None:
    task = opened(magnn(tmp_path).parent, "dblp-magnn")
    graph = task.found.graph
    assert {kind: m.shape for kind, m in graph.features.items()} == {
        "author": (6, 5), "paper": (4, 4), "term": (2, 50), "conference": (1, 1)
    }  # fmt: skip
    wrote = graph.relations["author to paper"]
    assert sorted(zip(wrote.sources, wrote.ends, strict=True)) == [(0, 0), (1, 0), (2, 1), (5, 3)]
    assert task.classes[1] == "Data Mining" and task.inputs("test").rows.tolist() == [3, 4, 5]


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("labels.npy", np.array([0, "x", None] * 2, object), "objects, which are pickles, are not read"),
        ("labels.npy", np.array([0, 1, 2, 9, 0, 1]), "9 is no label; there are 0 to 3"),
        ("labels.npy", np.array([0.5] * 6), "no list of whole numbers"),
        ("labels.npy", np.array([2**64 - 1] * 6, np.uint64), "no list of whole numbers"),
        ("node_types.npy", np.repeat([0, 7], [6, 7]), "a node is of type 7"),
        ("features_2.npy", np.ones((5, 50)), "features of 5 nodes of type 2, and there are 2"),
    ],
)  # fmt: skip
def test_wrong_arrays_are_told_in_a_sentence(name: str, values: Any, message: str, tmp_path: Path) -> None:
    folder = magnn(tmp_path)
    np.save(folder / name, values, allow_pickle=True)
    with pytest.raises(DataError, match=message):
        opened(tmp_path, "dblp-magnn").read()


def test_an_author_that_no_file_names(tmp_path: Path) -> None:
    files = {
        "author": "1\tA\n", "author_label": "1\t0\tA\n", "paper": "5\tP\n", "paper_author": "5\t1\n5\t2\n",
        "term": "1\tt\n", "conf": "1\tC\n", "paper_term": "5\t1\n", "paper_conf": "5\t1\n",
    }  # fmt: skip
    (tmp_path / "DBLP").mkdir()
    for name, text in files.items():
        (tmp_path / f"DBLP/{name}.txt").write_text(text)
    with pytest.raises(DataError, match=r"paper_author.txt, line 2: author 2 is not in author.txt"):
        opened(tmp_path, "dblp-raw").read()


def test_packaged_films() -> None:
    pytest.importorskip("bokeh_sampledata", reason="films are packaged with bokeh-sampledata: pip install it")
    from bench.plugins.registry import find, load

    task = load(find("task", "graphs"))(Source("packaged"), "mini", "films")
    sizes, graph = task.card().sizes, task.found.graph
    assert (sizes["train"], sizes["dev"], sizes["test"]) == (2000, 1000, 9616)
    assert {kind: graph.count(kind) for kind in graph.features} == {"film": 12_616, "director": 5387, "actor": 15_515}


def test_the_hub_has_none() -> None:
    from bench.plugins.registry import find, load

    with pytest.raises(DataError, match="give its files with --data-dir"):
        load(find("task", "graphs"))(Source("hub"), "lite", "acm-hgb").read()


def test_runs_of_one_label_and_of_several(tmp_path: Path) -> None:
    hetero.write(tmp_path / "ACM")
    hetero.write(tmp_path / "IMDB", several=True)
    files = ("--track", "lite", "--data-dir", tmp_path, "--results", tmp_path / "results", "--json", "--device", "cpu")
    small = ("--set", "updates=30", "--set", "evaluations=3")
    common = (*files, *small, "--teacher", "rgcn:2x8", "--student", "rgcn:1x4")
    methods = ("--method", "hire", "--method", "kd", "--method", "rkd", "--method", "finetune")
    answers = [bench("run", "--task", "graphs/acm-hgb", *methods, *common)]
    answers.append(bench("run", "--task", "graphs/imdb-hgb", "--method", "hire", *common))
    records = [disk.read(Path(run["record"])) for answer in answers for run in runs_of(answer)]
    assert [r.metrics.main.name for r in records] == ["macro_f1"] * 4 + ["label_macro_f1"]
    assert all(r.efficiency.flops["mean"] > 0 and r.teacher.main.value > 0 for r in records)
    assert bench("check", tmp_path / "results").status == 0


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    folder = hetero.write(tmp_path / "ACM").parent
    common = ("--task", "graphs/acm-hgb", "--track", "lite", "--data-dir", folder)
    refused(bench("run", *common, "--method", "hire", "--student", "han:8", check=None), "nodes")
    refused(bench("run", *common, "--method", "kd", "--student", "bert:3", check=None), "reads text")
    refused(bench("run", *common, "--method", "rkd", "--set", "rkd.rows=2", check=None), "rkd.rows")


def test_crd_needs_labels_of_all(tmp_path: Path) -> None:
    folder = hetero.write(tmp_path / "ACM").parent
    files = ("--track", "lite", "--data-dir", folder, "--results", tmp_path / "results")
    small = ("--teacher", "rgcn:1x4", "--set", "track.updates=2", "--set", "evaluations=1")
    asked = ("--task", "graphs/acm-hgb", "--method", "crd", *files, *small)
    answer = bench("run", *asked, check=None)
    assert answer.status in (1, 2) and "no label" in answer.err and "Traceback" not in answer.err
