"""A command that is killed before any of its file operations, in this process.

From that operation on everything that would change the disk raises, so that nothing is cleaned up, as in a process that
is gone.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

CHANGING = ("replace", "rename", "unlink", "rmdir", "mkdir")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Killed(BaseException):
    """The process is gone."""


@contextmanager
def killed(before: int) -> Iterator[list[str]]:
    """Inside, the operation of this number does not take place, nor does any after it. Yields what took place."""
    done: list[str] = []

    def counted(name: str, real: Callable[..., Any], changes: Callable[..., bool]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            if not str(arguments[0]).endswith(".lock") and changes(*arguments, **keywords):
                if len(done) >= before:
                    raise Killed
                done.append(f"{name} {arguments[0]}")
            return real(*arguments, **keywords)

        return call

    def to_write(_: Any, mode: str = "r", *__: Any, **___: Any) -> bool:
        return bool(set(mode) & set("wax+"))

    with ExitStack() as stack:
        for name in CHANGING:
            stack.enter_context(patch.object(os, name, counted(name, getattr(os, name), lambda *_, **__: True)))
        flags = counted("open", os.open, lambda _, flags=0, *__, **___: bool(flags & WRITING))
        stack.enter_context(patch.object(os, "open", flags))
        stack.enter_context(patch.object(io, "open", counted("write", io.open, to_write)))
        yield done


def operations(command: Callable[[], Any]) -> int:
    """How many there are of an undisturbed command."""
    with killed(10**9) as done:
        command()
    return len(done)


def at_every_operation(start: Callable[[], Any], command: Callable[[], Any], left: Callable[[], Any]) -> Iterator[Any]:
    """What is `left` after the command was killed before each of its operations and then given again; the first is of
    an undisturbed one. `start` puts everything as it was."""
    start()
    count = operations(command)
    assert count > 2, "nothing was written"
    yield left()
    for number in range(count):
        start()
        with suppress(Killed), killed(number):
            command()
        command()
        yield left()


def tree(*folders: Path) -> dict[str, bytes]:
    """All files below, by name."""
    return {
        f"{folder.name}/{path.relative_to(folder)}": path.read_bytes()
        for folder in folders for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".lock"
    }  # fmt: skip
