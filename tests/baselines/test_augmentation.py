"""Words replaced by a masked language model: a real one in small, and the rules that hold for any."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.baselines import _augmentation as augmentation
from bench.errors import RequestError
from bench.inputs import Words, single

WORDS = [
    "cat",
    "dog",
    "bird",
    "fish",
    "horse",
    "runs",
    "sleeps",
    "eats",
    "flies",
    "swims",
    "red",
    "blue",
    "green",
    "the",
    "a",
    "it",
    "is",
    "house",
    "tree",
    "river",
]
TEXTS = ["the red cat runs", "a dog eats 3 fish .", "it is"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from transformers import BertConfig, BertForMaskedLM, BertTokenizerFast

    folder = tmp_path_factory.mktemp("masked")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, "3", ".", "##s"]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        initializer_range=1.0,
    )  # fmt: skip
    BertForMaskedLM(config).save_pretrained(folder)
    BertTokenizerFast(vocab={w: n for n, w in enumerate(vocabulary)}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def words(folder):
    return augmentation.MaskedWords(folder)


def examples(inputs=TEXTS):
    return single(inputs, np.arange(len(inputs)))


def test_variants_differ_from_the_text_in_free_words_alone(folder):
    found = augmentation.augment(examples(), str(folder), 6, seed=0)
    by_label = {k: [t for t, label in zip(found.inputs, found.labels, strict=True) if label == k] for k in range(3)}
    assert by_label[2] == ["it is"]  # stop words stay
    for label in (0, 1):
        original, *new = by_label[label]
        assert original == TEXTS[label] and 1 <= len(new) <= 6 and len({*by_label[label]}) == len(by_label[label])
        for text in new:
            for old, word in zip(original.split(), text.split(), strict=True):
                assert word == old or (old not in ("the", "a", "3", ".") and word in WORDS)


def test_the_same_seed_gives_the_same_text_and_another_another(folder):
    once, again, other = (augmentation.augment(examples(), str(folder), 6, seed=s).inputs for s in (0, 0, 1))
    assert list(once) == list(again) != list(other)


def test_pairs_are_varied_one_text_at_a_time(folder):
    pairs = [("the red cat runs", "a blue bird flies")]
    found = augmentation.augment(examples(pairs), str(folder), 8, seed=0).inputs
    assert found[0] == pairs[0] and len(found) > 4
    for first, second in found[1:]:
        assert (first == pairs[0][0]) != (second == pairs[0][1])  # the other one is the original


def test_candidates_are_the_models_best_words_at_the_mask(words):
    parts = words.split("the red cat runs")
    (options,) = words.fill(parts, [2])
    batch = words.tokenizer("the red [MASK] runs", "the red cat runs", return_tensors="pt")
    logits = words.model(**batch).logits[0, 3]
    ranked = [words.tokenizer.convert_ids_to_tokens(int(i)) for i in logits.argsort(descending=True)]
    assert options == [w for w in ranked if w in WORDS and w != "cat"][:15]


def test_a_word_of_several_pieces_has_its_nearest_words(words):
    table = words.model.get_input_embeddings().weight.detach().numpy()
    ids = words.tokenizer.convert_tokens_to_ids(["cat", "##s"])
    mean = table[ids].mean(0)
    cosine = {
        w: table[i] @ mean / np.linalg.norm(table[i]) for w, i in words.tokenizer.get_vocab().items() if w in WORDS
    }
    assert words.near("cats") == sorted(cosine, key=cosine.get, reverse=True)[:15]
    options = words.candidates(["cats", "the"])
    assert options[0] == words.near("cats") and options[1] == []


def test_what_is_no_masked_language_model_is_refused(tmp_path):
    with pytest.raises(RequestError, match="needs the folder of a masked language model"):
        augmentation.augment(examples(), str(tmp_path / "none"), 2, 0)
    with pytest.raises(RequestError, match="holds no model"):
        augmentation.augment(examples(), str(tmp_path), 2, 0)
    with pytest.raises(RequestError, match="labelled texts"):
        augmentation.augment(single(Words([("a", "b")]), np.zeros(1)), "x", 2, 0)
