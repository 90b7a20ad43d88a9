"""How numbers are written for people."""

from __future__ import annotations

import pytest

from bench.base.formats import DASH, figures, hundred, signed, whole


@pytest.mark.parametrize(
    ("value", "shown"), [(None, DASH), (0.0, "0.00"), (-0.00001, "0.00"), (0.78125, "78.12"), (-0.5, "-50.00")]
)
def test_scores_are_times_100(value: float | None, shown: str) -> None:
    assert hundred(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, DASH), (0, "0"), (0.01234, "0.0123"), (12.345, "12.3"), (1234.5, "1,234"), (0.99996, "1.000")],
)
def test_three_figures(value: float | None, shown: str) -> None:
    assert figures(value) == shown


@pytest.mark.parametrize(("value", "shown"), [(None, DASH), (0, "0"), (1234567.4, "1,234,567")])
def test_whole_numbers(value: float | None, shown: str) -> None:
    assert whole(value) == shown


@pytest.mark.parametrize(("value", "shown"), [(0.01234, "0.012"), (12.345, "12"), (1234.5, "1,200"), (None, DASH)])
def test_noisy_timings_have_two_figures(value: float | None, shown: str) -> None:
    assert figures(value, noisy=True) == shown


@pytest.mark.parametrize(("points", "shown"), [(-0.004, "0.00"), (0.0, "0.00"), (-0.5, "-0.50"), (1.234, "+1.23")])
def test_a_difference_that_rounds_to_nothing_has_no_sign(points: float, shown: str) -> None:
    assert signed(points) == shown
