"""Records that are no JSON, another JSON than bench writes, or JSON of another shape than a record."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path

from tests.damage.tools import Damage, edit, first, key_to, record, save, to, without

VALUE = rb'("main": \{.*?"value": )(-?[0-9.e-]+)'  # of metrics.main or teacher.main, whichever comes first
KEY = rb'\n "run_id": "[0-9a-f]{16}",'


def raw(name: str, change: Callable[[bytes], bytes]) -> Damage:
    """A damage of the first record's bytes."""

    def apply(results: Path) -> Path:
        path = first(results)
        path.write_bytes(change(path.read_bytes()))
        return path

    return Damage(name, apply)


def literal(name: str, text: bytes) -> Damage:
    """A number of the record written in this way."""
    return raw(name, lambda data: re.sub(VALUE, lambda m: m[1] + text, data, count=1, flags=re.DOTALL))


def whole(name: str, data: bytes) -> Damage:
    return raw(name, lambda old: data)


def listed(results: Path) -> Path:
    return save(first(results), [json.loads(first(results).read_bytes())])


def twice(value: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """The key run_id a second time, with another value or the same."""
    return lambda data: re.sub(KEY, lambda m: m[0] + value(m[0]), data, count=1)


def sparse(results: Path) -> Path:
    """30 MB of null bytes after the record, which take no room on the disk."""
    with first(results).open("r+b") as file:
        file.truncate(30_000_000)
    return first(results)


TOP = ("run_id", "spec", "data", "teacher", "student", "metrics", "efficiency", "cost", "curve", "environment")

DAMAGES: list[Damage] = [
    raw("cut in the middle", lambda data: data[: len(data) // 2]),
    raw("cut before the last bracket", lambda data: data.rstrip()[:-1]),
    whole("empty", b""),
    whole("white space alone", b" \n"),
    whole("null", b"null\n"),
    whole("an empty object", b"{}\n"),
    whole("a text", b'"record"\n'),
    whole("no JSON", b"<!DOCTYPE html>\n<title>404</title>\n"),
    Damage("a list that holds the record", listed),
    raw("a second record after the first", lambda data: data + data),
    raw("a word after the record", lambda data: data + b"end\n"),
    raw("a comma too many", lambda data: data.rstrip()[:-1] + b",}\n"),
    raw("a comment", lambda data: b"// checked by hand\n" + data),
    raw("single quotes", lambda data: data.replace(b'"', b"'")),
    raw("not UTF-8", lambda data: data.replace(b'"origin": "', b'"origin": "\xff\xfe', 1)),
    raw("UTF-16", lambda data: data.decode().encode("utf-16")),
    raw("a byte order mark", lambda data: b"\xef\xbb\xbf" + data),
    raw("compressed", gzip.compress),
    Damage("null bytes to 30 MB", sparse),
    literal("NaN", b"NaN"),
    literal("infinity", b"-Infinity"),
    literal("1e400", b"1e400"),
    literal("a number of 10,000 digits", b"9" * 10_000),
    literal("a number with a leading zero", b"00.5"),
    literal("a number in hexadecimal", b"0x1p-1"),
    literal("a number that is a text", b'"0.5"'),
    literal("a number that is true", b"true"),
    literal("a number that is a list", b"[0.5]"),
    whole("100,000 brackets", b"[" * 100_000 + b"]" * 100_000),
    whole("100,000 brackets that are never closed", b'{"a":' * 100_000),
    raw("100,000 brackets in a value", lambda data: re.sub(
        rb'"python": "[^"]*"', b'"python": ' + b"[" * 100_000 + b"]" * 100_000, data, count=1)),
    raw("a key twice, with the same value", twice(lambda pair: pair)),
    raw("a key twice, with another value", twice(lambda pair: re.sub(rb"[0-9a-f]{16}", b"0" * 16, pair))),
    record("schema 99", key_to("", "schema", 99)),
    record("schema 0", key_to("", "schema", 0)),
    record("schema 1.0, or 2.0", lambda found: found.update(schema=float(found["schema"]))),
    record("schema that is a text", lambda found: found.update(schema=str(found["schema"]))),
    record("schema that is true", key_to("", "schema", True)),
    record("no schema", without("schema")),
    *(record(f"no {key}", without(key)) for key in (*TOP, "provenance", "predictions")),
    record("no main metric", without("metrics.main")),
    record("no ci95", without("metrics.main.ci95")),
    record("no hash of the predictions", without("predictions.sha256")),
    record("no seed, the id left", without("spec.seed")),
    record("a key too many", key_to("", "comment", "fine")),
    record("a key too many in the metrics", key_to("metrics", "rank", 1)),
    record("a key too many in the predictions", key_to("predictions", "url", "https://example.org/x.npz")),
    edit("metrics that are a list", to([]), "metrics"),
    edit("curve that is an object", to({}), "curve"),
    edit("a point of the curve that is a number", to(1.0), "curve.0"),
    edit("spec that is a text", to("sts"), "spec"),
    edit("threads that are a text", str, "efficiency.threads"),
    edit("noisy that is a text", lambda noisy: str(noisy).lower(), "efficiency.noisy"),
    edit("a seed beyond 64 bits, the id left", to(2**64), "spec.seed"),
    edit("a score of an integer beyond 64 bits", to(10**40), "metrics.all.*.*"),
]  # fmt: skip
