"""The three places data comes from, and what is said when it is not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.errors import RequestError
from bench.sources import (
    DataError,
    NoData,
    Source,
    choose,
    files_in,
    find_folder,
    lacking,
    package_file,
    present,
    read_lines,
)


def test_mini_is_packaged_alone(tmp_path: Path) -> None:
    assert choose("mini", None) == Source("packaged")
    with pytest.raises(RequestError, match="leave out --data-dir, or add --track lite"):
        choose("mini", tmp_path)


@pytest.mark.parametrize("track", ["lite", "full"])
def test_a_directory_when_given_else_the_hub(track: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "FILE").touch()
    assert choose(track, None) == Source("hub")
    assert choose(track, Path("data")) == Source("directory", tmp_path / "data")
    for wrong in ("nope", "FILE", "FILE/x"):
        with pytest.raises(DataError, match=f"--data-dir {wrong} is not a folder"):
            choose(track, Path(wrong))


def test_files_of_packages() -> None:
    assert package_file("gensim", "test/test_data/lee.cor").is_file()
    with pytest.raises(DataError, match=r"'gensim' [0-9.]+ does not ship nope\.txt"):
        package_file("gensim", "nope.txt")
    with pytest.raises(DataError, match="'no_such_package' is not installed: pip install no-such-package"):
        package_file("no_such_package", "x")


def test_the_official_layout_or_a_folder_of_such(tmp_path: Path) -> None:
    (tmp_path / "b" / "marker").mkdir(parents=True)
    assert find_folder(tmp_path, ("a", "b", "."), "marker", "data") == tmp_path / "b"
    assert find_folder(tmp_path / "b", ("a", "b", "."), "marker", "data") == tmp_path / "b"
    with pytest.raises(DataError, match=f"no data in {tmp_path}: looked for nope under {tmp_path}/a, {tmp_path}/b"):
        find_folder(tmp_path, ("a", "b"), "nope", "data")


def test_lines(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    for data, lines in (
        (b"", []), (b"a", ["a"]), (b"a\n", ["a"]), (b"a\r\nb\r\n", ["a", "b"]), (b"a\n\nb\n", ["a", "", "b"]),
        (b"\n", [""]),
        ("a\u2028b\x0bc\x85d\n".encode(), ["a\u2028b\x0bc\x85d"]),  # separators of text, not of lines
        (b"a\rb\r", ["a", "b"]), (b"a\rb\n", ["a\rb"]),  # the line ends of an old Mac, where there are no others
        *(("\u00e9\tb\nc".encode(name), ["\u00e9\tb", "c"]) for name in ("utf-8-sig", "utf-16", "utf-32")),
        (b"\xfe\xff\x00a\x00\r\x00\n\x00b", ["a", "b"]),
    ):  # fmt: skip
        path.write_bytes(data)
        assert read_lines(path) == lines, data


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_bytes(b"good\nalso good\nbad \xff\n")
    with pytest.raises(DataError, match=r"file\.txt, line 3: not UTF-8 text"):
        read_lines(path)
    assert read_lines(path, "latin-1")[2] == "bad \xff"
    for data, said in (
        ("some words".encode("utf-16-le"), "is UTF-16 without a byte-order mark"),
        (b"\xff\xfea\x00\x00", "begins as UTF-16, and cannot be read as that"),
        (b"\x00\x00\x00\x01", "is binary data"), (b"PK\x03\x04", "is a zip archive"),
    ):  # fmt: skip
        path.write_bytes(data)
        with pytest.raises(DataError, match=rf"file\.txt {said}"):
            read_lines(path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="pipe is no plain file"):
        read_lines(tmp_path / "pipe")
    with pytest.raises(DataError, match=r"cannot read .*: Is a directory"):
        read_lines(tmp_path)


def test_a_file_that_is_not_there_is_no_data_and_a_wrong_one_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "train.tsv"
    for read in (lambda: read_lines(path), lambda: present(path)):
        assert lacking("a", read)
    said = capsys.readouterr().err
    assert f"left out: a, cannot read {path}: No such file" in said
    assert f"left out: a, no train.tsv in {tmp_path}" in said
    with pytest.raises(NoData, match=r"no train\.tsv in .*: the archive holds it$"):
        present(path, "the archive holds it")
    path.write_bytes(b"\xff")
    assert present(path) == path
    for wrong in (path, tmp_path):
        with pytest.raises(DataError) as caught:
            lacking("a", lambda wrong=wrong: read_lines(wrong))  # type: ignore[misc]
        assert not isinstance(caught.value, NoData)


def test_what_is_hidden_is_no_data(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "._a.txt", ".ipynb_checkpoints/a-checkpoint.txt", "deep/c.txt", "d.txt/e.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("text")
    assert [p.name for p in files_in(tmp_path, "*.txt")] == ["a.txt", "b.txt"]
    assert [p.name for p in files_in(tmp_path, "**/*.txt")] == ["a.txt", "b.txt", "c.txt"]
