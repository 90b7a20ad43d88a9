"""The command line in full: what each command says with --help."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from bench.cli.main import app

from .text import block, page, section

WIDTH = 110


def parts(command: Any, name: str, parent: Any = None) -> Iterator[str]:
    """A section for the command, then those of its own commands."""
    context = command.context_class(command, info_name=name, parent=parent, terminal_width=WIDTH)
    examples, command.epilog = command.epilog or "", None  # told line by line, not as a paragraph
    yield section(context.command_path, block(command.get_help(context)), *typed(examples))
    for own in getattr(command, "commands", {}).values():
        yield from parts(own, own.name, context)


def typed(examples: str) -> Iterator[str]:
    """The examples of a command: what follows `Examples:`, separated by at least three spaces."""
    title, _, commands = examples.partition(":")
    lines = [line.strip() for line in commands.split("   ") if line.strip()]
    if lines:
        yield f"{title}:\n\n" + block("\n".join(lines))


def commands_page() -> str:
    about = "What `bench COMMAND --help` prints, of every command."
    return page("Command line", about, *parts(typer.main.get_command(app), "bench"))
