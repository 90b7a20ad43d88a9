"""Files of arrays that are no archive, a broken one or a hostile one. The hash is right unless the name says so."""

from __future__ import annotations

import io
import os
import re
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.damage.tools import Damage, file_of, first, put_file

FLOAT = "{'descr': '<f4', 'fortran_order': False, 'shape': %s}"
DEFLATED = re.compile(rb"(PK\x01\x02.{6})\x08\x00", re.DOTALL)  # of the central directory: compression method 8


def bytes_(name: str, change: Callable[[bytes], bytes], part: str = "predictions") -> Damage:
    """The bytes of the first record's file changed."""

    def apply(results: Path) -> Path:
        return put_file(first(results), change(file_of(first(results), part).read_bytes()), part)

    return Damage(name, apply)


def unhashed(name: str, change: Callable[[bytes], bytes], part: str = "predictions") -> Damage:
    """The file changed, the hash in the record left."""

    def apply(results: Path) -> Path:
        path = file_of(first(results), part)
        path.write_bytes(change(path.read_bytes()))
        return first(results)

    return Damage(name, apply)


def npy(header: str, data: bytes) -> bytes:
    """A .npy of this header, padded as numpy does it, and these bytes."""
    padded = header.encode() + b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(padded)) + padded + data


def header(name: str, text: str) -> Damage:
    """The first prediction's header is this text, over 64 bytes."""
    return entry(name, lambda old: npy(text, bytes(64)))


def entry(name: str, change: Callable[[bytes], bytes]) -> Damage:
    """The bytes of the first prediction's .npy inside the archive changed."""
    return bytes_(name, lambda data: rezipped(data, change))


def rezipped(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = [(name, archive.read(name)) for name in archive.namelist()]
    target = next(name for name, _ in parts if name.endswith("/prediction.npy"))
    return zipped([(name, change(part) if name == target else part) for name, part in parts])


def zipped(parts: list[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings(action="ignore"):
        for name, part in parts:  # two of one name are a warning
            archive.writestr(zipfile.ZipInfo(name), part, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def appended(*more: tuple[str, bytes]) -> Callable[[bytes], bytes]:
    """Entries added to an archive, whatever their names."""

    def change(data: bytes) -> bytes:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return zipped([(name, archive.read(name)) for name in archive.namelist()] + list(more))

    return change


def recompressed(data: bytes) -> bytes:
    return DEFLATED.sub(lambda found: found[1] + b"\x63\0", data)


def doubled(data: bytes) -> bytes:
    """The first array a second time, with other values: readers differ in which of the two they take."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        name = archive.namelist()[0]
        return appended((name, archive.read(name)[:-4] + bytes(4)))(data)


def bit_turned(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


# A file that runs a command when it is unpickled. A check must never do that.


class Trap:
    def __init__(self, marker: Path) -> None:
        self.marker = str(marker)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.marker,)


def marker(results: Path) -> Path:
    """What the trap makes, beside the results folder."""
    return results.with_name(f"{results.name}-executed")


def not_sprung(results: Path) -> None:
    assert not marker(results).exists(), "the check executed what a file told it to"


def trap_array(results: Path) -> np.ndarray:
    found = np.empty(1, dtype=object)
    found[0] = Trap(marker(results))
    return found


def pickled(results: Path) -> Path:
    """An object array in the archive, in the place of the first predictions."""
    path, part = first(results), io.BytesIO()
    np.save(part, trap_array(results), allow_pickle=True)
    return put_file(path, rezipped(file_of(path).read_bytes(), lambda old: part.getvalue()))


def pickle_alone(results: Path) -> Path:
    """A bare pickle, which numpy.load also reads when it is allowed to."""
    return put_file(first(results), trap_array(results).dumps())


def calling_header(results: Path) -> Path:
    """A header is a Python literal; this one is a call."""
    call = f"__import__('os').mkdir({str(marker(results))!r})"
    return header("", FLOAT % f"({call},)").apply(results)


DAMAGES: list[Damage] = [
    unhashed("predictions cut in the middle, the hash left", lambda data: data[: len(data) // 2]),
    bytes_("predictions cut in the middle", lambda data: data[: len(data) // 2]),
    bytes_("predictions cut before the last byte", lambda data: data[:-1]),
    bytes_("an empty file of predictions", lambda data: b""),
    bytes_("predictions that are a text", lambda data: b"0.5, 0.7\n"),
    bytes_("predictions with a bit turned", bit_turned),
    bytes_("one array without an archive", lambda data: npy(FLOAT % "(1,)", bytes(4))),
    bytes_("a file in the archive that is no array", appended(("readme.txt", b"trust me"))),
    bytes_("an array in the archive that climbs out", appended(("../../../evil.npy", npy(FLOAT % "(1,)", bytes(4))))),
    bytes_("an array in the archive at an absolute place", appended(("/tmp/evil.npy", npy(FLOAT % "(1,)", bytes(4))))),
    bytes_("an archive that holds nothing", lambda data: zipped([])),
    bytes_("an archive that is compressed in an unknown way", recompressed),
    bytes_("an archive that holds an array twice", doubled),
    Damage("predictions that run a command when unpickled", pickled, not_sprung),
    Damage("a pickle in the place of the archive", pickle_alone, not_sprung),
    Damage("a header that runs a command", calling_header, not_sprung),
    header("a header that announces a huge array", FLOAT % "(1000000000000,)"),
    header("a header that announces more than any memory", FLOAT % "(99999999999999999999999,)"),
    header("a header that announces a shape below 0", FLOAT % "(-4,)"),
    header("a header that announces less than there is", FLOAT % "(2,)"),
    header("a header without a shape", "{'descr': '<f4', 'fortran_order': False}"),
    header("a header with a shape of text", FLOAT % "'4'"),
    header("a header of an unknown type", "{'descr': 'imaginary', 'fortran_order': False, 'shape': (16,)}"),
    header("a header of 10,000 brackets", FLOAT % ("(" * 10_000 + ")" * 10_000)),
    entry("an array of an unknown format", lambda data: data[:6] + b"\x63" + data[7:]),
    entry("an array of 100 MB of zeros", lambda data: npy(FLOAT % "(25000000,)", bytes(100_000_000))),
    entry("an empty array file", lambda data: b""),
]  # fmt: skip
