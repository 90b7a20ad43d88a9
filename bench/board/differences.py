"""What tells a row from the rows beside it, in words: settings in which rows of one method and student differ, and
settings of the track and teachers in which rows of one student do. A board says once what its rows were trained with.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from bench.records.specs import CheckedSpec, in_words

DIGEST = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{8,}\b")
Kind = tuple[str, ...]  # what is compared, and among which rows
View = dict[str, str]  # {key: value}
Words = tuple[str, ...]


def differences(specs: Sequence[CheckedSpec]) -> list[tuple[str, ...]]:
    """Of each spec `key=value` for each key that is not the same in all specs of its kind. Keys without a value are
    told where nothing else tells a row from the others of its method and student."""
    views, peers = [kinds(spec) for spec in specs], dict[Kind, list[View]]()
    for own in views:
        for kind, view in own.items():
            peers.setdefault(kind, []).append(view)
    split = {kind: told_apart(found) for kind, found in peers.items()}
    names = [named(own, split) for own in views]
    rows = {(spec.method, spec.student, *name) for spec, name in zip(specs, names, strict=True)}
    twins = Counter(row[:3] for row in rows)
    return [
        values + missing if twins[spec.method, spec.student, values] > 1 else values
        for spec, (values, missing) in zip(specs, names, strict=True)
    ]


def named(
    own: Mapping[Kind, View], split: Mapping[Kind, Mapping[str, Mapping[str | None, str]]]
) -> tuple[Words, Words]:
    """A spec's values, and the keys that have none: those that are empty, then in one those that it does not set."""
    told = [(key, view.get(key), words) for kind, view in own.items() for key, words in split[kind].items()]
    unset = [key for key, value, _ in told if value is None]
    empty = tuple(words[value] for _, value, words in told if value == "")
    values = tuple(words[value] for _, value, words in told if value)
    return values, (*empty, *[f"{', '.join(unset)} not set"] * bool(unset))


def told_apart(views: Sequence[View]) -> dict[str, dict[str | None, str]]:
    """Of each key that is not the same in all views, what each of its values is in words."""
    keys = sorted(set().union(*views))
    values = {key: {view.get(key) for view in views} for key in keys}
    return {key: in_short(key, found) for key, found in values.items() if len(found) > 1}


def in_short(key: str, values: Iterable[str | None]) -> dict[str | None, str]:
    """Files by their names and digests by their first eight digits, where these are as many as the values."""
    whole = {v: f"{key} not set" if v is None else f"{key}={v}" if v else f"no {key}" for v in values}
    cut = {v: shortened(f"{key}={PurePath(v).name}") if v else words for v, words in whole.items()}
    return cut if len(set(cut.values())) == len(cut) else whole


def shortened(words: str) -> str:
    """Digests by their first eight digits."""
    return DIGEST.sub(r"\1", words)


def kinds(spec: CheckedSpec) -> dict[Kind, View]:
    """What is compared, and with whom. A version is compared with all of its name."""
    settings, extra, student = spec.settings, spec.model_extra or {}, spec.student
    views: dict[Kind, View] = {
        ("method", spec.method, student): told(settings.get("method", {})),
        ("student", student): told(settings.get("student", {}), f"{student.partition(':')[0]}."),
        ("track", student): told(settings.get("track", {})),
    }
    versions = {
        ("method version", spec.method),
        ("student version", student),
        ("teacher version", spec.teacher, student),
    }
    for kind in sorted(versions):
        own = kind[0].partition(" ")[0]
        views[kind] = told({kind[0]: spec.versions[own]} if own in spec.versions else {})
    nested = [told(part, f"{name}.") for name, part in extra.items() if isinstance(part, dict)]
    rest = told({name: value for name, value in extra.items() if not isinstance(value, dict)})
    return views | {("others", student): {key: word for view in (*nested, rest) for key, word in view.items()}}


def told(values: Mapping[str, Any], prefix: str = "") -> View:
    """Of None, which leaves a value to the code, nothing is told."""
    return {f"{prefix}{key}": "" if value is None else in_words(value) for key, value in values.items()}
