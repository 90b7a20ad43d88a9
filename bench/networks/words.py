"""What students that read words share: a tokenizer, a table of word vectors, and the network around their body."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor, nn

from bench.data.tokens import Lists, TokenArrays, first_pieces, spaced, tokens
from bench.data.vectors import WordVectors
from bench.errors import RequestError, unknown
from bench.inputs import Texts, texts
from bench.kind import Kind
from bench.network import Network
from bench.networks.word_tables import file_vectors, teacher_vectors
from bench.optimiser import Optimiser
from bench.signals import Signals
from bench.student import Known, Outline, Student
from bench.task import Task, later

PAD, UNK = "[PAD]", "[UNK]"
STATES = frozenset({"states", "pieces"})  # of every token, as kinds call them
SPREAD = 0.25  # U(-0.25, 0.25): the variance of word2vec vectors; Kim (2014), yoonkim/CNN_sentence process_data.py


@dataclass(frozen=True)
class WordSettings(Student.Settings):
    """Settings of all students that read words."""

    tokens: str = "words"  # words of the training text | teacher: its word pieces. Our choice
    vocabulary: int = 30_000  # most frequent words kept, when tokens=words. Our choice, near BERT's 30,522 pieces
    # random | teacher: start from its table of word pieces | FILE: from word vectors, a word and its numbers a line
    # (fastText's .vec); words that it lacks start at random. Our choice
    embeddings: str = "random"
    frozen: bool = later(False)  # whether these vectors stay as they are; those of words that the file lacks too
    dropout: float = 0.1  # on word vectors, in training. Our choice
    max_length: int = 256  # tokens read of an input; a guard against a stray document. Our choice

    def __post_init__(self) -> None:
        for name, known in (("tokens", ("words", "teacher")), ("embeddings", ("random", "teacher"))):
            if getattr(self, name) not in known and not (name == "embeddings" and self.vectors):
                raise unknown(name, str(getattr(self, name)), known)
        if self.embeddings == "teacher" and self.tokens != "teacher":
            raise RequestError("embeddings=teacher has vectors for the teacher's tokens only: set tokens=teacher too")
        if self.vectors and self.tokens != "words":
            raise RequestError(f"{self.vectors} has vectors of words, not of word pieces: leave tokens=words")
        if self.frozen and self.embeddings == "random":
            raise RequestError("frozen=true keeps the vectors that a student starts with: name some with embeddings")
        for name in ("vocabulary", "max_length", "word_width"):  # the last: of families whose size is something else
            if getattr(self, name, 1) < 1:
                raise RequestError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise RequestError(f"dropout must be at least 0 and below 1, not {self.dropout}")

    @property
    def vectors(self) -> str:
        """The file of word vectors to start from; empty: none."""
        return self.embeddings if Path(self.embeddings).suffix else ""


class WordStudent(Student):
    """A family of readers of words. Words of the training text, or pieces of the teacher, change the table alone."""

    settings: WordSettings

    def initial(self, task: Task) -> str:
        return WordVectors(self.settings.vectors).digest if self.settings.vectors else ""

    def outlines(self, size: str, known: Known) -> Iterator[Outline]:
        own, settings = self.settings, replace(self.settings, tokens="words", embeddings="random", frozen=False)
        for columns in (1, 2):  # texts, and pairs of them
            network: Any = type(self)(settings).build(size, known.reading(Texts(*[[""]] * columns)), None)
            yield Outline(network, network.body.word_width, own.vocabulary + 2 if own.tokens == "words" else None)


@dataclass(frozen=True)
class Tokens:
    """A tokenizer, and the ids that stand for padding and for what it does not know."""

    tokenizer: Tokenizer
    pad: int
    unk: int
    lent: Any = None  # the teacher's tokenizer, whose pieces they are

    @property
    def size(self) -> int:
        """Rows that a table of vectors needs; ids may have gaps."""
        return max(self.tokenizer.get_vocab().values()) + 1

    @property
    def sep(self) -> int:
        """What stands between two texts that are read as one: the unknown word where there is nothing better."""
        known = getattr(self.lent, "sep_token_id", None)
        return self.unk if known is None else int(known)

    def read(self, inputs: Texts, max_length: int) -> TokenArrays:
        """Token ids without special tokens: to a reader of words they are the same constant in every input.

        An empty input reads as one unknown word, so that no pooling divides by 0.
        """

        def chunk(part: Texts, most: int) -> dict[str, Lists]:
            (column,) = part.columns
            # the fast way does not note which word a piece is of
            encode = self.tokenizer.encode_batch if part.split else self.tokenizer.encode_batch_fast
            given = spaced(column) if part.split else list(column)
            encodings = encode(given, add_special_tokens=False, is_pretokenized=part.split)
            found: dict[str, Lists] = {"ids": [e.ids[:most] or [self.unk] for e in encodings]}
            return found | ({"starts": starts(encodings, column, most)} if part.split else {})

        return tokens(chunk, inputs, self.pad, self.rules, max_length)

    def rules(self) -> str:
        """All that it goes by; whether special tokens are text like any other is a switch that to_str leaves out."""
        return f"{self.tokenizer.to_str()} {self.unk} {self.tokenizer.encode_special_tokens}"

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
    pools = [texts(task.examples(name).inputs) for name in task.training_sets]
    lines = (" ".join(text) if p.split else text for p in pools for column in p.columns for text in column)
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer.encode_special_tokens = True  # "[PAD]" in an input is text like any other
    return Tokens(tokenizer, pad=0, unk=1)


def teacher_tokens(teacher: Network | None) -> Tokens:
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
    return Tokens(tokenizer, lent.pad_token_id, lent.unk_token_id, lent)


class Body(nn.Module):
    """What differs between the families: word vectors (B, L, W), mask (B, L) bool -> embedding (B, D).

    Vectors of padding arrive as 0; the body sees to it that padding changes nothing. One that makes a state of every
    token says how wide it is, and gives `states` and `pool` in the place of `forward`.
    """

    word_width: int  # W
    width: int  # D
    state_width: int = 0  # S; 0: there are no states
    is_mean: bool = False  # nothing but the mean of the word vectors, for which other libraries have a module
    sides: int = 4  # widths of a compared pair
    joint: bool = False  # whether a pair is one text, with a separator between the two
    no_graph: str = ""  # why no graph of fixed operations computes this; empty: one does

    def states(self, words: Tensor, mask: Tensor) -> Tensor:
        """(B, L, S)"""
        raise TypeError(f"{type(self).__name__} makes no states")

    def pool(self, states: Tensor, mask: Tensor) -> Tensor:
        """States -> embedding."""
        raise TypeError(f"{type(self).__name__} makes no states")

    def forward(self, words: Tensor, mask: Tensor) -> Tensor:
        return self.pool(self.states(words, mask), mask)

    def both(self, words: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding and states."""
        states = self.states(words, mask)
        return self.pool(states, mask), states

    def compare(self, one: Tensor, other: Tensor) -> Tensor:
        """The embeddings of a pair of texts, (B, D) each -> (B, sides D); Tang et al. 2019, arXiv:1903.12136, after
        Conneau et al. 2017."""
        return torch.cat([one, other, (one - other).abs(), one * other], 1)

    def head(self, goal: Kind, width: int) -> nn.Module | None:
        """From features (..., width) to the kind's outputs; none where features are judged as they are."""
        return goal.head(width)

    def start(self, table: Tensor) -> None:
        """Give the word vectors (V, W) their first values."""
        table.uniform_(-SPREAD, SPREAD)


