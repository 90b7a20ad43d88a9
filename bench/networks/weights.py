"""Whether the files of a model hold all that it is made of: a library fills what is missing with random numbers."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from bench.errors import RequestError
from bench.networks.places import model_files

LAYER = re.compile(r"(?:^|\.)(?:layers?|h|blocks?)\.(\d+)\.")


def check_weights(path: Path, model: nn.Module, layers: int, without: tuple[str, ...] = ()) -> None:
    """RequestError: parameters of the model that no file holds, or layers in the files that it has not.

    `without`: beginnings of the names of what need not be there. Names may begin with another part's in the files.
    """
    held = set(names_in(path))
    ends = {end for name in held for end in endings(renamed(name))}
    prefix = f"{getattr(model, 'base_model_prefix', '')}."  # files of an encoder alone leave it out
    needed = (n for n, _ in model.named_parameters() if not n.startswith(without))
    lacking = [n for n in needed if not ends & {n, n.removeprefix(prefix)}]
    if lacking:
        known = missing(model, lacking)
        lacking = [n for n in lacking if n in known]
    if lacking:
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        raise RequestError(f"{path} holds no weights of {lacking[0]}{more}: they would be random numbers")
    depths = [int(match[1]) for name in held if (match := LAYER.search(name))]
    if depths and max(depths) >= layers:
        raise RequestError(f"{path} holds {max(depths) + 1} layers, and its config.json says {layers}")


def missing(model: Any, lacking: Sequence[str]) -> Collection[str]:
    """What the library itself finds missing: it writes some architectures under other names, and knows them when it
    reads. All that seems to be `lacking` where it does not say."""
    try:
        place = model.config._name_or_path
        options = {"use_safetensors": True, "local_files_only": True, "trust_remote_code": False}
        _, found = type(model).from_pretrained(place, output_loading_info=True, **options)
    except Exception:  # whatever the library raises: then names are all there is
        return lacking
    told: Collection[str] = found["missing_keys"]
    return told


def names_in(path: Path) -> Iterable[str]:
    from safetensors import safe_open

    for file in model_files(path, "*.safetensors"):
        try:
            with safe_open(file, framework="pt") as handle:
                yield from handle.keys()
        except Exception as error:
            raise RequestError(f"{file} is no file of weights: {str(error)[:200]}") from error


def renamed(name: str) -> str:
    """As the library calls what old files call otherwise."""
    return re.sub(r"\.gamma$", ".weight", re.sub(r"\.beta$", ".bias", name))


def endings(name: str) -> Iterable[str]:
    parts = name.split(".")
    return (".".join(parts[at:]) for at in range(len(parts)))
