"""What students that read words share: a tokenizer, a table of word vectors, and the network around their body."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor, nn

from bench.errors import RequestError, unknown
from bench.inputs import TokenArrays
from bench.network import Network
from bench.signals import Signals
from bench.student import Student
from bench.task import Task

PAD, UNK = "[PAD]", "[UNK]"
SPREAD = 0.25  # U(-0.25, 0.25): the variance of word2vec vectors; Kim (2014), yoonkim/CNN_sentence process_data.py


@dataclass(frozen=True)
class WordSettings(Student.Settings):
    """Settings of all students that read words."""

    tokens: str = "words"  # words of the training text | teacher: its word pieces. Our choice
    vocabulary: int = 30_000  # most frequent words kept, when tokens=words. Our choice, near BERT's 30,522 pieces
    embeddings: str = "random"  # random | teacher: start from its table of word pieces. Our choice
    dropout: float = 0.1  # on word vectors, in training. Our choice
    max_length: int = 256  # tokens read of an input; a guard against a stray document. Our choice

    def __post_init__(self) -> None:
        for name, known in (("tokens", ("words", "teacher")), ("embeddings", ("random", "teacher"))):
            if getattr(self, name) not in known:
                raise unknown(name, str(getattr(self, name)), known)
        if self.embeddings == "teacher" and self.tokens != "teacher":
            raise RequestError("embeddings=teacher has vectors for the teacher's tokens only: set tokens=teacher too")
        for name in ("vocabulary", "max_length", "word_width"):  # the last: of families whose size is something else
            if getattr(self, name, 1) < 1:
                raise RequestError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise RequestError(f"dropout must be at least 0 and below 1, not {self.dropout}")


@dataclass(frozen=True)
class Tokens:
    """A tokenizer, and the ids that stand for padding and for what it does not know."""

    tokenizer: Tokenizer
    pad: int
    unk: int

    @property
    def size(self) -> int:
        """Rows that a table of vectors needs; ids may have gaps."""
        return max(self.tokenizer.get_vocab().values()) + 1

    def read(self, texts: Sequence[str], max_length: int) -> TokenArrays:
        """Token ids without special tokens: to a reader of words they are the same constant in every input.

        An empty input reads as one unknown word, so that no pooling divides by 0.
        """
        encodings = self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return TokenArrays([e.ids[:max_length] or [self.unk] for e in encodings], self.pad)

    def portable(self, max_length: int) -> Tokenizer:
        """A copy whose tokenizer.json reads as `read` does, but for the empty input, which has no token there.

        That what looks like a special token is text like any other is a switch that the file cannot keep: so the copy
        knows no special tokens.
        """
        rules = json.loads(self.tokenizer.to_str())
        rules["added_tokens"] = [t for t in rules["added_tokens"] if not t["special"]]
        rules["post_processor"] = None
        tokenizer = Tokenizer.from_str(json.dumps(rules))
        tokenizer.enable_truncation(max_length)
        return tokenizer


def task_tokens(task: Task, vocabulary: int) -> Tokens:
    """The most frequent words of the training text, lower-cased; equal counts in the order of the alphabet."""
    tokenizer = Tokenizer(models.WordLevel(unk_token=UNK))
    # Accents stay: in most languages they make another word.
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = [PAD, UNK]  # first, hence ids 0 and 1
    trainer = trainers.WordLevelTrainer(vocab_size=vocabulary + 2, special_tokens=special, show_progress=False)
    texts = chain.from_iterable(task.examples(purpose).inputs for purpose in ("distil", "supervised"))
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.encode_special_tokens = True  # "[PAD]" in an input is text like any other
    return Tokens(tokenizer, pad=0, unk=1)


def teacher_tokens(teacher: Network) -> Tokens:
    """The teacher's own tokenizer, copied: padding and truncation are state of the original."""
    lent: Any = getattr(teacher, "tokenizer", None)
    fast = getattr(lent, "backend_tokenizer", None)
    if not isinstance(fast, Tokenizer):
        raise RequestError("this teacher has no fast tokenizer to lend: use tokens=words")
    if lent.pad_token_id is None or lent.unk_token_id is None:
        raise RequestError("this teacher's tokenizer has no padding or no unknown token: use tokens=words")
    tokenizer = Tokenizer.from_str(fast.to_str())
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = True
    return Tokens(tokenizer, lent.pad_token_id, lent.unk_token_id)


def teacher_vectors(teacher: Network, size: int, width: int) -> Tensor:
    """(size, width) the teacher's word-piece vectors, as they are before positions and normalisation."""
    table = getattr(teacher, "word_embeddings", None)
    if not isinstance(table, nn.Embedding) or table.num_embeddings < size:
        raise RequestError("this teacher has no table of vectors for its tokens: use embeddings=random")
    if table.embedding_dim != width:
        raise RequestError(
            f"embeddings=teacher copies word vectors of width {table.embedding_dim} and this student's are {width} "
            f"wide: make them {table.embedding_dim} wide or use embeddings=random"
        )
    return table.weight.detach()[:size]  # models may pad their table beyond the vocabulary


class Body(nn.Module):
    """What differs between the families: word vectors (B, L, W), mask (B, L) bool -> embedding (B, D).

    Vectors of padding arrive as 0; the body sees to it that padding changes nothing.
    """

    word_width: int  # W
    width: int  # D
    is_mean: bool = False  # nothing but the mean of the word vectors, for which other libraries have a module


class WordNetwork(Network):
    """token ids (B, L) -> word vectors (B, L, W), dropout -> body -> embedding (B, D)."""

    offers = frozenset({"embedding"})

    def __init__(self, body: Body, settings: WordSettings, task: Task, teacher: Network) -> None:
        super().__init__()
        self.tokens = (
            teacher_tokens(teacher) if settings.tokens == "teacher" else task_tokens(task, settings.vocabulary)
        )
        self.max_length, self.width = settings.max_length, body.width
        self.table = nn.Embedding(self.tokens.size, body.word_width, padding_idx=self.tokens.pad)
        self.dropout = nn.Dropout(settings.dropout)
        self.body = body
        if settings.embeddings == "teacher":
            self.origin = "teacher word embeddings"
        self._start(teacher)

    @torch.no_grad()
    def _start(self, teacher: Network) -> None:
        if self.origin == "random":
            self.table.weight.uniform_(-SPREAD, SPREAD)
        else:
            self.table.weight.copy_(teacher_vectors(teacher, *self.table.weight.shape))

    def encode(self, inputs: Sequence[str], max_length: int | None = None) -> TokenArrays:
        return self.tokens.read(inputs, min(max_length or self.max_length, self.max_length))

    def forward(self, batch: dict[str, Tensor], want: frozenset[str]) -> Signals:
        mask = batch["attention_mask"].bool()
        words = self.dropout(self.table(batch["input_ids"])) * mask[..., None]
        return Signals(embedding=self.body(words, mask), mask=batch["attention_mask"])


def max_over_time(x: Tensor, mask: Tensor) -> Tensor:
    """(B, L, D), (B, L) bool -> (B, D): the largest value of each feature where the mask holds."""
    return x.masked_fill(~mask[..., None], -torch.inf).amax(1)


def checked(size: str, pattern: str, student: type[Student]) -> str:
    """The size, if it fits the family's pattern. RequestError: it does not; says the grammar."""
    if not re.fullmatch(pattern, size):
        family = student.__module__.rpartition(".")[2]
        raise RequestError(
            f"'{size}' is not a size of {family}: write {family}:{student.sizes}, such as {family}:{student.default}"
        )
    return size
