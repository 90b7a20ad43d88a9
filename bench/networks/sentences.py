"""What sentence-transformers does to a text and its vector outside of its modules: prompts, limits, cut dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from bench.errors import RequestError, reason
from bench.inputs import Texts
from bench.networks.architectures import positions

KNOWN = ("Pooling", "Dense", "Normalize", "LayerNorm", "Dropout")  # modules that read token vectors and masks alone
UNLIMITED = 512  # tokens that are read where neither tokenizer nor model says; BERT's. Our choice


class Pooler(nn.Module):
    """The backbone's own pooler output (CLS -> Linear -> tanh in BERT), as a sentence embedding."""

    def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        return features | {"sentence_embedding": features["pooler_output"]}


class Cut(nn.Module):
    """The first dimensions of an embedding, (B, D) -> (B, width), of a model with `truncate_dim`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        return features | {"sentence_embedding": features["sentence_embedding"][..., : self.width]}

    def extra_repr(self) -> str:
        return str(self.width)


def opened(path: Path) -> Any:
    """The SentenceTransformer of a folder, in float32. RequestError: it cannot be loaded, or is no text encoder."""
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()  # what does not fit is told in a sentence, and no table
    try:
        model = SentenceTransformer(
            str(path),
            device="cpu",
            model_kwargs={"use_safetensors": True, "dtype": torch.float32},
            local_files_only=True,
            trust_remote_code=False,
        )
    except Exception as error:  # a broken folder fails in many ways inside the libraries
        raise RequestError(f"cannot load a model from {path}: {reason(error)}") from error
    backbone: Any = getattr(model[0], "auto_model", None)
    if backbone is None or getattr(model, "tokenizer", None) is None:
        raise RequestError(f"{path} is not a text encoder with a transformers backbone")
    give_padding(model.tokenizer, backbone.config, path)
    return model


def give_padding(tokenizer: Any, config: Any, path: Path) -> None:
    """A padding token where there is none, as of GPT-2: the model's own, else the end of text, as is usual. Padding is
    never attended to; heads of decoders find the last token by it. RequestError: there is no such token either."""
    number = getattr(config, "pad_token_id", None)
    if tokenizer.pad_token_id is None:
        known = isinstance(number, int) and 0 <= number < len(tokenizer)
        token = tokenizer.convert_ids_to_tokens(number) if known else tokenizer.eos_token
        if token is None:
            raise RequestError(f"the tokenizer of {path} has neither a padding token nor one that ends a text")
        tokenizer.pad_token = token
    if number is None:
        config.pad_token_id = tokenizer.pad_token_id


def head_of(model: Any, path: Path) -> list[nn.Module]:
    """The modules behind the backbone, and the cut behind them. RequestError: one is unknown here."""
    head = list(model)[1:]
    foreign = [type(m).__name__ for m in head if type(m).__name__ not in KNOWN]
    if foreign:
        raise RequestError(f"{path} has the module {foreign[0]}, and only {', '.join(KNOWN)} can be read here")
    return [*head, Cut(model.truncate_dim)] if model.truncate_dim else head


def prompt_of(model: Any) -> str:
    """What `encode` puts before every text."""
    return (model.prompts or {}).get(model.default_prompt_name) or ""


def roles_of(model: Any) -> tuple[str, str]:
    """What `encode_query` and `encode_document` put before a text, asked of the library's own methods."""
    found: list[str] = []

    def noted(prompt: str | None = None, prompt_name: str | None = None, **_: Any) -> None:
        found.append(prompt or (model.prompts or {}).get(prompt_name or model.default_prompt_name) or "")

    asked: Any = SimpleNamespace(prompts=model.prompts or {}, encode=noted)
    type(model).encode_query(asked, "a text")
    type(model).encode_document(asked, "a text")
    return found[0], found[1]


def with_prompt(inputs: Texts, prompt: str, roles: Sequence[str] = ()) -> Texts:
    """Single texts with the prompt before each; in a pool of queries and documents with that of its role."""
    if roles and inputs.queries is not None:
        before = [roles[0] if query else roles[1] for query in inputs.queries.tolist()]
        return inputs.of([[one + text for one, text in zip(before, inputs.columns[0], strict=True)]])
    return inputs.of([prompt + text for text in column] for column in inputs.columns) if prompt else inputs


def tokens_of(prompt: str, tokenizer: Any) -> int:
    """Tokens that a prompt is, without what ends a text: what pooling leaves out, where a model says so."""
    ids = tokenizer(prompt)["input_ids"] if prompt else []
    return len(ids) - bool(ids and ids[-1] in tokenizer.all_special_ids)


def limit_of(declared: int | None, model: nn.Module, most: int | None = None) -> int:
    """Tokens that are read of an input: as declared, as far as the model's positions reach. `most`: at most so many."""
    table, named = positions(model), getattr(model.config, "max_position_embeddings", None)
    limits = [n for n in (declared, table, named, most) if n and 0 < n < 10**9]
    return min(limits, default=UNLIMITED)


def check_declared(model: Any, similarity: str, path: Path) -> None:
    """RequestError: the model is trained for another similarity, so that scores here would not be its own. A dot
    product of vectors that it normalises is their cosine."""
    if model.similarity_fn_name != similarity and type(list(model)[-1]).__name__ != "Normalize":
        raise RequestError(
            f"{path} declares the similarity {model.similarity_fn_name}, and this task compares by {similarity}"
        )


def make_pooling(mode: str, width: int) -> nn.Module:
    """A pooling module by name; `width` is the backbone's."""
    if mode == "pooler":
        return Pooler()
    from sentence_transformers.sentence_transformer.modules import Pooling

    return Pooling(width, pooling_mode=mode)


def told(model: Any, texts: Sequence[str], path: Path, method: str = "encode") -> Tensor:
    """What the library itself makes of each text alone, (N, D), by a method of its own. RequestError: it cannot."""
    try:
        encode = getattr(model, method)
        return torch.cat([encode([text], convert_to_tensor=True, show_progress_bar=False) for text in texts])
    except Exception as error:  # of architectures that the library loads and cannot run
        raise RequestError(f"sentence-transformers cannot encode a text with {path}: {reason(error)}") from error
