"""The retrieval task: groups of all sorts of labels, rankings of a whole collection, and a run through kd."""

from __future__ import annotations

import json
import math
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.errors import BenchError, RequestError
from bench.inputs import Batch
from bench.networks.inference import decoded
from bench.networks.transformer import load_model
from bench.plugins.registry import find, load
from bench.records.check import check
from bench.scoring.scores import Ragged
from bench.signals import Signals
from bench.sources import DataError, Source
from bench.task import TestSealed
from bench.teachers import plans
from tests.factories.collection import write_beir
from tests.factories.commands import bench, runs_of
from tests.factories.data import real_data
from tests.factories.runs import option

Retrieval = load(find("task", "retrieval"))
retrieval = sys.modules[Retrieval.__module__]
MARCO = "retrieval/msmarco-dl19-mini/msmarco"
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
    part, text = judged.parts["scifact"], examples.inputs
    assert examples.groups.shape == (13, 5) and examples.labels.shape == (13, 4)
    found = {}
    for group, grades in zip(examples.groups, examples.labels, strict=True):
        query, *candidates = (text[row] for row in group)
        assert len(set(candidates)) == 4 and not grades[1:].any()
        found.setdefault(query, []).append((candidates[0], grades[0]))
        relevant = {part.documents[part.collection.number[d]] for d in RELEVANT[query]}
        assert candidates[0] in relevant and not relevant & set(candidates[1:])
    assert sorted(found["word0 text0"]) == [("Title 0 word0 text0.", 2), ("Title 20 word6 text0.", 1)]


RELEVANT = {f"word{n % 7} text{n % 5}": {f"d{n}", *(["d20"] if n == 0 else [])} for n in range(12)}


def test_negatives_are_those_that_bm25_ranks_highest(judged):
    """Of q3, "word3 text3", d10, d17 and d24 share the rarer word; d3 is relevant itself."""
    (lessons,) = judged.lessons
    first, *others = dict(lessons.names)["q3"]
    assert first == "d3" and set(others) == {"d10", "d17", "d24"}


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
    assert card.sizes == {"documents": 30, "supervised": 30, "test": 6, "dev": 2, "scifact": 6}


def test_a_document_without_a_title_is_asked_by_its_first_sentence(tmp_path):
    folder = write_beir(tmp_path / "scifact", title="", test=ONE_EACH)
    with (folder / "corpus.jsonl").open("a") as file:
        for n in range(20):
            file.write(json.dumps({"_id": f"s{n}", "text": f"First {n}. The rest {n}."}) + "\n")
    (lessons,) = opened(folder.parent).lessons
    assert set(lessons.queries) == {f"First {n}." for n in range(20)}
    assert dict(zip(lessons.queries, lessons.candidates, strict=True))["First 0."][0] == "The rest 0."
    assert dict(lessons.names)["title:s3"][0] == "s3"


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
    monkeypatch.setattr(retrieval, "BLOCK", 90)
    units = judged.goal.decode(Signals(embedding=torch.from_numpy(vectors))).numpy()
    found = judged.predict(units, "test")["scifact"]["prediction"]
    assert found.lengths.tolist() == [30] * 4
    for query, row in zip(first, found, strict=True):
        cosine = np.divide(documents @ query, norms * np.linalg.norm(query), out=np.zeros(30), where=norms > 0)
        assert np.allclose(cosine[row[:, 0].astype(int)], row[:, 1], atol=1e-6)
        assert row.tolist() == sorted(row.tolist(), key=lambda pair: (-pair[1], -pair[0]))
    monkeypatch.setattr(retrieval, "DEPTH", 5)
    short = judged.predict(units, "test")["scifact"]["prediction"]
    assert np.array_equal(short.flat, np.concatenate([row[:5] for row in found]))


def test_scores_and_the_run_file(judged):
    number, queries = judged.parts["scifact"].collection.number, judged.queries("test")["scifact"]
    found = {"q14": ["d3", "d14"], "q15": ["d15"], "q16": ["d1"], "q17": ["d9", "d8", "d17"]}
    rows = [[(number[d], 1 - at / 4) for at, d in enumerate(found[name])] for name in queries.names]
    arrays = {"prediction": Ragged.of(rows, np.float32, (2,)), "gold": queries.gold}
    gains = [1 / math.log2(3), 1, 0, 1 / 2]
    assert judged.score({"scifact": arrays})["scifact"] == pytest.approx(
        {
            "ndcg@10": sum(gains) / 4, "mrr@10": (1 / 2 + 1 + 1 / 3) / 4, "map@1000": (1 / 2 + 1 + 1 / 3) / 4,
            "recall@100": 3 / 4, "recall@1000": 3 / 4,
        }
    )  # fmt: skip
    lines = judged.run_lines("scifact", arrays["prediction"])
    assert lines[:2] == ["q14 Q0 d3 1 1.0 bench", "q14 Q0 d14 2 0.75 bench"] and len(lines) == 7


