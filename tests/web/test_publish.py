"""Files of a site are put in place whole, where they changed, and never in place of what is not ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.errors import RequestError
from bench.web.publish import Part

Put = Callable[[Part, str, bytes], None]
WAYS = {
    "at once": lambda part, name, data: part.put(name, data),
    "in pieces": lambda part, name, data: part.stream(name, (data[at : at + 2] for at in range(0, len(data), 2))),
}


@pytest.fixture(params=WAYS)
def put(request: pytest.FixtureRequest) -> Put:
    return WAYS[request.param]


def test_a_file_is_written_again_only_where_it_changed(tmp_path: Path, put: Put) -> None:
    part, path = Part(tmp_path, "site", set()), tmp_path / "rows.csv"
    put(part, "rows.csv", b"a,b\n1,2\n")
    before = path.stat()
    put(part, "rows.csv", b"a,b\n1,2\n")
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    put(part, "rows.csv", b"a,b\n1,3\n")
    assert path.read_bytes() == b"a,b\n1,3\n" and path.stat().st_mode & 0o777 == 0o644
    assert [p.name for p in tmp_path.iterdir()] == ["rows.csv"]


def test_a_file_that_is_not_ours_stays(tmp_path: Path, put: Put) -> None:
    (tmp_path / "rows.csv").write_bytes(b"mine")
    part = Part(tmp_path, "site", {"rows.csv"})
    put(part, "rows.csv", b"mine")  # the same: nothing is lost
    with pytest.raises(RequestError, match=r"rows\.csv was not made by bench"):
        put(part, "rows.csv", b"ours")
    assert (tmp_path / "rows.csv").read_bytes() == b"mine" and len(list(tmp_path.iterdir())) == 1


def test_pieces_that_end_early_leave_the_file_as_it_was(tmp_path: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"half"
        raise OSError(28, "No space left on device")

    (tmp_path / "rows.csv").write_bytes(b"whole")
    with pytest.raises(OSError, match="No space"):
        Part(tmp_path, "site", set()).stream("rows.csv", pieces())
    assert (tmp_path / "rows.csv").read_bytes() == b"whole" and len(list(tmp_path.iterdir())) == 1
