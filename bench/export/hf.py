"""A student as a sentence-transformers folder, in modules that the library itself ships."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import nn

from bench.errors import RequestError
from bench.network import Network
from bench.networks.sentences import Cut, Pooler
from bench.networks.transformer import TransformerNetwork
from bench.networks.words import WordNetwork

POOLER: dict[str, Any] = {  # bench.networks.transformer.Pooler, in the words of sentence-transformers 6
    "modality_config": {"text": {"method": "forward", "method_output_name": "pooler_output"}},
    "module_output_name": "sentence_embedding",
}

ROLES = ("query", "document")  # the library's names of prompts, by which its own methods find them
PROMPT = "default"  # what an exported folder calls the prompt before every text


def write(network: Network, output: str, folder: Path) -> None:
    """The folder that SentenceTransformer loads. RequestError: no modules of the library give these outputs."""
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()
    modules = modules_of(network, output)
    around = around_modules(network) if isinstance(network, TransformerNetwork) else {}
    SentenceTransformer(modules=modules, device="cpu", **around).save(str(folder), create_model_card=False)


def around_modules(network: TransformerNetwork) -> dict[str, Any]:
    """What the library does outside of its modules: the prompt before a text, the dimensions that are left."""
    prompts = dict(zip(ROLES, network.roles, strict=False)) | ({PROMPT: network.prompt} if network.prompt else {})
    named: dict[str, Any] = {"prompts": prompts} if prompts else {}
    named |= {"default_prompt_name": PROMPT} if network.prompt else {}
    widths = [module.width for module in network.head if isinstance(module, Cut)]
    return named | ({"truncate_dim": widths[0]} if widths else {})


def modules_of(network: Network, output: str) -> list[nn.Module]:
    """The network in sentence-transformers' own modules."""
    if output == "embedding" and isinstance(network, TransformerNetwork):
        return _transformer(network)
    if output == "embedding" and isinstance(network, WordNetwork) and network.body.is_mean:
        return _mean_of_words(network)
    raise RequestError(
        "sentence-transformers has no modules that compute what this student does, and --format hf writes "
        "nothing that needs code of bench to load: use --format onnx"
    )


def _transformer(network: TransformerNetwork) -> list[nn.Module]:
    from sentence_transformers.sentence_transformer.modules import Transformer

    if network.plan:
        raise RequestError(
            "transformers has no heads of unequal sizes and no factorised word vectors: use --format onnx"
        )
    head, options = [module for module in network.head if not isinstance(module, Cut)], {}
    if len(head) == 1 and isinstance(head[0], Pooler):
        head, options = [], POOLER
    foreign = [type(m).__name__ for m in head if not type(m).__module__.startswith("sentence_transformers.")]
    if foreign:
        raise RequestError(f"sentence-transformers cannot load {', '.join(foreign)} by itself: use --format onnx")
    with TemporaryDirectory() as folder:  # the module reads a model from disk alone
        network.backbone.save_pretrained(folder)
        network.tokenizer.save_pretrained(folder)
        return [Transformer(folder, max_seq_length=network.max_length, **options), *head]


def _mean_of_words(network: WordNetwork) -> list[nn.Module]:
    """StaticEmbedding takes the mean of the word vectors too, but gives 0 for an input without words, where the
    student reads one unknown word u. So the rows are v - u, and Dense adds u to every mean: mean(v - u) + u.
    """
    from sentence_transformers.sentence_transformer.modules import Dense, StaticEmbedding

    rows = network.table.weight.detach()
    unknown = rows[network.tokens.unk].clone()  # the library refuses to save a part of another tensor
    words = StaticEmbedding(network.tokens.portable(network.max_length), embedding_weights=rows - unknown)
    width = network.width
    shift = Dense(width, width, activation_function=nn.Identity(), init_weight=torch.eye(width), init_bias=unknown)
    return [words, shift]


def read(folder: Path) -> Callable[[Sequence[str]], np.ndarray]:
    """What the folder computes for texts: (N, D), by sentence-transformers alone."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    return lambda texts: model.encode(list(texts), show_progress_bar=False)


def opened(folder: Path) -> Any:
    """The model of an exported folder: a SentenceTransformer, or one of transformers that has its tokenizer."""
    if (folder / "modules.json").is_file():
        from sentence_transformers import SentenceTransformer

        return SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    import transformers

    config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    cls = getattr(transformers, config.architectures[0])
    model = cls.from_pretrained(folder, local_files_only=True, trust_remote_code=False).eval()
    model.tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    return model