def test_bm25_ranks_only_what_shares_a_word(judged):
    """Query n has one document with both its words, which is the relevant one."""
    found = judged.references("test")["bm25"]
    assert set(judged.score(found)["scifact"].values()) == {1}
    assert 0 < found["scifact"]["prediction"].lengths.max() < 30


def test_wrong_outputs_and_a_collection_that_is_too_small(judged, tmp_path):
    with pytest.raises(BenchError, match="expected outputs of shape"):
        judged.predict(np.ones((33, 4), np.float32), "test")
    with pytest.raises(BenchError, match="not finite"):
        judged.predict(np.full((34, 4), np.nan, np.float32), "test")
    four = [(f"q{n}", f"d{n % 4}", 1) for n in range(8)]
    small = opened(write_beir(tmp_path / "small/scifact", documents=4, test=four).parent)
    with pytest.raises(DataError, match="4 documents is too small"):
        small.examples("distil")
    bare = opened(write_beir(tmp_path / "bare/scifact", title="", test=ONE_EACH).parent)
    with pytest.raises(DataError, match="nothing to train on"):
        bare.examples("distil")
    with pytest.raises(DataError, match="no collection for retrieval/cacm"):
        opened(tmp_path / "small", "cacm").identity()


def test_the_identity_is_that_of_what_was_read(tmp_path):
    def key(name, **changed):
        return opened(write_beir(tmp_path / name / "scifact", **{"test": ONE_EACH} | changed).parent).identity()

    first = key("a")
    others = [key("c", documents=31), key("d", title="Title"), key("e", test=[*ONE_EACH[:7], ("q7", "d7", 2)])]
    assert key("b") == first and len({first, *others}) == 4


def test_test_is_sealed_for_what_else_reads_it(judged):
    judged.seal()
    judged.references("dev")
    for read in (
        judged.references,
        judged.inputs,
        lambda split: judged.run_lines("scifact", {}),
        lambda _: judged.searches(),
    ):
        with pytest.raises(TestSealed):
            read("test")


def test_it_is_read_from_a_folder_alone():
    with pytest.raises(RequestError, match="retrieval/cacm is read from a folder: give one with --data-dir"):
        Retrieval(Source("hub"), "lite", "cacm").identity()


@pytest.mark.parametrize(
    ("dataset", "documents", "queries", "judged"),
    [
        ("cacm", 3204, 52, 796), ("vaswani", 11429, 93, 2083), ("msmarco", 5000, 43, 4102),
        ("dbpedia-entity", 5000, 40, 3709),
    ],
)  # fmt: skip
def test_the_real_collections_are_whole(dataset, documents, queries, judged):
    (part,) = opened(real_data("retrieval"), dataset).parts.values()
    assert len(part.documents) == documents and all(part.documents)
    splits = part.collection.splits.values()
    assert sum(len(found.gold.flat) for found in splits) == judged
    assert sum(len(found.names) for found in splits) == queries


def test_the_official_files_are_those_of_the_sample():
    """4,102 passages of grade 1 or more; those of grade 0 that the sample has are kept, others are passed over."""
    (part,) = opened(real_data("retrieval"), "trec-dl-2019").parts.values()
    splits = part.collection.splits.values()
    assert len(part.documents) == 5000 and len(part.collection.asked) == 6980
    assert sum(int((found.gold.flat[:, 1] >= 1).sum()) for found in splits) == 4102
    assert sum(len(found.names) for found in splits) == 43
    with pytest.raises(DataError, match=r"qrels.dev.small.tsv, line 1: there is no document 7067032"):
        opened(real_data("retrieval"), "msmarco-dev").identity()


