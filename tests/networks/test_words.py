"""Sentences that are cut into words: where each word's first piece stands, for both ways of reading them."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from bench.inputs import Texts, Words
from bench.networks.transformer import tokenise
from bench.networks.words import Tokens
from tests.factories.zoo import tokenizer_of

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "cat", "##s", "sat", "."]
SENTENCES = Words([("the", "cats", "sat", "."), ("sat",), ("the", "", "cats.", "the")])


def word_pieces() -> Tokenizer:
    fast = Tokenizer(models.WordPiece({word: n for n, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    fast.normalizer, fast.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    fast.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return fast


@pytest.mark.parametrize(
    ("limit", "places"),
    [
        (9, [[0, 1, 3, 4], [0, -1, -1, -1], [0, 1, 1, 4]]),  # a word without a piece stands where the next one does
        (3, [[0, 1, -1], [0, -1, -1], [0, 1, 1]]),
    ],
)
def test_students_that_read_words(limit, places):
    found = Tokens(word_pieces(), 0, 1).read(SENTENCES, limit).batch(np.arange(3))
    assert found["words"].tolist() == places
    assert found["input_ids"][0].tolist() == [4, 5, 6, 7, 8][:limit]


@pytest.mark.parametrize(
    ("limit", "places"),
    [(9, [[1, 2, 4, 5], [1, -1, -1, -1], [1, 2, 2, 5]]), (5, [[1, 2, -1], [1, -1, -1], [1, 2, 2]])],
)
def test_transformers(limit, places):
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=word_pieces(), **names)
    assert tokenise(tokenizer, SENTENCES, limit).batch(np.arange(3))["words"].tolist() == places


@pytest.mark.parametrize("read", [lambda t: partial(tokenise, t), lambda t: Tokens(t.backend_tokenizer, 1, 3, t).read])
def test_a_reader_of_bytes_reads_words_as_they_stand_in_a_text(read):
    """Without the spaces `the cat` were one word; the words' first pieces are the spaces before them."""
    words, rows = ("the", "cat", "sat", "."), np.arange(1)
    tokenizer = tokenizer_of(bare=True)
    found, plain = (read(tokenizer)(given, 64).batch(rows) for given in (Words([words]), Texts([" ".join(words)])))
    assert found["input_ids"].tolist() == plain["input_ids"].tolist()
    assert found["words"].tolist() == [[0, 3, 7, 11]]
