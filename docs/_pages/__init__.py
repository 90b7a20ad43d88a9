"""Pages of the documentation that the code itself tells: no one writes them, so they cannot say what is not so."""

from __future__ import annotations

from pathlib import Path

from . import boards, commands, limits, methods, students, tasks

ROOT = Path(__file__).resolve().parents[2]


def pages(root: Path = ROOT) -> dict[str, str]:
    """{address below docs/: Markdown} of a checkout. A checkout without `results/` has pages without measured rows."""
    measured = boards.measured(root / "results")
    return {
        **methods.pages(measured),
        **tasks.pages(measured),
        **students.pages(measured),
        "reference/commands.md": commands.commands_page(),
        "reference/limits.md": limits.limits_page(root, measured),
    }
