"""What decides a network's outputs: its weights (`fingerprint`) and what its modules say of themselves (`settings`)."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import torch
from torch import nn

from bench.store.folders import content_key

UNSAID = ("_name_or_path", "transformers_version", "architectures")  # of a configuration: they decide nothing
APART = ("training", "origin")  # of a module, likewise


def fingerprint(network: nn.Module) -> str:
    """Content key of a network: its weights and buffers, byte by byte, and the modules they sit in."""
    digest = hashlib.sha256(str(network).encode())
    for name, tensor in network.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    tokenizer = getattr(network, "tokenizer", None)
    if tokenizer is not None:
        digest.update(rules_of(tokenizer).encode())
    return digest.hexdigest()


def settings(network: nn.Module) -> str:
    """Content key of what neither weights nor the names of modules show: length limit, prompt, heads, windows, pooling,
    precision. Plain values of all modules, and whole configurations; what begins with _ is how a library works."""
    found = {name: plain_values(module) for name, module in network.named_modules()}
    kinds = sorted({str(t.dtype) for t in network.state_dict().values()})
    return content_key(modules={name: values for name, values in found.items() if values}, dtypes=kinds)


def plain_values(module: nn.Module) -> dict[str, Any]:
    named = {n: v for n, v in vars(module).items() if not n.startswith("_") and n not in APART}
    found = {name: value for name, value in named.items() if plain(value)}
    if hasattr(named.get("config"), "to_dict"):
        told = named["config"].to_dict()
        found["config"] = json.dumps({n: v for n, v in told.items() if n not in UNSAID}, sort_keys=True, default=str)
    if callable(rules := getattr(named.get("tokens"), "rules", None)):
        found["tokens"] = rules()
    if side := getattr(named.get("tokenizer"), "truncation_side", ""):
        found["truncation_side"] = side
    return found


def plain(value: Any) -> bool:
    """Whether JSON holds it as it is."""
    if isinstance(value, list | tuple):
        return all(plain(each) for each in value)
    if isinstance(value, dict):
        return all(isinstance(name, str) and plain(each) for name, each in value.items())
    return value is None or isinstance(value, str | int | float | bool)


def rules_of(tokenizer: Any) -> str:
    """All that a tokenizer goes by but the lengths, which change with every call; "": it has no such text."""
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        return ""
    rules = json.loads(tokenizer.backend_tokenizer.to_str())
    return json.dumps({k: v for k, v in rules.items() if k not in ("truncation", "padding")}, sort_keys=True)
