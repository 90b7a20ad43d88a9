"""Numbers that JSON holds and no run writes."""

import json

import pytest

from bench.records.values import RARE, odd_number


@pytest.mark.parametrize("space", ["", " ", "\n\t"])
@pytest.mark.parametrize(
    ("number", "why"),
    [
        ("1e400", "not a finite number"),
        ("-2.5E+0400", "not a finite number"),
        ("1e101", "a number that nothing measures"),
        ("NaN", "not a finite number"),
        ("-Infinity", "not a finite number"),
        (str(2**63), "a number that does not fit into 64 bits"),
        (str(-(2**63)), "a number that does not fit into 64 bits"),
        ("1" + "0" * 120 + ".5", "a number that nothing measures"),
    ],
)
def test_an_odd_number_is_found(number: str, why: str, space: str) -> None:
    assert odd_number(f'{{"a":{space}[1,{space}{number}]}}'.encode()) == f"a.1: {why}"
    assert odd_number(f'{{"a":{space}{number}}}'.encode()) == f"a: {why}"


def test_what_runs_write_is_not_parsed_again() -> None:
    usual = {"hash": "429e0408addd66412345678901234567890", "x": [0.1234567890123456789e-300, 1e22, 2**59], "y": 1e-7}
    data = json.dumps(usual, indent=1).encode()
    assert not RARE.search(data)
    assert odd_number(data) == ""
