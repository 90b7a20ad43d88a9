"""The retrieval task: groups of both sorts of labels, rankings of a whole collection, and a run through kd."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.errors import BenchError, RequestError
from bench.plugins.registry import find, load
from bench.scoring.scores import Ragged
from bench.sources import DataError, Source
from bench.task import TestSealed
from tests.factories.collection import write_beir
from tests.factories.commands import bench, runs_of
from tests.factories.data import real_data
from tests.factories.runs import option

Retrieval = load(find("task", "retrieval"))
retrieval = sys.modules[Retrieval.__module__]
ONE_EACH = [(f"q{n}", f"d{n}", 1) for n in range(8)]


def opened(folder: Path, dataset: str = "scifact", track: str = "lite"):
    task = Retrieval(Source("directory", folder), track, dataset)
    task.name = f"retrieval/{dataset}"
    task.unseal()
    return task


@pytest.fixture
def judged(tmp_path):
    """Query n of 12 finds document n of grade 2, and q0 also d20, of grade 1, and d21, which is not relevant."""
    train = [("q0", "d20", 1), ("q0", "d21", 0), *((f"q{n}", f"d{n}", 2) for n in range(12))]
    dev, test = ([(f"q{n}", f"d{n}", 1) for n in rows] for rows in (range(12, 14), range(14, 18)))
    return opened(write_beir(tmp_path / "scifact", queries=18, train=train, dev=dev, test=test).parent)


def test_judged_groups_hold_one_relevant_document_first_and_no_other(judged):
    examples = judged.examples("distil")
    text, documents = examples.inputs, judged.documents
    assert examples.groups.shape == (13, 9) and examples.labels.shape == (13, 8)
    found = {}
    for group, grades in zip(examples.groups, examples.labels, strict=True):
        query, *candidates = (text[row] for row in group)
        assert len(set(candidates)) == 8 and not grades[1:].any()
        found.setdefault(query, []).append((candidates[0], grades[0]))
        relevant = {documents[judged.collection.number[d]] for d in RELEVANT[query]}
        assert candidates[0] in relevant and not relevant & set(candidates[1:])
    assert sorted(found["word0 text0"]) == [("Title 0 word0 text0.", 2), ("Title 20 word6 text0.", 1)]


RELEVANT = {f"word{n % 7} text{n % 5}": {f"d{n}", *(["d20"] if n == 0 else [])} for n in range(12)}


def test_negatives_are_those_that_bm25_ranks_highest(judged):
    """Of q3, "word3 text3", d10, d17 and d24 share the rarer word; d3 is relevant itself."""
    lessons = judged.lessons
    (row,) = lessons.negatives([lessons.queries.index("word3 text3")])
    assert {judged.collection.names[n] for n in row[:3]} == {"d10", "d17", "d24"} and len(row) == 7


def test_weak_groups_ask_for_the_rest_of_a_document_and_have_labels_for_finetune_alone(tmp_path):
    task = opened(write_beir(tmp_path / "scifact", test=ONE_EACH).parent)
    examples, distil = task.examples("supervised"), task.examples("distil")
    assert distil.labels is None and np.array_equal(distil.groups, examples.groups) and len(examples) == 30
    query, positive, *_ = (examples.inputs[row] for row in examples.groups[0])
    number = int(query.removeprefix("Title "))
    assert positive == f"word{number % 7} text{number % 5}."
    assert examples.labels[:, 0].all() and not examples.labels[:, 1:].any()
    card = task.card()
    assert "weak" in card.splits["supervised"] and "quarter" in card.splits["dev"] and "few" in card.notes[-1]
    assert card.sizes == {"documents": 30, "supervised": 30, "test": 6, "dev": 2}


def test_a_document_without_a_title_is_asked_by_its_first_sentence(tmp_path):
    folder = write_beir(tmp_path / "scifact", title="", test=ONE_EACH)
    with (folder / "corpus.jsonl").open("a") as file:
        for n in range(20):
            file.write(json.dumps({"_id": f"s{n}", "text": f"First {n}. The rest {n}."}) + "\n")
    lessons = opened(folder.parent).lessons
    assert lessons.queries == [f"First {n}." for n in sorted(range(20), key=str)]
    assert lessons.documents[0] == "The rest 0."


def test_each_part_has_its_limit(judged):
    inputs = judged.inputs("test")
    assert len(inputs) == 4 + 30 and inputs.limits.tolist() == [64] * 4 + [128] * 30
    examples = judged.examples("distil")
    assert set(examples.inputs.limits[examples.groups[:, 0]]) == {64}
    assert set(examples.inputs.limits[examples.groups[:, 1:]].flat) == {128}


def test_the_ranking_is_a_sort_of_the_whole_collection(judged, monkeypatch):
    """By cosine, equal ones by name, highest first; whatever the size of a block."""
    rng = np.random.default_rng(1)
    vectors = rng.integers(-2, 3, (34, 3)).astype(np.float32)  # few values: many documents tie
    vectors[5] = 0
    first, documents = np.split(vectors.astype(np.float64), [4])
    norms = np.linalg.norm(documents, axis=1)
    monkeypatch.setattr(retrieval, "BLOCK", 3)
    found = judged.predict(vectors, "test")["scifact"]["prediction"]
    assert found.lengths.tolist() == [30] * 4
    for query, row in zip(first, found, strict=True):
        cosine = np.divide(documents @ query, norms * np.linalg.norm(query), out=np.zeros(30), where=norms > 0)
        assert np.allclose(cosine[row[:, 0].astype(int)], row[:, 1], atol=1e-6)
        assert row.tolist() == sorted(row.tolist(), key=lambda pair: (-pair[1], -pair[0]))
    monkeypatch.setattr(retrieval, "DEPTH", 5)
    short = judged.predict(vectors, "test")["scifact"]["prediction"]
    assert np.array_equal(short.flat, np.concatenate([row[:5] for row in found]))


def test_scores_and_the_run_file(judged):
    number, names = judged.collection.number, judged.queries("test").names
    found = {"q14": ["d3", "d14"], "q15": ["d15"], "q16": ["d1"], "q17": ["d9", "d8", "d17"]}
    rows = [[(number[d], 1 - at / 4) for at, d in enumerate(found[name])] for name in names]
    arrays = {"prediction": Ragged.of(rows, np.float32, (2,)), "gold": judged.queries("test").gold}
    gains = [1 / math.log2(3), 1, 0, 1 / 2]
    assert judged.score({"scifact": arrays})["scifact"] == pytest.approx(
        {"ndcg@10": sum(gains) / 4, "mrr@10": (1 / 2 + 1 + 1 / 3) / 4, "recall@100": 3 / 4}
    )
    lines = judged.run_lines(arrays, "test")
    assert lines[:2] == ["q14 Q0 d3 1 1.0 bench", "q14 Q0 d14 2 0.75 bench"] and len(lines) == 7


def test_bm25_ranks_only_what_shares_a_word(judged):
    """Query n has one document with both its words, which is the relevant one."""
    assert judged.bm25("test")["scifact"] == {"ndcg@10": 1, "mrr@10": 1, "recall@100": 1}


def test_wrong_outputs_and_a_collection_that_is_too_small(judged, tmp_path):
    with pytest.raises(BenchError, match="expected outputs of shape"):
        judged.predict(np.ones((33, 4), np.float32), "test")
    with pytest.raises(BenchError, match="not finite"):
        judged.predict(np.full((34, 4), np.nan, np.float32), "test")
    small = opened(write_beir(tmp_path / "small/scifact", documents=8, test=ONE_EACH).parent)
    with pytest.raises(DataError, match="8 documents is too small"):
        small.examples("distil")
    bare = opened(write_beir(tmp_path / "bare/scifact", title="", test=ONE_EACH).parent)
    with pytest.raises(DataError, match="nothing to train on"):
        bare.examples("distil")
    with pytest.raises(DataError, match="no collection for retrieval/cacm"):
        opened(tmp_path / "small", "cacm").collection  # noqa: B018


def test_the_identity_is_that_of_what_was_read(tmp_path):
    def key(name, **changed):
        return opened(write_beir(tmp_path / name / "scifact", **{"test": ONE_EACH} | changed).parent).identity()

    first = key("a")
    others = [key("c", documents=31), key("d", title="Title"), key("e", test=[*ONE_EACH[:7], ("q7", "d7", 2)])]
    assert key("b") == first and len({first, *others}) == 4


def test_test_is_sealed_for_what_else_reads_it(judged):
    judged.seal()
    judged.bm25("dev")
    for read in (judged.bm25, judged.inputs, lambda split: judged.run_lines({}, split)):
        with pytest.raises(TestSealed):
            read("test")


def test_it_is_read_from_a_folder_alone():
    with pytest.raises(RequestError, match="give one with --data-dir"):
        Retrieval(Source("hub"), "lite", "cacm").identity()


@pytest.mark.parametrize(
    ("dataset", "documents", "judged"), [("cacm", 3204, 796), ("vaswani", 11429, 2083), ("msmarco", 5000, 4102)]
)
def test_the_real_collections_are_whole(dataset, documents, judged):
    task = opened(real_data("retrieval"), dataset)
    assert len(task.documents) == documents and all(task.documents)
    assert sum(len(queries.gold.flat) for queries in task.collection.splits.values()) == judged


def test_cacm_keeps_what_is_text():
    collection = opened(real_data("retrieval"), "cacm").collection
    document = collection.documents[collection.number["CACM-2000"]]
    assert document.title.startswith("A Variation of the Goodman-Lance Method for the Solution")
    assert document.text.startswith("A recently published") and document.text.endswith("in the latter context.")
    assert document.rest.startswith("CACM September, 1970 Kimble") and document.rest.endswith("1:39 PM")
    assert collection.documents[0].text == "" and collection.documents[0].rest.startswith("CACM December, 1958")


METHODS = ("kd", "finetune", "rkd", "disco", "margin_mse")


def test_runs_through_what_fits_and_their_records(tmp_path, teacher):
    """Teacher and student differ in width; what they leave is checked, compared, recommended and shown."""
    write_beir(tmp_path / "data/scifact", documents=40, queries=24, test=[(f"q{n}", f"d{n}", 1) for n in range(24)])
    results, cache = tmp_path / "results", tmp_path / "cache"
    place = ("--task", "retrieval/scifact", "--track", "lite", "--results", results)
    done = bench(
        "run", *place, "--data-dir", tmp_path / "data", *option("method", *METHODS),
        "--student", "bow:8", "--teacher", teacher, "--set", "updates=4", "--json", cache=cache,
    )  # fmt: skip
    assert [run["method"] for run in runs_of(done)] == [*METHODS]
    bench("check", results, cache=cache)
    found = json.loads(bench("compare", *place, "kd", "finetune", "--json", cache=cache).out)
    assert found["metric"] == "ndcg@10" and found["examples"] == 18
    bench("recommend", *place, cache=cache)
    bench("site", "build", "--results", results, "--out", tmp_path / "site", cache=cache)
    assert any("ndcg@10" in page.read_text() for page in (tmp_path / "site").rglob("*.html"))