class WordNetwork(Network):
    """token ids (B, L) -> word vectors (B, L, W), dropout -> body -> embedding (B, D), and states where asked for."""

    optimiser = Optimiser(lr=1e-3, weight_decay=0.0)  # Adam's own default (Kingma & Ba 2015); our choice

    def __init__(self, body: Body, settings: WordSettings, task: Task, teacher: Network | None) -> None:
        super().__init__()
        self.goal = task.goal
        self.tokens = (
            teacher_tokens(teacher) if settings.tokens == "teacher" else task_tokens(task, settings.vocabulary)
        )
        self.max_length = settings.max_length
        self.table = nn.Embedding(self.tokens.size, body.word_width, padding_idx=self.tokens.pad)
        self.dropout = nn.Dropout(settings.dropout)
        self.body = body
        self.joint = body.joint and paired(task)
        self.pairs = bool(self.goal.outputs) and paired(task) and not self.joint  # two texts, each read on its own
        self.width = body.width * (body.sides if self.pairs else 1)
        self.classify = self._head()
        self.offers = frozenset({"embedding", self.goal.output} | (STATES if body.state_width else set()))
        self._start(settings, teacher)
        self.table.requires_grad_(not settings.frozen)

    def _head(self) -> nn.Module | None:
        """Of a masked language model over the vocabulary, its own weights. RequestError: it is not the teacher's."""
        if self.goal.feature != "pieces":
            return self.body.head(self.goal, self.body.state_width if self.goal.feature == "states" else self.width)
        if self.tokens.lent is None:
            raise RequestError("words of the training text have no mask: a masked language model asks tokens=teacher")
        return nn.Linear(self.body.state_width, self.tokens.size)

    @torch.no_grad()
    def _start(self, settings: WordSettings, teacher: Network | None) -> None:
        if settings.embeddings == "teacher":
            self.origin = "teacher word embeddings"
            self.table.weight.copy_(teacher_vectors(teacher, *self.table.weight.shape))
            return
        self.body.start(self.table.weight)
        if settings.vectors:
            found = file_vectors(settings.vectors, self.tokens.tokenizer.get_vocab(), self.body.word_width)
            self.table.weight[list(found)] = torch.from_numpy(np.stack([*found.values()]))
            self.origin = f"word vectors of {len(found)} of {self.tokens.size} words"

    def encode(self, inputs: Sequence[Any], max_length: int | None = None) -> TokenArrays | PairArrays:
        limit, given = min(max_length or self.max_length, self.max_length), texts(inputs)
        if self.goal.feature == "pieces":  # those that the teacher reads between its special ones
            limit = max(1, limit - self.tokens.lent.num_special_tokens_to_add())
            plain = lambda: self.tokens.read(given, limit)  # noqa: E731
            found: TokenArrays = self.goal.read(self.tokens.lent, lambda: "", given, limit, plain)
            return found
        parts = [self.tokens.read(column, limit) for column in given.apart()]
        if len(parts) > 1 and self.joint:
            return joined(parts[0], parts[1], self.tokens.sep)
        return PairArrays(*parts) if len(parts) > 1 else parts[0]

    def forward(self, batch: dict[str, Tensor], want: frozenset[str]) -> Signals:
        found = self._read(batch["input_ids"], batch["attention_mask"], want)
        if "second_ids" in batch:
            other = self._read(batch["second_ids"], batch["second_mask"], want).embedding
            found["embedding"] = self.body.compare(found.embedding, other)
        return self.goal.complete(found, self.classify, batch)

    def _read(self, ids: Tensor, mask: Tensor, want: frozenset[str]) -> Signals:
        words, real = self.dropout(self.table(ids)) * mask[..., None], mask.bool()
        if not (want | {self.goal.feature}) & STATES:
            return Signals(embedding=self.body(words, real), mask=mask)
        embedding, states = self.body.both(words, real)
        return Signals(embedding=embedding, states=states, pieces=states, mask=mask)