def test_metrics_of_a_stored_run_are_those_of_ir_measures():
    """BM25's run of TREC DL 2019 by another system: relevant from grade 2 on, but for nDCG."""
    measures = pytest.importorskip("ir_measures")
    folder = real_data("retrieval") / MARCO
    (part,) = opened(real_data("retrieval"), "trec-dl-2019").parts.values()
    number = part.collection.number
    grades = [line.split() for line in (folder / "2019qrels-pass.txt").read_text().splitlines()]
    found = [line.split() for line in (folder / "run.dl19.bm25.filtered.trec").read_text().splitlines()]
    of_run = [(q, d, float(score)) for q, _, d, _, score, _ in found]
    qrels = [measures.Qrel(q, d, int(grade)) for q, _, d, grade in grades]
    asked = list(dict.fromkeys(q for q, *_ in grades))
    arrays = {
        "prediction": Ragged.of(
            [[(number[d], s) for q, d, s in of_run if q == name] for name in asked], np.float64, (2,)
        ),
        "gold": Ragged.of(
            [[(number[d], int(g)) for q, _, d, g in grades if q == name and d in number] for name in asked], np.float64
        ),
    }
    wanted = {
        "ndcg@10": "nDCG@10", "mrr@10": "RR(rel=2)@10", "map@1000": "AP(rel=2)@1000", "recall@100": "R(rel=2)@100",
        "recall@1000": "R(rel=2)@1000",
    }  # fmt: skip
    forms = {ours: measures.parse_measure(theirs) for ours, theirs in wanted.items()}
    expected = measures.calc_aggregate(forms.values(), qrels, [measures.ScoredDoc(*row) for row in of_run])
    ours = Retrieval.score({"trec-dl-2019": arrays})["trec-dl-2019"]
    assert ours == pytest.approx({name: expected[form] for name, form in forms.items()}, abs=1e-4)
    assert 0.5 < ours["ndcg@10"] < 0.8


def test_queries_without_judgements_take_candidates_from_bm25():
    task = opened(real_data("retrieval"), "trec-dl-2019")
    task.track = replace(task.track, examples=20)
    (lessons,) = task.lessons
    assert task.examples("distil").labels is None and "weak" in task.card().splits["supervised"]
    part, judged = (
        task.parts["trec-dl-2019"],
        {n for q in task.parts["trec-dl-2019"].collection.splits.values() for n in q.names},
    )
    for (name, found), query in zip(lessons.names, lessons.queries, strict=True):
        (row,) = part.search.first([query], 30)
        order = [part.collection.names[int(n)] for n in row[:, 0]]
        assert name not in judged and found[0] == order[0] and found[-1] == order[-1] and len(set(found)) == 4
        assert [order.index(d) for d in found] == sorted(order.index(d) for d in found)


def test_the_pooled_board_is_four_collections_and_their_average():
    task = opened(real_data("retrieval"), "small")
    assert list(task.parts) == ["trec-dl-2019", "dbpedia-entity", "cacm", "vaswani"]
    assert {name: len(queries.names) for name, queries in task.queries("test").items()} == {
        "trec-dl-2019": 33, "dbpedia-entity": 30, "cacm": 39, "vaswani": 70,
    }  # fmt: skip
    dev = task.inputs("dev")
    assert len(dev) < 4500 and len(task.inputs("test")) > 24_633
    vectors = np.random.default_rng(0).normal(size=(len(dev), 4)).astype(np.float32)
    found = task.predict(vectors, "dev")
    for name, part in task.parts.items():
        assert set(found[name]["prediction"].flat[:, 0].astype(int)) <= set(part.near.tolist())
    assert list(task.score(found)) == list(task.parts)


def test_scores_of_another_model_make_groups_and_grades(judged):
    """Even steps of a list by score, graded by the softmax of the scores."""
    folder = judged.source.folder / "scifact"
    lines = [f"q1 d{n} {n / 2}" for n in range(3, 10)] + ["title:d5 Q0 d5 1 3.0 x", "title:d5 Q0 d6 2 1.0 x"]
    (folder / "scores.tsv").write_text("\n".join(lines) + "\n")
    task = opened(judged.source.folder)
    (lessons,) = task.lessons
    assert lessons.names == [("q1", ["d9", "d7", "d5", "d3"])]
    parts = np.exp([4.5, 3.5, 2.5, 1.5])
    assert task.examples("distil").labels[0] == pytest.approx(parts / parts.sum(), rel=1e-6)
    for line, what in (("q14 d1 1", "no training query q14"), ("q1 d99 1", "no document d99"), ("q1 d1", "2 columns")):
        (folder / "scores.tsv").write_text(line + "\n")
        with pytest.raises(DataError, match=rf"scores.tsv, line 1: .*{what}"):
            opened(judged.source.folder).examples("distil")


