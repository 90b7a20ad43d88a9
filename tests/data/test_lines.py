"""Texts on disk: the lines that a reader of the whole file finds, without holding them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.data import lines as module
from bench.data.lines import Lines
from bench.inputs import Texts, digest_texts
from bench.sources import DataError, read_lines

ODD = "one\n\ntwo\ttabbed\r\n\r\nthree é\n four \nfive"
FOUND = ["one", "two\ttabbed", "three é", " four ", "five"]


def written(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("block", [1, 3, 1 << 26])
@pytest.mark.parametrize("end", ["", "\n"])
def test_lines_are_those_of_the_file(tmp_path, monkeypatch, block, end):
    monkeypatch.setattr(module, "BLOCK", block)
    found = Lines(written(tmp_path / "a.txt", ODD + end))
    assert [*found] == FOUND and len(found) == 5
    assert found[1:4] == FOUND[1:4] and found[-1] == "five" and found[::-2] == FOUND[::-2]
    with pytest.raises(IndexError):
        found[5]
    assert Texts(found).digest == digest_texts(FOUND)


def test_a_folder_is_its_text_files_in_the_order_of_their_names(tmp_path):
    written(tmp_path / "b.txt", "third\n")
    written(tmp_path / "a.txt", "first\nsecond")
    written(tmp_path / "c.txt", "")
    written(tmp_path / "notes.md", "none of it")
    found = Lines(tmp_path)
    assert [*found] == ["first", "second", "third"]
    before = found.digest
    written(tmp_path / "b.txt", "3rd\n")
    assert Lines(tmp_path).digest != before


@pytest.mark.parametrize(
    ("text", "says"), [(None, "no text at"), ("\n\r\n", "every line is empty"), ("", "every line")]
)
def test_what_holds_no_text_is_an_error(tmp_path, text, says):
    place = tmp_path / "a.txt"
    if text is not None:
        written(place, text)
    with pytest.raises(DataError, match=says):
        Lines(place)


def test_a_byte_order_mark_and_the_line_ends_of_an_old_mac(tmp_path):
    assert [*Lines(written(tmp_path / "a.txt", "\ufeffone\rtwo\r"))] == ["one", "two"]
    (tmp_path / "a.txt").write_bytes("one\n".encode("utf-16"))
    with pytest.raises(DataError, match=r"a\.txt is UTF-16, and has to be UTF-8 text"):
        Lines(tmp_path / "a.txt")


def test_a_line_that_is_not_utf8_is_named(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"good\n\nb\xe9d\n")
    found = Lines(tmp_path / "a.txt")
    assert found[0] == "good"
    with pytest.raises(DataError, match=r"a\.txt, line 3: not UTF-8"):
        found[1]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"<!DOCTYPE html><html>not found</html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of Git LFS"),
        (b"\x1f\x8b\x08 packed", "a gzip archive"),
        (b"a text\nwith \0 in it\n", "binary data"),
    ],
)
def test_files_that_are_no_text_are_named(tmp_path: Path, data: bytes, what: str) -> None:
    (tmp_path / "a.txt").write_bytes(data)
    for read in (Lines, read_lines):
        with pytest.raises(DataError, match=rf"a\.txt is {what}"):
            read(tmp_path / "a.txt")
