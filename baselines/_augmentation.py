"""More text from text: words replaced by what a masked language model puts in their place.

TinyBERT's data augmentation (Jiao et al. 2020, algorithm 1). A word that is one piece of the model's vocabulary is
masked, the original text appended as the second segment, and the model's best M pieces are its candidates; of another
word they are the M words of the vocabulary whose input vectors lie nearest by cosine, where the paper has GloVe. Stop
words and words with anything but a-z stay. A variant replaces each word with probability p. In pairs the first text
is varied with the second as it is, then the second with the first as it is: the official code leaves its last variant
of the first in place there, which is taken for a mistake.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.errors import RequestError
from bench.inputs import Examples, Texts, pool, single
from bench.networks import places

REPLACED = 0.4  # p of the paper
CANDIDATES = 15  # M
BATCH = 64  # masked texts in one forward pass
PLAIN = re.compile("[a-z]+")


def augment(examples: Examples, model: str, copies: int, seed: int) -> Examples:
    """The examples and up to `copies` different variants of each text, labels copied; the same for the same seed.

    RequestError: `model` is no folder of a masked language model in safetensors, or the examples are no texts.
    """
    texts = pool(examples.inputs)
    if examples.labels is None or not isinstance(texts, Texts) or texts.split:
        raise RequestError("augmentation replaces words: it needs labelled texts, each with one label")
    words, rng = MaskedWords(Path(model)), np.random.default_rng((seed, 3))
    rows, labels = [], []
    for row, label in zip(zip(*texts.columns, strict=True), examples.labels, strict=True):
        new = [row, *variants_of(row, lambda t: vary(t, words, copies, rng))]
        rows += new
        labels += [label] * len(new)
    return single(Texts(*map(list, zip(*rows, strict=True))), np.array(labels, examples.labels.dtype))


def variants_of(row: tuple[str, ...], varied: Callable[[str], list[str]]) -> Iterator[tuple[str, ...]]:
    """Variants of each column's text in turn, the others as they are."""
    for column, text in enumerate(row):
        yield from ((*row[:column], new, *row[column + 1 :]) for new in varied(text))


def vary(text: str, words: MaskedWords, copies: int, rng: np.random.Generator) -> list[str]:
    """Up to `copies` different variants, none of them the text itself."""
    parts = words.split(text)
    options = words.candidates(parts)
    found: dict[str, None] = {}  # in the order in which they came
    for _ in range(copies):
        chosen = [
            o[rng.integers(len(o))] if o and rng.random() < REPLACED else part
            for part, o in zip(parts, options, strict=True)
        ]
        if chosen != parts:
            found[" ".join(chosen)] = None
    return list(found)


class MaskedWords:
    """A masked language model that names candidates for the words of a text."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModelForMaskedLM, AutoTokenizer
        from transformers.utils import logging

        if not folder.is_dir():
            raise RequestError(f"augmentation needs the folder of a masked language model; {folder} is none")
        places.check(folder)
        logging.disable_progress_bar()
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            self.model = AutoModelForMaskedLM.from_pretrained(
                folder, use_safetensors=True, local_files_only=True, trust_remote_code=False
            )
        except Exception as error:  # a broken folder fails in many ways inside the libraries
            raise RequestError(f"cannot load a masked language model from {folder}: {str(error)[:200]}") from error
        if self.tokenizer.mask_token_id is None:
            raise RequestError(f"the tokenizer of {folder} has no mask token")
        self.model.eval()
        self.known: dict[str, list[str]] = {}

    def split(self, text: str) -> list[str]:
        """Words and punctuation, as the model's tokenizer cuts them before pieces."""
        backend = self.tokenizer.backend_tokenizer
        normal = backend.normalizer.normalize_str(text) if backend.normalizer else text
        return [word for word, _ in backend.pre_tokenizer.pre_tokenize_str(normal)]

    def candidates(self, words: Sequence[str]) -> list[list[str]]:
        """For each word what may stand in its place; nothing where it has to stay."""
        from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

        free = [i for i, w in enumerate(words) if PLAIN.fullmatch(w) and w not in ENGLISH_STOP_WORDS]
        whole = [i for i in free if len(self.tokenizer.tokenize(words[i])) == 1]
        found: list[list[str]] = [[] for _ in words]
        for i, options in zip(whole, self.fill(words, whole), strict=True):
            found[i] = options
        for i in set(free) - set(whole):
            found[i] = self.near(words[i])
        return found

    @torch.no_grad()
    def fill(self, words: Sequence[str], masked: Sequence[int]) -> list[list[str]]:
        """The model's best pieces at each masked word."""
        mask, text, found = self.tokenizer.mask_token, " ".join(words), []
        for start in range(0, len(masked), BATCH):
            part = masked[start : start + BATCH]
            firsts = [" ".join(mask if k == i else w for k, w in enumerate(words)) for i in part]
            batch = self.tokenizer(
                firsts, [text] * len(part), padding=True, truncation="only_second", return_tensors="pt",
                max_length=min(self.tokenizer.model_max_length, self.model.config.max_position_embeddings),
            )  # fmt: skip
            at = (batch["input_ids"] == self.tokenizer.mask_token_id).int().argmax(1)
            logits = self.model(**batch).logits[torch.arange(len(part)), at]
            found += [self.named(row, words[i]) for row, i in zip(logits, part, strict=True)]
        return found

    def near(self, word: str) -> list[str]:
        """The vocabulary's words whose vectors lie nearest to the mean of this word's pieces."""
        if word not in self.known:
            table = self.model.get_input_embeddings().weight.detach()
            pieces = self.tokenizer.convert_tokens_to_ids(self.tokenizer.tokenize(word))
            self.known[word] = self.named(F.cosine_similarity(table[pieces].mean(0)[None], table), word)
        return self.known[word]

    def named(self, scores: Tensor, word: str) -> list[str]:
        """The M best words by these scores over the vocabulary (V,), the word itself not among them."""
        scores = scores[: len(self.plain)].masked_fill(~self.plain, -torch.inf)
        best = self.tokenizer.convert_ids_to_tokens(scores.topk(min(CANDIDATES + 1, len(scores))).indices.tolist())
        return [b for b in best if b != word and PLAIN.fullmatch(b)][:CANDIDATES]

    @cached_property
    def plain(self) -> Tensor:
        """(V,) whether an entry of the vocabulary is a word: no inner piece, no special token, a-z alone."""
        tokens = self.tokenizer.convert_ids_to_tokens(list(range(len(self.tokenizer))))
        return torch.tensor([bool(PLAIN.fullmatch(t)) for t in tokens])
