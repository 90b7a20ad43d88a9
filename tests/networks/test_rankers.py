"""Networks that score a query and a document: what they say is what the library, or numpy, says of the same weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sentence_transformers import CrossEncoder
from transformers import (
    AutoModel,
    AutoTokenizer,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)  # fmt: skip

from bench.errors import RequestError
from bench.inputs import Texts
from bench.kinds.rank import Rank
from bench.networks import rankers
from bench.networks.inference import outputs
from bench.networks.places import Place
from bench.networks.transformer import load_model
from bench.students.bert import Bert
from tests.baselines.ranking import Data
from tests.factories.rankers import WIDTH, save_colbert, save_cross, save_pylate, words
from tests.factories.runs import save_teacher

QUERIES = ["word of mouth", "a longer query, which has commas", "a longer query, which has commas", "x"]
DOCUMENTS = ["An answer. With two sentences!", "text", "An answer. With two sentences!", "many words " * 30]
PAIRS = Texts(QUERIES, DOCUMENTS)
SCORES = frozenset({"scores"})
LAYERS = frozenset({"scores", "layer_scores"})


def said(network, names=SCORES, inputs=PAIRS):
    return outputs(network.eval(), network.encode(inputs), names)


@torch.no_grad()
def every(network) -> tuple[np.ndarray, list[np.ndarray]]:
    """(scores, those of each layer) of all pairs in one batch."""
    found = network.eval()(network.encode(PAIRS).batch(np.arange(4)), LAYERS)
    return found.scores.numpy()[:, 0], [layer.numpy()[:, 0] for layer in found.layer_scores]


@pytest.fixture(scope="module")
def cross(tmp_path_factory) -> Path:
    return save_cross(tmp_path_factory.mktemp("cross"))


@pytest.mark.parametrize("identity", [True, False])
def test_a_cross_encoder_scores_as_the_library_does(tmp_path, identity):
    """Where the model declares no activation of its own, the library's is a sigmoid, and these are the logits."""
    folder = save_cross(tmp_path, identity=identity)
    theirs = CrossEncoder(str(folder), device="cpu")
    pairs = list(zip(QUERIES, DOCUMENTS, strict=True))
    expected = theirs.predict(pairs) if identity else theirs.predict(pairs, activation_fn=torch.nn.Identity())
    network = rankers.load(folder)
    assert np.abs(said(network)["scores"][:, 0] - expected).max() < 1e-5
    assert np.ptp(expected) > 1e-2, "four pairs that are one and the same would show nothing"


def test_a_cross_encoder_that_the_library_saved_is_read(cross, tmp_path):
    theirs = CrossEncoder(str(cross), device="cpu")
    theirs.save_pretrained(str(tmp_path))
    pairs = list(zip(QUERIES, DOCUMENTS, strict=True))
    found = said(load_model(Place("x", "x", "", tmp_path), Rank()))["scores"][:, 0]
    assert np.abs(found - CrossEncoder(str(tmp_path), device="cpu").predict(pairs)).max() < 1e-5


def test_a_layer_of_a_cross_encoder_is_scored_by_its_head(cross):
    network = rankers.load(cross)
    scores, layers = every(network)
    assert network.shape.layers == 2 and len(layers) == 3 and np.allclose(layers[-1], scores, atol=1e-6)
    weights = {name: tensor.numpy() for name, tensor in load_file(cross / "model.safetensors").items()}
    model, tokenizer = AutoModel.from_pretrained(cross).eval(), AutoTokenizer.from_pretrained(cross)
    with torch.no_grad():
        read = tokenizer(QUERIES, DOCUMENTS, padding=True, return_tensors="pt")
        first = model(**read, output_hidden_states=True).hidden_states[1][:, 0].numpy()
    pooled = np.tanh(first @ weights["bert.pooler.dense.weight"].T + weights["bert.pooler.dense.bias"])
    assert np.allclose(
        layers[1], (pooled @ weights["classifier.weight"].T + weights["classifier.bias"])[:, 0], atol=1e-5
    )