def write_marco(folder: Path) -> Path:
    """The official files, small: three passages a query, of which the first is relevant."""
    folder.mkdir(parents=True)
    rows = {
        "collection.tsv": [f"{n}\tword{n // 3} text{n}" for n in range(90)],
        "queries.train.tsv": [f"{n}\tword{n}" for n in range(20)],
        "msmarco-test2019-queries.tsv": [f"{n}\tword{n}" for n in range(20, 30)],
        "2019qrels-pass.txt": [f"{n} Q0 {3 * n} 2" for n in range(20, 30)],
    }
    for name, lines in rows.items():
        (folder / name).write_text("\n".join(lines) + "\n")
    return folder


def test_training_pairs_are_judged_or_those_of_triples(tmp_path):
    folder = write_marco(tmp_path / "msmarco")
    with pytest.raises(DataError, match=r"neither qrels.train.tsv nor qidpidtriples.train"):
        opened(tmp_path, "trec-dl-2019").identity()
    (folder / "qidpidtriples.train.full.2.tsv").write_text(
        "".join(f"{n}\t{3 * n}\t{3 * n + 1}\n" * 2 for n in range(20))
    )
    task = opened(tmp_path, "trec-dl-2019")
    (lessons,) = task.lessons
    assert len(lessons) == 18 and all(found[0] == str(3 * int(name)) for name, found in lessons.names)
    (folder / "qrels.train.tsv").write_text("".join(f"{n}\t0\t{3 * n + 2}\t1\n" for n in range(20)))
    (lessons,) = opened(tmp_path, "trec-dl-2019").lessons
    assert all(found[0] == str(3 * int(name) + 2) for name, found in lessons.names)
    assert opened(tmp_path, "trec-dl-2019").card().splits["supervised"] == "judged queries"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("collection.tsv", "1\ta\n1\tb\n", "collection.tsv: passage 1 comes twice"),
        ("collection.tsv", "1 a\n", "line 1: 1 tab-separated columns, expected 2"),
        ("2019qrels-pass.txt", "20 Q0 4711 2\n", "line 1: there is no document 4711"),
    ],
)
def test_wrong_official_files(tmp_path, name, text, says):
    folder = write_marco(tmp_path / "msmarco")
    (folder / "queries.train.tsv").unlink()
    (folder / name).write_text(text)
    with pytest.raises(DataError, match=says):
        opened(tmp_path, "trec-dl-2019").identity()


def test_a_collection_in_another_encoding_is_named_with_its_line(tmp_path):
    folder = write_marco(tmp_path / "msmarco")
    (folder / "collection.tsv").write_bytes("1\ta\n2\tcafé\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"collection.tsv, line 2: not UTF-8"):
        opened(tmp_path, "trec-dl-2019").identity()


def test_cacm_keeps_what_is_text():
    collection = opened(real_data("retrieval"), "cacm").parts["cacm"].collection
    document = collection.documents[collection.number["CACM-2000"]]
    assert document.title.startswith("A Variation of the Goodman-Lance Method for the Solution")
    assert document.text.startswith("A recently published") and document.text.endswith("in the latter context.")
    assert document.rest.startswith("CACM September, 1970 Kimble") and document.rest.endswith("1:39 PM")
    assert collection.documents[0].text == "" and collection.documents[0].rest.startswith("CACM December, 1958")


METHODS = ("kd", "finetune", "rkd", "disco", "margin_mse")


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        ({"similarity_fn_name": "euclidean"}, "declares the similarity euclidean, and this task compares by cosine"),
    ],
)
def test_a_teacher_that_declares_another_use_is_refused(judged, teacher, tmp_path, declared, says):
    from sentence_transformers import SentenceTransformer

    modules = [m for m in SentenceTransformer(str(teacher), device="cpu") if type(m).__name__ != "Normalize"]
    SentenceTransformer(modules=modules, device="cpu", **declared).save(str(tmp_path / "model"))
    place = plans.locate(str(tmp_path / "model"), judged)
    with pytest.raises(RequestError, match=says):
        load_model(place, judged.goal)


