"""A teacher that reads query and document together: its row on test, and its scores in files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import CrossEncoder

from bench.errors import BenchError
from bench.plugins.registry import find, load
from bench.records.arrays import unpack
from bench.records.check import check
from bench.sources import Source
from bench.task import TestSealed
from tests.factories.collection import write_beir
from tests.factories.commands import bench, runs_of
from tests.factories.rankers import save_cross

Retrieval = load(find("task", "retrieval"))
TRAIN, DEV, TEST = range(12), range(12, 15), range(15, 22)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    qrels = {
        name: [(f"q{n}", f"d{n}", 1) for n in rows]
        for name, rows in zip(("train", "dev", "test"), (TRAIN, DEV, TEST), strict=True)
    }
    return write_beir(tmp_path_factory.mktemp("data") / "scifact", queries=22, **qrels).parent


@pytest.fixture
def task(data):
    found = Retrieval(Source("directory", data), "lite", "scifact")
    found.name = "retrieval/scifact"
    found.unseal()
    return found


def test_pairs_of_test_are_those_of_bm25(task):
    """A query of two words shares one of them with the documents of its numbers modulo 7 and 5."""
    pairs, (part,) = task.together("test"), task.parts.values()
    assert set(pairs.limits) == {64 + 128} and len(set(pairs.columns[0])) == len(TEST)
    for n in TEST:
        asked = f"word{n % 7} text{n % 5}"
        found = {document for query, document in zip(*pairs.columns, strict=True) if query == asked}
        assert found == {
            part.documents[part.collection.number[f"d{d}"]] for d in range(30) if d % 7 == n % 7 or d % 5 == n % 5
        }


def test_a_ranking_is_by_score_and_then_by_name(task):
    pairs, (part,) = task.together("test"), task.parts.values()
    scores = np.random.default_rng(0).integers(0, 3, (len(pairs), 1)).astype(np.float32)
    found = task.predict_together(scores, "test")["scifact"]["prediction"]
    names, at, read = part.collection.names, 0, list(zip(*pairs.columns, strict=True))
    for row in found:
        own = {
            document: score
            for (_, document), score in zip(read[at : at + len(row)], scores[at : at + len(row), 0], strict=True)
        }
        at += len(row)
        ranked = [(score, names[int(number)], part.documents[int(number)]) for number, score in row.tolist()]
        assert ranked == sorted(ranked, reverse=True) and {d: s for s, _, d in ranked} == own
    with pytest.raises(BenchError, match="expected outputs of shape"):
        task.predict_together(scores[1:], "test")


def test_test_is_sealed_for_those_too(task):
    task.seal()
    task.together("dev")
    for read in (task.together, lambda split: task.predict_together(np.zeros((1, 1)), split)):
        with pytest.raises(TestSealed):
            read("test")


def test_a_run_with_a_cross_encoder_and_all_that_it_leaves(data, task, tmp_path):
    teacher, cache, results = save_cross(tmp_path / "cross"), tmp_path / "cache", tmp_path / "results"
    place = ("--task", "retrieval/scifact", "--track", "lite", "--data-dir", data, "--results", results)
    asked = ("--student", "bow:8", "--teacher", teacher, "--set", "updates=4", "--json")
    (done,) = runs_of(bench("run", *place, "--method", "margin_mse", *asked, cache=cache))
    record = json.loads(Path(done["record"]).read_text())
    assert check(results) == (1, [])
    predictions = unpack(Path(done["record"]).with_suffix(".npz"))["scifact"]
    model, (part,) = CrossEncoder(str(teacher), device="cpu"), task.parts.values()
    for text, row, first in zip(
        task.queries("test")["scifact"].texts, predictions["teacher"], part.first("test"), strict=True
    ):
        expected = dict(
            zip(first.tolist(), model.predict([(text, part.documents[n]) for n in first]).tolist(), strict=True)
        )
        assert {int(number): score for number, score in row.tolist()} == pytest.approx(expected, abs=1e-5)
        assert row[:, 1].tolist() == sorted(row[:, 1], reverse=True)
    assert record["teacher"]["main"]["value"] == pytest.approx(
        task.score({"scifact": {"prediction": predictions["teacher"], "gold": predictions["gold"]}})["scifact"][
            "ndcg@10"
        ]
    )
    assert any("ranks BM25's first 100 alone" in note for note in record["data"]["notes"])
    assert record["teacher"]["efficiency"]["latency"]["single_search_end_to_end"]["p50_ms"] > 0

    out = tmp_path / "trec"
    bench("export", done["record"], "--format", "trec", "--out", out, "--data-dir", data, cache=cache)
    lines = [line.split() for line in (out / "scifact/scores.tsv").read_text().splitlines()]
    documents, queries = part.collection.number, {f"q{n}": f"word{n % 7} text{n % 5}" for n in TRAIN}
    expected = model.predict([(queries[q], part.documents[documents[d]]) for q, d, _ in lines])
    assert len(lines) == 12 * 4 and np.abs(expected - [float(score) for *_, score in lines]).max() < 1e-5

    refused = bench("run", *place, "--method", "rkd", *asked, cache=cache, check=None)
    assert refused.status in (1, 2) and "rkd reads the signal embedding" in refused.out + refused.err
