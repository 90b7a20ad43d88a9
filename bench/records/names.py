"""Names that could be taken for another's: what looks alike to a reader is not to be two rows of a board."""

from __future__ import annotations

import re
import unicodedata

RESERVED = {"teacher", "reference", "none", "all"}  # what a row is called that is no method's
FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,99}")  # what a plug-in given by path is called
# Letters of other scripts that fonts draw as Latin ones, and digits that are read as letters.
ALIKE = str.maketrans(
    "авеԁгһіјкӏмноԛрѕтуѵԝхьαβγεηικνορτυχωı0135",  # noqa: RUF001
    "abedrhijklmhoqpstyvwxbabyenikvoptuxwioles",
)  # fmt: skip


def skeleton(name: str) -> str:
    """Equal for names that look alike: without case, marks, padding and the script of the letters."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return re.sub(r"[^\w:~]+|_", "", plain.casefold()).translate(ALIKE)


def oddness(name: str) -> str:
    """Why nothing is called so; empty: it may."""
    if not name.strip():
        return "an empty name"
    if name != " ".join(name.split()):
        return "a name with spaces around it, or several in a row"
    return "" if unicodedata.normalize("NFKC", name) == name else "a name of characters that stand for others"
