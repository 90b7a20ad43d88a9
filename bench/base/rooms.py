"""Rooms of the package that are called too: `bench.board` is a package, and `bench.board("sts")` its shortest use."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class Room(ModuleType):
    """A package whose call is the function of its name in `bench.api`."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return getattr(import_module("bench.api"), self.__name__.rpartition(".")[2])(*args, **kwargs)


def callable_room(name: str) -> None:
    """Make the package of this name such a room."""
    sys.modules[name].__class__ = Room
