"""Words in pictures, in the two layouts they come in: folders of files, and lmdb of deep-text-recognition-benchmark.

Every picture is squeezed to 32 x 100 pixels, as that benchmark does; upper and lower case are one, and what is neither
a letter a to z nor a digit is left out of a word.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from bench.data.images import Images
from bench.data.labelled import Labelled
from bench.errors import RequestError
from bench.scoring.edits import bare
from bench.scoring.scores import Ragged
from bench.sources import DataError, files_in, read_lines
from bench.tasks._image_files import pillow

HEIGHT, WIDTH = 32, 100
Word = tuple[np.ndarray, str]  # uint8 (3, HEIGHT, WIDTH), and the word as it is written


def folder(path: Path) -> Iterator[Word]:
    """IMG/NUMBER.jpg with label/NUMBER.txt, in the order of their numbers. DataError: one without the other."""
    images = sorted(files_in(path / "IMG", "*.*"), key=lambda p: (len(p.stem), p.stem))
    if not images:
        raise DataError(f"no pictures in {path / 'IMG'}")
    for image in images:
        label = path / "label" / f"{image.stem}.txt"
        if not label.is_file():
            raise DataError(f"{image} has no {label.name} in {label.parent}")
        yield squeezed(image, image), " ".join(read_lines(label)).strip()


def database(path: Path, most: int | None = None) -> Iterator[Word]:
    """Keys num-samples, image-000000001 and label-000000001 on. DataError: no such database, or a key is missing."""
    try:
        import lmdb
    except ImportError:
        raise RequestError("reading lmdb needs the 'scene' extra: pip install 'bench-kd[scene]'") from None
    if not (path / "data.mdb").is_file():
        raise DataError(f"no data.mdb in {path}")
    try:
        opened = lmdb.open(str(path), readonly=True, lock=False, readahead=False, meminit=False)
    except lmdb.Error as error:
        raise DataError(f"{path} is no lmdb database: {error}") from None
    with opened, opened.begin() as found:
        for number in range(1, 1 + min(int(got(found, "num-samples", path)), most or 2**62)):
            image, label = (got(found, f"{what}-{number:09d}", path) for what in ("image", "label"))
            yield squeezed(image, f"{path}, image {number}"), label.decode()


def got(found: object, key: str, path: Path) -> bytes:
    value: bytes | None = found.get(key.encode())  # type: ignore[attr-defined]
    if value is None:
        raise DataError(f"{path} has no key {key}")
    return value


def squeezed(source: bytes | Path, place: object) -> np.ndarray:
    """A picture of any size as uint8 (3, HEIGHT, WIDTH), bicubic. DataError: it is none."""
    image_module = pillow()
    try:
        with image_module.open(io.BytesIO(source) if isinstance(source, bytes) else source) as opened:
            image = opened.convert("RGB").resize((WIDTH, HEIGHT), image_module.Resampling.BICUBIC)
    except Exception as error:  # Pillow's readers raise many unrelated types
        raise DataError(f"{place} cannot be read as an image: {type(error).__name__}: {error}") from None
    return np.asarray(image).transpose(2, 0, 1)


def labelled(words: Iterator[Word], classes: Sequence[str]) -> Labelled:
    """Pictures, and the class numbers of their words' characters; a word of none of the 36 is an empty row."""
    number = {character: n for n, character in enumerate(classes)}
    pixels, rows = [], []
    for image, text in words:
        pixels.append(image)
        rows.append([number[character] for character in bare([text])])
    return Labelled(Images(np.stack(pixels)), Ragged.of(rows, np.int64))