class PairArrays:
    """Pairs of texts, each read on its own: a reader of words compares what it made of both."""

    def __init__(self, first: TokenArrays, second: TokenArrays) -> None:
        self.first, self.second = first, second
        self.lengths = first.lengths + second.lengths
        self.axes: dict[str, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.lengths)

    def batch(self, rows: np.ndarray) -> dict[str, Tensor]:
        """As of single texts, and `second_ids` and `second_mask` (B, L2)."""
        second = self.second.batch(rows)
        ids, mask = second["input_ids"], second["attention_mask"]
        return self.first.batch(rows) | {"second_ids": ids, "second_mask": mask}


def joined(first: TokenArrays, second: TokenArrays, between: int) -> TokenArrays:
    """Both texts of each pair as one."""
    pairs = zip(first.ids, second.ids, strict=True)
    return TokenArrays.of([[*one.tolist(), between, *other.tolist()] for one, other in pairs], first.pad)


def paired(task: Task) -> bool:
    """Whether an input is two texts."""
    return len(texts(task.examples(task.training_sets[-1]).inputs).columns) > 1


def starts(encodings: Sequence[Any], sentences: Sequence[Sequence[str]], limit: int) -> list[list[int]]:
    """Where the first piece of each word stands in what was read, as far as that reaches."""
    return [first_pieces(e.word_ids[:limit], len(words)) for e, words in zip(encodings, sentences, strict=True)]


def max_over_time(x: Tensor, mask: Tensor) -> Tensor:
    """(B, L, D), (B, L) bool -> (B, D): the largest value of each feature where the mask holds."""
    return x.masked_fill(~mask[..., None], -torch.inf).amax(1)


def turned(x: Tensor, mask: Tensor) -> Tensor:
    """(B, L, D), (B, L) bool -> (B, L, D): the real tokens of each row in reverse order, padding where it was."""
    length, at = mask.sum(1, keepdim=True), torch.arange(x.shape[1], device=x.device)[None]
    source = torch.where(at < length, length - 1 - at, at)
    return x.gather(1, source[..., None].expand(-1, -1, x.shape[2]))


def checked(size: str, pattern: str, student: type[Student]) -> str:
    """The size, if it fits the family's pattern. RequestError: it does not; says the grammar."""
    if not re.fullmatch(pattern, size):
        family = student.__module__.rpartition(".")[2]
        raise RequestError(
            f"'{size}' is not a size of {family}: write {family}:{student.sizes}, such as {family}:{student.default}"
        )
    return size
