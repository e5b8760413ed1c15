"""Tails against scipy's, medians against numpy's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lrpilot.stats import chi_square_tail, median, medians, student_tail

DEGREES = st.floats(0.3, 1e4)


@given(t=st.floats(-50.0, 50.0), degrees=DEGREES)
def test_student(t: float, degrees: float) -> None:
    truth = float(stats.t.sf(t, degrees))
    assert student_tail(t, degrees) == pytest.approx(truth, rel=1e-9, abs=1e-14)


@given(ratio=st.floats(0.0, 5.0), degrees=DEGREES)
def test_chi_square(ratio: float, degrees: float) -> None:
    truth = float(stats.chi2.sf(ratio * degrees, degrees))
    assert chi_square_tail(ratio * degrees, degrees) == pytest.approx(truth, rel=1e-8, abs=1e-13)


def test_by_the_book() -> None:
    assert student_tail(2.015, 5) == pytest.approx(0.05, abs=1e-4)
    assert chi_square_tail(11.07, 5) == pytest.approx(0.05, abs=1e-4)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_many_degrees(sign: float) -> None:
    for degrees in (9.9e4, 1.1e5, 1e13, 1e66):  # as Welch's formula gives them without errors
        truth = float(stats.t.sf(3.0 * sign, degrees))
        assert student_tail(3.0 * sign, degrees) == pytest.approx(truth, rel=1e-8)


def test_the_ends() -> None:
    assert student_tail(0.0, 7) == pytest.approx(0.5)
    assert (student_tail(math.inf, 3), student_tail(-math.inf, 3)) == (0.0, 1.0)
    assert student_tail(1.0, math.inf) == pytest.approx(float(stats.norm.sf(1.0)))
    assert math.isnan(student_tail(math.nan, 3))
    assert (chi_square_tail(-1.0, 3), chi_square_tail(0.0, 3)) == (1.0, 1.0)
    assert chi_square_tail(math.inf, 3) == 0.0
    assert chi_square_tail(5e-324, 1) == 1.0  # half of it is zero
    assert math.isnan(chi_square_tail(math.nan, 3))


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=9))
def test_median(values: list[float]) -> None:
    assert median(values) == pytest.approx(float(np.median(values)))
    assert median(np.array(values)) == median(values)
    rows = np.array([values, [1.0] * len(values)])
    np.testing.assert_allclose(medians(rows), np.median(rows, axis=1))
