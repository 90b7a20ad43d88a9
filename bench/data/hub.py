"""A data set of the Hub that the user names, as tables: `owner/name`, its configuration, its splits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.data.tables import Table, chosen, named_rows, numbered
from bench.sources import DataError, HubSet, hub_commit, hub_rows

FORM = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?:/(?P<config>[\w.+-]+))?(?:@(?P<revision>[\w./-]+))?")
CELLS = ("string", "large_string", "int", "uint", "float", "double", "bool")  # types of what a row is read of


@dataclass(frozen=True)
class HubTables:
    """Tables by split, what the splits are called there, and what the Hub says of them."""

    tables: Mapping[str, Table]
    called: Mapping[str, str]
    repo: str
    config: str | None
    commit: str
    licence: str
    citation: str

    def at(self, split: str) -> HubSet:
        return HubSet(self.repo, self.commit, self.called[split], self.config)


def read(place: str, said: Mapping[str, str]) -> HubTables:
    """`owner/name`, `owner/name/configuration`, each with `@revision`; the newest commit unless one is named.

    `said`: split -> what it is called, where that is not usual. DataError: no such data set, configuration or split.
    """
    if not (asked := FORM.fullmatch(place)):
        raise DataError(f"hf:{place} is no data set of the Hub: write hf:owner/name, or hf:owner/name/configuration")
    found = hub_rows(asked["repo"], asked["revision"], None, asked["config"])
    called = {split: list(found)[n] for split, n in chosen(list(found), said, f"hf:{place}").items()}
    info = found[called["train"]].info
    tables = {split: table_of(found[name], f"hf:{place}/{name}") for split, name in called.items()}
    return HubTables(
        tables, called, asked["repo"], asked["config"], hub_commit(found), info.license or "not stated here",
        info.citation.strip() or "not stated here",
    )  # fmt: skip


def table_of(rows: Any, place: str) -> Table:
    """The columns of texts, numbers and classes; what else is there, as images, is not decoded."""
    kinds = {name: getattr(feature, "dtype", "") for name, feature in rows.features.items()}
    columns = [name for name, kind in kinds.items() if str(kind).startswith(CELLS)]
    if not len(rows) or not columns:
        raise DataError(f"{place} holds no rows of texts")
    names = {c: numbered(rows.features[c].names) for c in columns if hasattr(rows.features[c], "names")}
    cells = list(named_rows(rows.select_columns(columns).with_format("arrow")[:], names))
    return Table(Path(place), columns, cells, [f"{place}, row {n}" for n in range(1, len(cells) + 1)])
