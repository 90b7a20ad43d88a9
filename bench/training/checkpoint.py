"""Checkpoints without pickles: tensors in safetensors, everything else as JSON in its header."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from bench.errors import BenchError


def save(path: Path, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Write atomically: the old checkpoint stays until the new one is complete."""
    temporary = path.with_suffix(".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(apart(tensors), temporary, metadata={"state": json.dumps(state)})
        temporary.replace(path)
    except Exception as error:  # safetensors raises its own type for a full disk
        temporary.unlink(missing_ok=True)
        raise BenchError(f"cannot write the checkpoint {path}: {error}") from error


def apart(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same on the CPU. Those that share memory, as tied weights do, are copied, which the format asks for; no
    others, as a table may take gigabytes."""
    found, seen = {}, set[int]()
    for name, tensor in tensors.items():
        here = tensor.detach().cpu().contiguous()
        place = here.untyped_storage().data_ptr()
        found[name] = here.clone() if place in seen else here
        seen.add(place)
    return found


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """(tensors, state), or None where there is no checkpoint. BenchError: the file is damaged."""
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as handle:
            return {k: handle.get_tensor(k) for k in handle.keys()}, json.loads(handle.metadata()["state"])  # noqa: SIM118
    except Exception as error:
        raise BenchError(f"the checkpoint {path} is damaged: delete it to start this run again") from error


def goes_on(path: Path) -> str:
    """What the command that left a checkpoint here, or none, does when it is given again."""
    try:
        with safe_open(path, framework="pt") as handle:
            updates = json.loads(handle.metadata()["state"])["updates"]
    except Exception:  # it is not there, or nothing that can be gone on with
        return "the same command starts this run again"
    return f"the same command goes on from update {updates}"


def trained(module: nn.Module) -> dict[str, Tensor]:
    """All that training changes: what is frozen is what the module was built with."""
    frozen = {name for name, parameter in module.named_parameters() if not parameter.requires_grad}
    return {name: tensor for name, tensor in module.state_dict().items() if name not in frozen}


def put_back(module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Load what `trained` gave into a module that was built alike. RuntimeError: it does not fit."""
    frozen = {name: t for name, t in module.state_dict().items() if name not in trained(module)}
    module.load_state_dict({**frozen, **tensors})


def with_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def without_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under this prefix, with it cut off."""
    return {k.removeprefix(f"{prefix}."): v for k, v in tensors.items() if k.startswith(f"{prefix}.")}


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state, flat: `<parameter number>.<name>`."""
    state = optimiser.state_dict()["state"]
    return {f"{i}.{name}": torch.as_tensor(value) for i, values in state.items() for name, value in values.items()}


def load_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put flat state back; the parameter groups stay as they are."""
    state: dict[int, dict[str, Any]] = {}
    for key, tensor in tensors.items():
        number, _, name = key.partition(".")
        counted = tensor.ndim == 0 and tensor.dtype == torch.int64  # a number of Python, whose powers are more exact
        state.setdefault(int(number), {})[name] = tensor.item() if counted else tensor
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def random_state() -> dict[str, Tensor]:
    """The states of torch's random number generators."""
    cuda = {"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else {}
    mac = {"mps": torch.mps.get_rng_state()} if torch.backends.mps.is_available() else {}
    return {"cpu": torch.get_rng_state()} | cuda | mac


def set_random_state(tensors: dict[str, Tensor]) -> None:
    torch.set_rng_state(tensors["cpu"])
    if "cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["cuda"])
    if "mps" in tensors and torch.backends.mps.is_available():
        torch.mps.set_rng_state(tensors["mps"])