def test_a_teacher_of_inner_products_ranks_and_teaches_by_them(judged, teacher, tmp_path):
    """Of vectors of unlike lengths, so that cosines would say otherwise; what borrows from it has cosines."""
    from sentence_transformers import SentenceTransformer

    modules = [m for m in SentenceTransformer(str(teacher), device="cpu") if type(m).__name__ != "Normalize"]
    model = SentenceTransformer(modules=modules, device="cpu", similarity_fn_name="dot")
    model.save(str(tmp_path / "model"))
    network = load_model(plans.locate(str(tmp_path / "model"), judged), judged.goal).eval()
    inputs = judged.inputs("test")
    rows = model.encode(list(inputs.columns[0]))
    found = judged.predict(decoded(network, network.encode(inputs), judged.goal), "test")["scifact"]["prediction"]
    products, lengths = rows[:4] @ rows[4:].T, np.linalg.norm(rows, axis=1)
    for expected, row in zip(products, found, strict=True):
        assert np.allclose(row[:, 1], np.sort(expected)[::-1], atol=1e-4)
        assert np.allclose(expected[row[:, 0].astype(int)], row[:, 1], atol=1e-4)
    assert not np.allclose(lengths, lengths[0], rtol=1e-3) and np.ptp(products) > 0.1

    batch = Batch(torch.arange(2), 3)
    with torch.no_grad():
        signals = network(network.encode(inputs).batch(np.array([[0, 4, 5], [1, 6, 7]])), frozenset({"vectors"}))
    assert np.allclose(judged.goal.scores(signals, batch), [products[0, :2], products[1, 2:4]], atol=1e-4)
    every = judged.goal.batch_scores(signals, batch)
    assert np.allclose(every, products[:2][:, [0, 2, 1, 3]], atol=1e-4)
    assert network.named({"output", "pooled"}, "embedding") == {"vectors", "pooled"}
    assert network.named({"embedding"}, "embedding") == {"embedding"} <= network.offers, "methods of vectors have them"
    assert "vectors" not in network.lender.offers


def test_runs_through_what_fits_and_their_records(tmp_path, teacher):
    """Teacher and student differ in width; what they leave is checked, compared, recommended and shown, with BM25."""
    write_beir(tmp_path / "data/scifact", documents=40, queries=24, test=[(f"q{n}", f"d{n}", 1) for n in range(24)])
    results, cache = tmp_path / "results", tmp_path / "cache"
    place = ("--task", "retrieval/scifact", "--track", "lite", "--results", results)
    done = bench(
        "run", *place, "--data-dir", tmp_path / "data", *option("method", *METHODS),
        "--student", "bow:8", "--teacher", teacher, "--set", "updates=4", "--json", cache=cache,
    )  # fmt: skip
    assert [run["method"] for run in runs_of(done)] == [*METHODS]
    record = json.loads(Path(runs_of(done)[0]["record"]).read_text())
    assert 0.9 < record["references"]["bm25"]["main"]["value"] < 1 and record["cost"]["teacher_forwards"]
    assert json.loads(Path(runs_of(done)[2]["record"]).read_text())["cost"]["teacher_forwards_reused"]
    efficiency = record["efficiency"]
    assert efficiency["index_bytes"] == 40 * 8 * 4 and efficiency["latency"]["single_search_end_to_end"]["p50_ms"] > 0
    assert check(results) == (len(METHODS), [])
    found = json.loads(bench("compare", *place, "kd", "finetune", "--json", cache=cache).out)
    assert found["metric"] == "ndcg@10" and found["examples"] == 18
    assert found["family"].endswith("to a baseline with the same student")
    found = json.loads(bench("compare", *place, "bm25", "kd", "--json", cache=cache).out)
    assert found["difference"] == pytest.approx(
        record["references"]["bm25"]["main"]["value"] - record["metrics"]["main"]["value"]
    )
    bench("recommend", *place, cache=cache)
    bench("site", "build", "--results", results, "--out", tmp_path / "site", cache=cache)
    assert any("no network" in page.read_text() for page in (tmp_path / "site").rglob("*.html"))
    bench(
        "export", record["run_id"], "--format", "trec", "--out", tmp_path / "out", "--results", results,
        "--data-dir", tmp_path / "data", cache=cache,
    )  # fmt: skip
    names = {"student.trec", "teacher.trec", "bm25.trec", "scores.tsv"}
    assert {path.name for path in (tmp_path / "out/scifact").iterdir()} == names
    line = (tmp_path / "out/scifact/scores.tsv").read_text().splitlines()[0].split()
    assert line[0].startswith("title:d") and -1 <= float(line[2]) <= 1
    shutil.copy(tmp_path / "out/scifact/scores.tsv", tmp_path / "data/scifact")
    assert opened(tmp_path / "data").examples("distil").labels is not None
    path = Path(runs_of(done)[0]["record"])
    changed = record | {
        "references": {"bm25": record["references"]["bm25"] | {"metrics": {"scifact": {"ndcg@10": 0.5}}}}
    }
    path.write_text(json.dumps(changed, indent=1))
    assert [problem.problem for problem in check(results)[1] if problem.problem.startswith("references.bm25")]
