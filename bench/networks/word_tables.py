"""What a table of word vectors starts from: the teacher's word pieces, or a file of vectors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor, nn

from bench.data.vectors import WordVectors
from bench.errors import RequestError
from bench.network import Network


def teacher_vectors(teacher: Network | None, size: int, width: int) -> Tensor:
    """(size, width) the teacher's word-piece vectors, as they are before positions and normalisation."""
    table = getattr(teacher, "word_embeddings", None)
    if not isinstance(table, nn.Embedding) or table.num_embeddings < size:
        raise RequestError("this teacher has no table of vectors for its tokens: use embeddings=random")
    if table.embedding_dim != width:
        raise of_another_width("embeddings=teacher copies", table.embedding_dim, width)
    return table.weight.detach()[:size]  # models may pad their table beyond the vocabulary


def file_vectors(path: str, words: Mapping[str, int], width: int) -> dict[int, np.ndarray]:
    """{id: vector (W,)} of the words that the file knows. RequestError: none, or its vectors are not as wide."""
    vectors = WordVectors(path)
    if vectors.width != width:
        raise of_another_width(f"{path} has", vectors.width, width)
    found = {words[word]: vector for word, vector in vectors.of(words).items()}
    if not found:
        raise RequestError(f"{path} has a vector of none of the {len(words)} words of the training text")
    return found


def of_another_width(source: str, theirs: int, own: int) -> RequestError:
    return RequestError(
        f"{source} word vectors of width {theirs} and this student's are {own} wide: make them {theirs} wide or use "
        "embeddings=random"
    )
