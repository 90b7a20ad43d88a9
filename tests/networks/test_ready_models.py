"""Models of transformers that make sequences, from a folder: what they say is what the library says of them."""

from __future__ import annotations

import json
from pathlib import Path
from string import ascii_uppercase

import numpy as np
import pytest
import torch

from bench.data.audio import Waves
from bench.errors import RequestError
from bench.kinds.ctc import Ctc
from bench.networks import recognisers, translators
from tests.students.test_recognisers import built, sentences

LETTERS = ("", " ", "'", *ascii_uppercase.lower())
WANT = frozenset({"logits"})


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Wav2Vec2ForCTC with the alphabet of wav2vec2-base-960h."""
    from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

    folder = tmp_path_factory.mktemp("listener")
    names = ["<pad>", "<s>", "</s>", "<unk>", "|", *ascii_uppercase, "'"]
    torch.manual_seed(0)
    config = Wav2Vec2Config(
        vocab_size=len(names), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        conv_dim=(8, 8), conv_stride=(5, 4), conv_kernel=(10, 3), num_feat_extract_layers=2, feat_extract_norm="layer",
        num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2, pad_token_id=0,
    )  # fmt: skip
    Wav2Vec2ForCTC(config).save_pretrained(folder)
    hears = {"sampling_rate": 16_000, "do_normalize": True, "return_attention_mask": True}
    (folder / "preprocessor_config.json").write_text(json.dumps(hears))
    (folder / "vocab.json").write_text(json.dumps({name: n for n, name in enumerate(names)}))
    return folder


@torch.no_grad()
def test_a_listener_says_what_the_library_says(listener: Path) -> None:
    from transformers import Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

    rng = np.random.default_rng(0)
    waves = [rng.integers(-9000, 9000, n).astype(np.int16) for n in (3000, 1200)]
    network = recognisers.load(listener, Ctc(len(LETTERS), LETTERS)).eval()
    encoded = network.encode(Waves.of(waves, 16_000))
    found = network(encoded.batch(np.arange(2)), WANT)
    extract = Wav2Vec2FeatureExtractor(sampling_rate=16_000, return_attention_mask=True)
    given = extract([w / 2**15 for w in waves], sampling_rate=16_000, padding=True, return_tensors="pt")
    theirs = Wav2Vec2ForCTC.from_pretrained(listener).eval()(**given).logits
    columns = [0, 4, 31, *range(5, 31)]
    for row, length in enumerate(encoded.axes["L"]):
        expected = theirs[row, :length, columns]
        torch.testing.assert_close(found.logits[row, :length], expected, atol=1e-4, rtol=1e-4)
        assert int(found.mask[row].sum()) == length


def test_an_alphabet_that_lacks_a_letter_is_refused(listener: Path) -> None:
    with pytest.raises(RequestError, match="does not know '7 '"):
        recognisers.load(listener, Ctc(2, ("", "7 ")))
    with pytest.raises(RequestError, match="cannot load a CTC model"):
        recognisers.load(listener.parent, Ctc(len(LETTERS), LETTERS))


@torch.no_grad()
def test_a_translator_comes_back_from_its_folder(tmp_path: Path) -> None:
    task = sentences()
    network = built("seq2seq", "16x1", task)
    network.model.save_pretrained(tmp_path)
    network.tokenizer.save_pretrained(tmp_path)
    loaded = translators.load(tmp_path, task.goal).eval()
    batches = [n.encode_told(task.data.inputs, task.data.labels).batch(np.arange(4)) for n in (network, loaded)]
    assert all(torch.equal(batches[0][name], batches[1][name]) for name in batches[0])
    torch.testing.assert_close(network(batches[0], WANT).logits, loaded(batches[1], WANT).logits)
    own, theirs = (n(n.encode(task.data.inputs).batch(np.arange(4)), WANT).generated for n in (network, loaded))
    assert torch.equal(own, theirs)
    with pytest.raises(RequestError, match="cannot load a sequence-to-sequence model"):
        translators.load(tmp_path / "nothing", task.goal)
