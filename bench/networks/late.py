"""Late interaction: query and document are read apart, and their tokens are compared (ColBERT).

    q_i, d_j = unit(W h)          h of [CLS] [Q] query [SEP] [MASK] ... up to 32, and of [CLS] [D] document [SEP]
    s(q, d)  = sum_i max_j q_i . d_j

All places of the query count, masks too, which no token attends to unless the model says so; punctuation of documents
does not. Khattab & Zaharia 2020, arXiv:2004.12832; Santhanam et al. 2022, ColBERTv2, arXiv:2112.01488. Layer l is
scored by the same maxima over unit(h_l), without W. The official code of LEAD leaves out that normalisation; sums of
products of raw states say little but how large these are.

Two layouts are read: that of colbert-ir/colbertv2.0 (`linear.weight` among the encoder's weights, `artifact.metadata`),
and PyLate's (modules.json with one Dense layer, `config_sentence_transformers.json`).
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.data.pairs import numbered
from bench.data.tokens import Lists, TokenArrays, tokens
from bench.errors import RequestError
from bench.inputs import Texts, flat, texts
from bench.losses import unit
from bench.network import Encoded
from bench.networks.architectures import shape_of
from bench.networks.fingerprints import rules_of
from bench.networks.ranker import Ranker, settings_of
from bench.networks.transformer import run
from bench.networks.weights import check_weights
from bench.signals import Signals

FAR = -1e4  # below all cosines


@dataclass(frozen=True)
class Reading:
    """How texts are read: markers, masks and skipped tokens by their numbers, lengths in tokens."""

    query: int
    document: int
    mask: int
    skipped: tuple[int, ...]
    query_length: int = 32
    document_length: int = 180  # ColBERTv2's
    attend: bool = False  # whether masks are attended to


class LateInteraction(Ranker):
    """An encoder and a projection of its tokens."""

    offers = frozenset({"scores", "layer_scores"})

    def __init__(self, backbone: Any, projection: nn.Linear, tokenizer: Any, reading: Reading) -> None:
        super().__init__()
        self.backbone, self.projection, self.tokenizer, self.reading = backbone, projection, tokenizer, reading
        self.max_length, self.width = reading.document_length, projection.out_features
        self.shape = shape_of(backbone.config)
        self.register_buffer("skipped", torch.tensor(reading.skipped, dtype=torch.long), persistent=False)

    skipped: Tensor

    def extra_repr(self) -> str:
        """Its key in the store is made of this too."""
        return repr(self.reading)

    def encode(self, inputs: Sequence[Any], max_length: int | None = None) -> Encoded:
        """Queries have one length; documents are cut to `max_length`, to the model's, and to what pairs leave them."""
        given, limit = texts(inputs), min(max_length or self.max_length, self.max_length)
        if len(given.columns) == 1:
            return self.read(given, limit, self.reading.document)
        if given.limits is not None:
            limit = min(limit, int(given.limits.max(initial=0)) - self.reading.query_length)
        firsts, seconds = ([*dict.fromkeys(column)] for column in given.columns)
        places = ({text: n for n, text in enumerate(own)} for own in (firsts, seconds))
        sides = [[own[text] for text in column] for own, column in zip(places, given.columns, strict=True)]
        queries = self.read(Texts(firsts), self.reading.query_length, self.reading.query)
        return Compared(queries, self.read(Texts(seconds), limit, self.reading.document), np.array(sides).T)

    def read(self, given: Texts, limit: int, marker: int) -> TokenArrays:
        """Texts with a marker behind their first token, which is counted."""

        def marked(chunk: Texts, most: int) -> dict[str, Lists]:
            found = self.tokenizer(list(chunk.columns[0]), truncation=True, max_length=most - 1, padding=False)
            return {"ids": [[ids[0], marker, *ids[1:]] for ids in found["input_ids"]]}

        rules = lambda: f"{known} marker {marker}" if (known := rules_of(self.tokenizer)) else ""  # noqa: E731
        return tokens(marked, given, self.tokenizer.pad_token_id or 0, rules, limit)

    def forward(self, batch: dict[str, Tensor], want: frozenset[str]) -> Signals:
        if "query_of" not in batch:  # documents alone
            return Signals(scores=self.vectors(batch, want)[0].sum((1, 2))[:, None])
        queries = self.vectors(self.filled(batch), want)
        read = {"input_ids": batch["document_ids"], "attention_mask": batch["document_mask"]}
        counted = read["attention_mask"].bool() & ~torch.isin(read["input_ids"], self.skipped)
        where, counted = (batch["query_of"], batch["document_of"]), counted[batch["document_of"]]
        found = [
            maxima(query[where[0]], document[where[1]], counted)
            for query, document in zip(queries, self.vectors(read, want), strict=True)
        ]
        return Signals(scores=found[0], layer_scores=tuple(found[1:]) or None)

    def filled(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The queries with masks behind them."""
        ids, mask = (functional.pad(batch[n], (0, self.reading.query_length - batch[n].shape[1])) for n in QUERY)
        return {
            "input_ids": ids.masked_fill(mask == 0, self.reading.mask),
            "attention_mask": torch.ones_like(mask) if self.reading.attend else mask,
        }

    def vectors(self, batch: dict[str, Tensor], want: frozenset[str]) -> list[Tensor]:
        """Unit vectors (N, L, D) of the output, and where they are wanted of each layer."""
        layered = "layer_scores" in want
        out, _ = run(self.backbone, batch, frozenset({"hidden"} if layered else ()))
        return [unit(self.projection(out.last_hidden_state)), *(map(unit, out.hidden_states) if layered else ())]


QUERY = ("query_ids", "query_mask")


class Compared:
    """Pairs (N, 2) of queries and documents, which are read apart; a batch holds each query and document once."""

    def __init__(self, queries: TokenArrays, documents: TokenArrays, numbers: np.ndarray) -> None:
        self.queries, self.documents, self.numbers = queries, documents, numbers
        self.lengths = queries.lengths[numbers[:, 0]] + documents.lengths[numbers[:, 1]]
        self.axes: dict[str, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.numbers)

    def batch(self, rows: np.ndarray) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for side, (name, own) in enumerate((("query", self.queries), ("document", self.documents))):
            distinct, places = numbered(self.numbers[flat(rows), side])
            read = own.batch(distinct)
            found |= {f"{name}_ids": read["input_ids"], f"{name}_mask": read["attention_mask"]}
            found[f"{name}_of"] = torch.from_numpy(places)
        return found


def maxima(queries: Tensor, documents: Tensor, counted: Tensor) -> Tensor:
    """(P, 1): of vectors (P, I, D) and (P, J, D) the sum over i of the maximum over those j that are counted (P, J)."""
    products = queries.float() @ documents.float().transpose(1, 2)
    return products.masked_fill(~counted[:, None], FAR).amax(2).sum(1, keepdim=True)


def load(path: Path, named: str) -> LateInteraction | None:
    """The model in a folder, of either layout; None: it is none of this sort. `named`: its architecture.

    RequestError: it cannot be loaded, lacks a marker, compares otherwise than by cosine, or has another head than one
    linear layer.
    """
    parts = [] if named == "HF_ColBERT" else modules_of(path)
    dense = [part for part in parts if part["type"].rpartition(".")[2] == "Dense"]
    if named != "HF_ColBERT" and (not dense or any("Pooling" in part["type"] for part in parts)):
        return None
    if len(dense) > 1:
        raise RequestError(f"{path} has {len(dense)} layers on its tokens, and late interaction here has one")
    import transformers
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()  # that the projection is not read with the encoder is known
    whole, path = path, path / parts[0]["path"] if dense else path
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
        backbone = transformers.AutoModel.from_pretrained(
            path, use_safetensors=True, local_files_only=True, trust_remote_code=False, dtype=torch.float32
        )
    except Exception as error:  # a broken folder fails in many ways inside the library
        reason = f"{type(error).__name__}: {str(error)[:200]}"
        raise RequestError(f"cannot load a late-interaction model from {path}: {reason}") from error
    check_weights(path, backbone, backbone.config.num_hidden_layers, ("pooler.",))
    projection = projected(whole / dense[0]["path"] if dense else path)
    return LateInteraction(backbone, projection, tokenizer, reading_of(whole, tokenizer, bool(dense)))


def modules_of(path: Path) -> list[dict[str, Any]]:
    import json

    try:
        found = json.loads((path / "modules.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [part for part in found if isinstance(part, dict) and {"type", "path"} <= part.keys()]


def projected(path: Path) -> nn.Linear:
    """`linear` of the safetensors in a folder. RequestError: it is not there, or more than a matrix."""
    from safetensors import safe_open

    found = dict[str, Tensor]()
    for file in sorted(path.glob("*.safetensors")):
        with safe_open(file, framework="pt") as handle:
            names = [name for name in handle.keys() if name.startswith("linear.")]  # noqa: SIM118 - it is no dict
            found |= {name: handle.get_tensor(name) for name in names}
    activation = str(settings_of(path / "config.json").get("activation_function", "Identity"))
    if set(found) != {"linear.weight"} or not activation.endswith("Identity"):
        raise RequestError(f"{path} holds no linear.weight alone, by which its tokens are projected")
    weight = found["linear.weight"].float()
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    layer.weight = nn.Parameter(weight)
    return layer


def reading_of(path: Path, tokenizer: Any, pylate: bool) -> Reading:
    """What the folder says of it, else ColBERTv2's defaults. RequestError: a marker is no token; another similarity."""
    said = settings_of(path / ("config_sentence_transformers.json" if pylate else "artifact.metadata"))
    keys = PYLATE if pylate else COLBERT
    similarity = said.get("similarity") or said.get("similarity_fn_name") or "cosine"
    if similarity not in ("cosine", "MaxSim"):
        raise RequestError(f"{path} declares the similarity {similarity}, and late interaction here is by cosine")
    values = {name: said.get(key, default) for name, (key, default) in keys.items()}
    if pylate and not said.get("do_query_expansion", True):
        raise RequestError(f"{path} reads queries without masks behind them, and late interaction here has them")
    words = values["skipped"] if isinstance(values["skipped"], list) else string.punctuation * bool(values["skipped"])
    skipped = {tokenizer.convert_tokens_to_ids(word) for word in words} - {tokenizer.unk_token_id, None}
    markers = {}
    for name in ("query", "document"):
        markers[name] = tokenizer.convert_tokens_to_ids(values[name])
        if markers[name] in (None, tokenizer.unk_token_id):
            raise RequestError(f"the tokenizer of {path} has no token {values[name]!r}, which marks a {name}")
    return Reading(
        **markers, mask=tokenizer.mask_token_id, skipped=tuple(sorted(skipped)), attend=bool(values["attend"]),
        query_length=int(values["query_length"]), document_length=int(values["document_length"]),
    )  # fmt: skip


# name -> (key in the folder's file, default)
COLBERT: dict[str, tuple[str, Any]] = {
    "query": ("query_token_id", "[unused0]"), "document": ("doc_token_id", "[unused1]"),
    "query_length": ("query_maxlen", 32), "document_length": ("doc_maxlen", 180),
    "attend": ("attend_to_mask_tokens", False), "skipped": ("mask_punctuation", True),
}  # fmt: skip
PYLATE: dict[str, tuple[str, Any]] = {
    "query": ("query_prefix", "[Q] "), "document": ("document_prefix", "[D] "),
    "query_length": ("query_length", 32), "document_length": ("document_length", 180),
    "attend": ("attend_to_expansion_tokens", False), "skipped": ("skiplist_words", list(string.punctuation)),
}  # fmt: skip
