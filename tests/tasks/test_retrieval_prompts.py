"""Rankings by a teacher are those of sentence-transformers' own evaluator, with the prompts that it declares."""

from __future__ import annotations

import numpy as np
import pytest

from bench.export import hf
from bench.networks.fingerprints import fingerprint, settings
from bench.networks.inference import outputs
from bench.networks.transformer import load_model
from bench.students.bert import Bert
from bench.students.bow import Bow
from bench.teachers import plans
from tests.factories.collection import write_beir
from tests.tasks.test_retrieval import opened

PAIRS = [(f"q{n}", f"d{m}", 1) for n in range(20) for m in (n, (n + 7) % 30)]


def both(task, place):
    """(the model as it is loaded here, metrics by our loading, metrics of sentence-transformers' evaluator)."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator

    network = load_model(place, task.goal).eval()
    found = outputs(network, network.encode(task.inputs("test")), frozenset({"embedding"}))["embedding"]
    ours = task.score(task.predict(found, "test"))["scifact"]
    (part,), queries = task.parts.values(), task.queries("test")["scifact"]
    asked = dict(zip(queries.names, queries.texts, strict=True))
    corpus = dict(zip(part.collection.names, part.documents, strict=True))
    relevant = {q: {d for query, d, _ in PAIRS if query == q} for q in asked}
    judge = InformationRetrievalEvaluator(
        asked, corpus, relevant, mrr_at_k=[10], ndcg_at_k=[10], map_at_k=[1000], precision_recall_at_k=[1, 100],
        accuracy_at_k=[1], write_csv=False,
    )  # fmt: skip
    told = judge(SentenceTransformer(str(place.path), device="cpu"))
    return network, ours, {name.removeprefix("cosine_"): value for name, value in told.items()}


def test_scores_are_those_of_the_evaluator_of_sentence_transformers(tmp_path):
    """The packaged MiniLM over a small collection, through our loading and through the library's own."""
    task = opened(write_beir(tmp_path / "scifact", queries=20, test=PAIRS).parent)
    _, ours, theirs = both(task, plans.locate("all-MiniLM-L6-v2", task))
    assert 0.2 < ours["ndcg@10"] < 1
    for name in ("ndcg@10", "mrr@10", "map@1000", "recall@100"):
        assert ours[name] == pytest.approx(theirs[name], abs=1e-4), name


@pytest.mark.parametrize(
    ("declared", "roles"),
    [
        ({"prompts": {"query": "query: ", "document": "passage: "}}, ["query: ", "passage: "]),
        # as the library has it: without a prompt `document` documents have none, and a default is for neither
        ({"prompts": {"query": "ask: ", "passage": "passage: "}}, ["ask: ", ""]),
        ({"prompts": {"plain": "text: "}, "default_prompt_name": "plain"}, ["", ""]),
    ],
)
def test_queries_and_documents_are_read_with_their_prompts(teacher, tmp_path, declared, roles):
    """By the teacher, by students cut from it and by what is exported; other students read texts as they are."""
    from sentence_transformers import SentenceTransformer

    modules = list(SentenceTransformer(str(teacher), device="cpu"))
    SentenceTransformer(modules=modules, device="cpu", **declared).save(str(tmp_path / "model"))
    task = opened(write_beir(tmp_path / "scifact", queries=20, test=PAIRS).parent)
    network, ours, theirs = both(task, plans.locate(str(tmp_path / "model"), task))
    assert network.roles == roles
    for name in ("ndcg@10", "mrr@10", "map@1000", "recall@100"):
        assert ours[name] == pytest.approx(theirs[name], abs=1e-5), name
    plain = load_model(plans.locate(str(teacher), task), task.goal)
    assert not plain.roles and fingerprint(plain) == fingerprint(network) and settings(plain) != settings(network)
    student = Bert(Bert.Settings()).build("1", task, network).eval()
    assert student.roles == roles
    read = student.encode(task.inputs("test")).batch(np.array([0, 25]))["input_ids"].tolist()
    texts = [task.inputs("test").columns[0][n] for n in (0, 25)]
    for ids, prompt, text in zip(read, roles, texts, strict=True):
        expected = network.tokenizer(prompt + text)["input_ids"]
        assert ids[: len(expected)] == expected
    words = Bow(Bow.Settings(tokens="teacher")).build("8", task, network)
    ids = words.encode(task.inputs("test")).batch(np.array([0]))["input_ids"][0].tolist()
    assert ids == network.tokenizer(texts[0], add_special_tokens=False)["input_ids"]
    hf.write(student, "embedding", tmp_path / "out")
    again = SentenceTransformer(str(tmp_path / "out"), device="cpu")
    found = np.stack([again.encode_query(texts[0]), again.encode_document(texts[1])])
    ours = outputs(student, student.encode(task.inputs("test")), frozenset({"embedding"}))["embedding"][[0, 25]]
    assert np.allclose(found, ours, atol=1e-5)
