"""Models of transformers through our networks: the library's own similarities, and passes that read each side once."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from bench.errors import RequestError
from bench.inputs import Texts
from bench.kinds.match import Match
from bench.networks.inference import outputs
from bench.networks.pictured import load
from bench.networks.transformer import load_model
from tests.factories.matching import TEXTS, normalised, pairs, pixels, save

LOGITS = frozenset({"logits"})


def scored(network, given) -> torch.Tensor:
    """(3, 4) from one forward pass of all pairs, without anything computed before."""
    with torch.no_grad():
        found = network.eval()(network.encode(given).batch(np.arange(len(given))), LOGITS)
    return found.logits.reshape(3, 4)


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_towers_give_the_library_s_similarities(kind, tmp_path):
    model, tokenizer = save(kind, tmp_path)
    network = load_model(SimpleNamespace(path=tmp_path), Match(1))
    padding = {"padding": "max_length", "max_length": 24} if kind == "siglip" else {"padding": True}
    words = tokenizer(TEXTS, return_tensors="pt", **padding)
    if kind == "siglip":
        del words["attention_mask"]  # its own processor gives none
    words.pop("token_type_ids")
    with torch.no_grad():
        expected = model(pixel_values=normalised(pixels()), **words).logits_per_image
    assert expected.std() > 1e-3
    torch.testing.assert_close(scored(network, pairs()), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_a_pass_reads_each_side_once_and_gives_the_same(kind, tmp_path):
    save(kind, tmp_path)
    network = load(tmp_path, Match(1)).eval()
    seen = {"images": 0, "texts": 0}
    see, read = network.see, network.read
    network.see = lambda b: (seen.__setitem__("images", seen["images"] + len(b["pixels"])), see(b))[1]
    network.read = lambda b: (seen.__setitem__("texts", seen["texts"] + len(b["input_ids"])), read(b))[1]
    found = outputs(network, network.encode(pairs()), LOGITS)["logits"]
    assert seen == {"images": 3, "texts": 4}
    torch.testing.assert_close(torch.from_numpy(found).reshape(3, 4), scored(network, pairs()), atol=1e-5, rtol=1e-5)


def test_a_side_alone_gives_the_vector_of_an_index(tmp_path):
    save("clip", tmp_path)
    network = load(tmp_path, Match(1)).eval()
    with torch.no_grad():
        images = network(network.encode(pixels()).batch(np.arange(3)), frozenset({"embedding"})).embedding
        texts = network(network.encode(Texts(TEXTS)).batch(np.arange(4)), frozenset({"embedding"})).embedding
        expected = network.scale * images @ texts.T
    assert images.shape == (3, 12) == (3, network.index_width) and network.width == 24
    torch.testing.assert_close(scored(network, pairs()), expected, atol=1e-5, rtol=1e-5)


def test_sides_multiply_to_scores(tmp_path):
    save("siglip", tmp_path)
    network = load(tmp_path, Match(1)).eval()
    with torch.no_grad():
        found = network(network.encode(pairs()).batch(np.array([[0, 5], [7, 11]])), LOGITS)
    torch.testing.assert_close(found.sides.prod(1).sum(1, keepdim=True) + network.bias, found.logits)
    assert found.embedding.shape == (4, network.width)
    torch.testing.assert_close(found.embedding.norm(dim=1), torch.full((4,), 2**0.5))


def test_a_cross_encoder_gives_the_library_s_scores(tmp_path):
    """ViLT's library form shuffles patches with random numbers; ours draws none and gives the same."""
    model, tokenizer = save("vilt", tmp_path)
    network = load(tmp_path, Match(1)).eval()
    found, state = scored(network, pairs()), torch.random.get_rng_state()
    scored(network, pairs())
    assert torch.equal(state, torch.random.get_rng_state())
    words = tokenizer(TEXTS * 3, return_tensors="pt", padding=True)
    with torch.no_grad():
        expected = model(pixel_values=normalised(pixels()).repeat_interleave(4, 0), **words).logits
    assert expected.std() > 1e-3
    torch.testing.assert_close(found.flatten(), expected.flatten(), atol=1e-5, rtol=1e-5)


def test_images_of_another_size_are_resized(tmp_path):
    model, tokenizer = save("clip", tmp_path)
    network, large = load(tmp_path, Match(1)), pairs(side=32)
    shrunk = torch.nn.functional.interpolate(normalised(large.images), 16, mode="bicubic", antialias=True)
    words = tokenizer(TEXTS, return_tensors="pt", padding=True)
    words.pop("token_type_ids")
    with torch.no_grad():
        expected = model(pixel_values=shrunk, **words).logits_per_image
    torch.testing.assert_close(scored(network, large), expected, atol=1e-5, rtol=1e-5)


def test_what_does_not_compare_is_refused(tmp_path):
    BertModel(BertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=1)).save_pretrained(
        tmp_path
    )
    with pytest.raises(RequestError, match="does not compare images with texts"):
        load(tmp_path, Match(1))
    save("clip", tmp_path / "clip")
    (tmp_path / "clip/preprocessor_config.json").unlink()
    with pytest.raises(RequestError, match=r"no preprocessor_config\.json"):
        load(tmp_path / "clip", Match(1))


def test_a_processor_s_own_file_is_read_too(tmp_path):
    save("clip", tmp_path)
    old = tmp_path / "preprocessor_config.json"
    (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": json.loads(old.read_text())}))
    old.unlink()
    assert load(tmp_path, Match(1)).mean.tolist() == pytest.approx([0.4, 0.5, 0.6])


def test_a_two_stream_model_gives_the_difference_of_its_logits(tmp_path):
    """BridgeTower, whose head has the classes no match and match."""
    model, tokenizer = save("bridgetower", tmp_path)
    network = load(tmp_path, Match(1))
    words = tokenizer(TEXTS * 3, return_tensors="pt", padding=True)
    words.pop("token_type_ids")
    with torch.no_grad():
        expected = model(pixel_values=normalised(pixels()).repeat_interleave(4, 0), **words).logits
    assert expected.shape == (12, 2) and network.index_width == 0
    torch.testing.assert_close(
        scored(network, pairs()).flatten(), expected[:, 1] - expected[:, 0], atol=1e-5, rtol=1e-4
    )