def test_a_head_of_another_sort_scores_no_layers(tmp_path):
    given = DistilBertConfig(
        vocab_size=words().vocab_size, dim=WIDTH, n_layers=1, n_heads=4, hidden_dim=96, num_labels=1
    )
    DistilBertForSequenceClassification(given).save_pretrained(tmp_path)
    words().save_pretrained(tmp_path)
    network = rankers.load(tmp_path)
    assert network.offers == SCORES and said(network)["scores"].shape == (4, 1)


def test_a_student_borrows_layers_and_words_and_has_vectors(cross, tmp_path):
    """RoBERTa's body has no pooler under a head; what is copied is all that the student reads."""
    given = RobertaConfig(
        vocab_size=words().vocab_size, hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=96, num_labels=1, pad_token_id=0,
    )  # fmt: skip
    RobertaForSequenceClassification(given).save_pretrained(tmp_path)
    words().save_pretrained(tmp_path)
    for folder in (cross, tmp_path):
        teacher = rankers.load(folder)
        student = Bert(Bert.Settings()).build("1", Data(), teacher.lender)
        assert student.origin == "teacher layers (gap)" and "embedding" in student.offers and not student.reads_together
        ours, theirs = student.backbone.encoder.layer[0], teacher.backbone.encoder.layer[1]
        assert all(map(torch.equal, ours.state_dict().values(), theirs.state_dict().values()))
        assert outputs(student, student.encode(DOCUMENTS), frozenset({"embedding"}))["embedding"].shape == (4, WIDTH)


def test_a_pair_is_cut_to_twice_what_a_text_is_and_to_its_own_limit(cross):
    network = rankers.load(cross)
    assert network.encode(PAIRS, 8).lengths.max() == 16
    limited = Texts(QUERIES, DOCUMENTS, limits=np.array([12, 12, 12, 10]))
    assert network.encode(limited, 64).lengths.tolist() == [12, 12, 12, 10]


def by_hand(folder: Path, weight: np.ndarray | None, layer: int, markers: tuple[str, str], skipped: str, attend=False):
    """Scores in plain loops: tokens one by one, each text read by itself and without padding."""
    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    query, document = (tokenizer.convert_tokens_to_ids(marker) for marker in markers)
    skip = {tokenizer.convert_tokens_to_ids(symbol) for symbol in skipped}

    def vectors(ids: list[int], mask: list[int]) -> np.ndarray:
        with torch.no_grad():
            out = model(torch.tensor([ids]), torch.tensor([mask]), output_hidden_states=True)
        states = out.hidden_states[layer][0].numpy()
        states = states if weight is None else states @ weight.T
        return states / np.linalg.norm(states, axis=1, keepdims=True)

    found = []
    for q, d in zip(QUERIES, DOCUMENTS, strict=True):
        (first, *rest), (start, *more) = (
            tokenizer(text, truncation=True, max_length=limit - 1)["input_ids"] for text, limit in ((q, 12), (d, 40))
        )
        ids = [first, query, *rest]
        masks = [tokenizer.mask_token_id] * (12 - len(ids))
        rows = vectors(ids + masks, [1] * len(ids) + [int(attend)] * len(masks))
        text = [start, document, *more]
        columns = [v for n, v in zip(text, vectors(text, [1] * len(text)), strict=True) if n not in skip]
        found.append(sum(max(float(row @ column) for column in columns) for row in rows))
    return found


@pytest.mark.parametrize("attend", [False, True])
def test_colbert_sums_maxima_of_cosines(tmp_path, attend):
    folder = save_colbert(tmp_path, attend_to_mask_tokens=attend)
    weight = load_file(folder / "model.safetensors")["linear.weight"].numpy()
    network = load_model(Place("x", "x", "", folder), Rank())
    scores, layers = every(network)
    expected = by_hand(folder, weight, -1, ("[unused0]", "[unused1]"), "!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~", attend)
    assert np.allclose(scores, expected, atol=1e-4) and np.ptp(scores) > 0.1
    first = by_hand(folder, None, 1, ("[unused0]", "[unused1]"), ".,!?", attend)
    assert len(layers) == 3 and np.allclose(layers[1], first, atol=1e-4)
    assert np.allclose(said(network)["scores"][:, 0], scores, atol=1e-4), "whatever the batches"


