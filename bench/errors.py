"""What a user sees when something is wrong: one sentence, and an exit status."""

from collections.abc import Iterable


class BenchError(Exception):
    """A failure that is told in one sentence; `exit_status` 1: the work failed."""

    exit_status = 1


class RequestError(BenchError):
    """The request itself was wrong (unknown name, bad value, missing or malformed data); exit status 2."""

    exit_status = 2


def unknown(what: str, name: str, known: Iterable[str]) -> RequestError:
    """An error for an unknown name that offers the nearest valid ones, or all of them when none is near."""
    import difflib

    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(known) or 'none'}."
    return RequestError(f"unknown {what} '{name}': {hint}")


def reason(error: Exception) -> str:
    """What a library's error says, in one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0].strip()[:200]}" if lines else type(error).__name__