def test_colbert_in_the_layout_of_pylate(tmp_path):
    folder = save_pylate(tmp_path)
    network = load_model(Place("x", "x", "", folder), Rank())
    weight = load_file(folder / "1_Dense/model.safetensors")["linear.weight"].numpy()
    assert np.allclose(every(network)[0], by_hand(folder, weight, -1, ("[Q] ", "[D] "), ".,"), atol=1e-4)


def test_documents_have_what_queries_leave_of_a_pair(tmp_path):
    network = rankers.load(save_colbert(tmp_path))
    lengths = [network.encode(pairs, most).documents.lengths.max() for pairs, most in ((PAIRS, None), (PAIRS, 16))]
    limited = Texts(QUERIES, DOCUMENTS, limits=np.full(4, 30))
    assert [*lengths, network.encode(limited).documents.lengths.max()] == [40, 16, 18]
    assert network.encode(Texts(DOCUMENTS)).lengths.max() == 40, "a text alone is a document"


def test_gradients_of_the_maxima(tmp_path):
    """Those of the best tokens alone, by finite differences in the projection."""
    network = load_model(Place("x", "x", "", save_colbert(tmp_path)), Rank()).eval().double()
    batch = network.encode(PAIRS).batch(np.arange(2))
    weight = network.projection.weight
    from bench.networks.late import maxima

    rng = np.random.default_rng(0)
    q, d = (torch.tensor(rng.normal(size=(2, n, 3)), dtype=torch.float32, requires_grad=True) for n in (4, 5))
    counted = torch.ones(2, 5, dtype=torch.bool)
    counted[0, 3:] = False
    maxima(q, d, counted).sum().backward()
    products = np.einsum("pid,pjd->pij", q.detach().numpy(), d.detach().numpy())
    products[0, :, 3:] = -np.inf
    best = products.argmax(2)
    expected = np.stack([d.detach().numpy()[p, best[p]] for p in range(2)])
    assert np.allclose(q.grad.numpy(), expected, atol=1e-6) and not d.grad[0, 3:].any()
    network(batch, SCORES).scores.sum().backward()
    assert weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("save", "says"),
    [
        (lambda f: save_cross(f, labels=3), "gives 3 outputs of a text, and a ranker gives one score"),
        (lambda f: save_colbert(f, similarity="l2"), "declares the similarity l2"),
        (lambda f: save_colbert(f, query_token_id="[nowhere]"), r"has no token '\[nowhere\]', which marks a query"),
        (lambda f: save_pylate(f, dense=2), "has 2 layers on its tokens"),
        (lambda f: save_pylate(f, do_query_expansion=False), "reads queries without masks"),
    ],
)
def test_what_is_no_such_model_is_refused(tmp_path, save, says):
    with pytest.raises(RequestError, match=says):
        load_model(Place("x", "x", "", save(tmp_path)), Rank())


def test_weights_that_are_not_there_are_refused(cross, tmp_path):
    (tmp_path / "config.json").write_text((cross / "config.json").read_text())
    with pytest.raises(RequestError, match="no safetensors weights"):
        load_model(Place("x", "x", "", tmp_path), Rank())
    encoder = save_teacher(tmp_path / "encoder")
    assert load_model(Place("x", "x", "", encoder), Rank()).offers > {"embedding"}
    taught = load_model(Place("x", "x", "cross", encoder), Rank())
    assert taught.reads_together and taught.origin == "encoder"
    read = load_model(Place("x", "x", "mean", cross), Rank())
    assert not read.reads_together, "a pooling makes an encoder of it"


def test_what_decides_a_score_is_in_the_fingerprint(tmp_path):
    from bench.networks.fingerprints import fingerprint

    network = load_model(Place("x", "x", "", save_colbert(tmp_path)), Rank())
    first = fingerprint(network)
    network.reading = replace(network.reading, query_length=16)
    assert fingerprint(network) != first
