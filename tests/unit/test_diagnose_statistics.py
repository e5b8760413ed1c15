"""The test of a rise: its level on series that never rise, its power, and what it must not see."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import numpy as np
import pytest
from diagnose_runs import curve, noisy
from hypothesis import given, settings
from hypothesis import strategies as st

from lrpilot.diagnose.history import Series
from lrpilot.diagnose.hump import LEAST as HUMP_LEAST
from lrpilot.diagnose.hump import LENGTHS as HUMP_LENGTHS
from lrpilot.diagnose.hump import find_hump
from lrpilot.diagnose.nulls import chance
from lrpilot.diagnose.statistics import LEAST, find_rise, noise_of, rise_contrasts
from lrpilot.diagnose.statistics import LENGTHS as RISE_LENGTHS
from lrpilot.diagnose.trend import (
    end_slope,
    exceeds_jitter,
    moving_mean,
    outliers_up,
    progress,
)

RUNS = 600
LEVEL = 0.04
MOST = LEVEL + 3 * (LEVEL * (1 - LEVEL) / RUNS) ** 0.5  # three standard errors above the level


def share(test: object, series: np.ndarray, level: float = LEVEL) -> float:
    return float(np.mean([test(row).p <= level for row in series]))  # type: ignore[operator]


@pytest.mark.parametrize("n", [5, 7, 10, 11, 20, 50, 64, 65, 200])
def test_flat_series_are_called_rising_as_often_as_promised(n: int) -> None:
    noise = np.random.default_rng(n).standard_normal((RUNS, n))
    assert share(find_rise, 1.0 + 0.05 * noise) <= MOST


@pytest.mark.parametrize("n", [5, 10, 20, 50])
@pytest.mark.parametrize("sd", [0.002, 0.02, 0.1])
def test_falling_series_are_called_rising_less_often(n: int, sd: float) -> None:
    falling = curve(n) * (1.0 + sd * np.random.default_rng(n).standard_normal((RUNS, n)))
    assert share(find_rise, falling) <= MOST


@pytest.mark.parametrize("n", [10, 60, 100, 300])
def test_flat_series_have_a_hump_as_often_as_promised(n: int) -> None:
    noise = np.random.default_rng(n).standard_normal((RUNS, n))
    assert share(find_hump, 1.0 + 0.05 * noise) <= MOST


@pytest.mark.parametrize(
    ("n", "sd", "rise", "least"),
    [(5, 0.01, 0.2, 0.9), (8, 0.01, 0.05, 0.45), (10, 0.01, 0.1, 0.9), (10, 0.02, 0.1, 0.62),
     (20, 0.01, 0.05, 0.85), (20, 0.02, 0.1, 0.9), (20, 0.05, 0.2, 0.8), (50, 0.05, 0.2, 0.95),
     (50, 0.1, 0.2, 0.65), (50, 0.002, 0.03, 0.95)],
)  # fmt: skip
def test_power(n: int, sd: float, rise: float, least: float) -> None:
    t = np.linspace(0, 1, n + 1)[1:]
    truth = (0.4 + 0.6 * np.exp(-t / 0.1)) * (1 + rise * np.clip(2 * t - 1, 0, 1))
    noise = np.random.default_rng(0).standard_normal((200, n))
    assert share(find_rise, truth * (1 + sd * noise)) >= least


@pytest.mark.parametrize(("n", "most"), [(20, 0.18), (50, 0.095)])
def test_a_memory_of_the_noise_is_weighed(n: int, most: float) -> None:
    noise = np.random.default_rng(n).standard_normal((1000, n))
    for i in range(1, n):
        noise[:, i] = 0.5 * noise[:, i - 1] + np.sqrt(0.75) * noise[:, i]
    assert share(find_rise, 1.0 + 0.02 * noise) <= most  # a third to a half, were it not


@pytest.mark.parametrize("n", [12, 20, 50])
def test_a_sharp_turn_is_not_taken_for_noise(n: int) -> None:
    t = np.linspace(0, 1, n + 1)[1:]
    truth = np.where(t < 0.5, 3.0 - 4.0 * t, 1.0 + 0.4 * (t - 0.5))  # 3 to 1, then to 1.2
    noise = np.random.default_rng(0).standard_normal((100, n))
    assert share(find_rise, truth * (1 + 0.01 * noise)) >= 0.9


def test_the_rise_is_dated_and_measured() -> None:
    values = np.r_[np.linspace(2, 1, 20), np.linspace(1.01, 1.5, 20)]
    found = find_rise(noisy(values, 0.005))
    assert found is not None
    assert 17 <= found.best <= 22
    assert found.low == pytest.approx(1.0, abs=0.05)
    assert found.high == pytest.approx(1.5, abs=0.05)
    assert found.sd == pytest.approx(0.007, rel=0.6)


def test_too_few_values_are_no_answer() -> None:
    assert find_rise(np.arange(LEAST - 1.0)) is None
    assert find_hump(np.arange(9.0)) is None


@settings(max_examples=30, deadline=None)
@given(
    scale=st.floats(1e-3, 1e3),
    shift=st.floats(-5.0, 5.0),
    seed=st.integers(0, 1000),
    n=st.integers(LEAST, 40),
)
def test_scale_and_shift_change_nothing(scale: float, shift: float, seed: int, n: int) -> None:
    values = np.random.default_rng(seed).standard_normal(n)
    one, two = find_rise(values), find_rise(scale * (values + shift))
    assert one is not None
    assert two is not None
    assert one.best == two.best
    assert two.p == pytest.approx(one.p, abs=2e-4)


@pytest.mark.parametrize("n", [5, 12, 40])
def test_no_contrast_can_grow_by_a_fall(n: int) -> None:
    weights, turns = rise_contrasts(n)
    assert len(weights) == len(turns)
    np.testing.assert_allclose(weights.sum(axis=1), 0.0, atol=1e-12)
    np.testing.assert_allclose((weights**2).sum(axis=1), 1.0)
    for fall in range(1, n):
        step = np.where(np.arange(n) < fall, 1.0, 0.0)  # a series that falls once, there
        assert (weights @ step <= 1e-12).all()


@pytest.mark.parametrize("n", [5, 10, 30])
def test_noise_is_found_and_a_straight_trend_is_not_noise(n: int) -> None:
    noise = np.random.default_rng(1).standard_normal((2000, n))
    assert float(np.sqrt((noise_of(noise) ** 2).mean())) == pytest.approx(1.0, rel=0.35)
    assert noise_of(np.arange(float(n))[None])[0] == pytest.approx(0.0, abs=1e-9)


def test_one_high_value_is_no_hump_and_several_are() -> None:
    values = noisy(np.ones(60), 0.01)
    values[30] = 5.0
    alone = find_hump(values)
    values[31:36] = 5.0
    several = find_hump(values)
    assert alone is not None
    assert several is not None
    assert alone.p > 0.01
    assert several.p < 0.001


def test_progress_by_hand() -> None:
    seen = progress(np.r_[4.0, 3.0, 2.0, 1.0, 1.0, 1.0])
    assert (seen.start, seen.end, seen.best) == (4.0, 1.0, 1.0)
    assert seen.drop == 0.75


def test_end_slope_by_hand() -> None:
    line = end_slope(Series.of(range(0, 90, 10), 10.0 - 0.05 * np.arange(0, 90, 10)))
    assert line is not None
    assert line.per_step == pytest.approx(-0.05)
    assert line.level == pytest.approx(6.0)
    assert line.p < 1e-6
    assert end_slope(Series.of([1, 2], [1.0, 2.0])) is None


def test_moving_mean_is_the_plain_one() -> None:
    values = np.random.default_rng(0).standard_normal(50)
    plain = np.convolve(values, np.full(7, 1 / 7), mode="valid")
    np.testing.assert_allclose(moving_mean(values, 7), plain)


def test_jitter_is_seen_above_what_is_allowed_only() -> None:
    rows = 1.0 + 0.1 * np.random.default_rng(0).standard_normal((RUNS, 14))
    assert np.mean([exceeds_jitter(row, 0.1)[1] <= 0.01 for row in rows]) <= 0.025
    assert np.mean([exceeds_jitter(row, 0.02)[1] <= 0.01 for row in rows]) >= 0.95
    assert exceeds_jitter(curve(14, time=0.05), 0.02)[1] > 0.5  # a bend is no jitter


def test_outliers_upwards_and_dips_away_from_them() -> None:
    values = noisy(np.ones(100), 0.01)
    values[50], values[20] = 3.0, 0.9
    rest, sd, down = outliers_up(values)
    assert rest[50] == pytest.approx(2.0, abs=0.05)
    assert sd == pytest.approx(0.01, rel=0.4)
    assert down == pytest.approx(0.1, abs=0.03)


def test_a_constant_series_neither_rises_nor_has_a_hump() -> None:
    assert find_rise(np.zeros(20)) is None
    assert find_hump(np.full(20, 0.7)) is None


@pytest.mark.parametrize("n", [5, 8, 10, 11, 20, 32, 60, 100, 137, 300])
def test_alarms_on_4000_flat_series_are_as_many_as_the_level(n: int) -> None:
    noise = 1.0 + 0.05 * np.random.default_rng(9_000 + n).standard_normal((4000, n))
    tests = [find_rise] if n < HUMP_LEAST else [find_rise, find_hump]
    for test in tests:
        p = np.array([test(row).p for row in noise])  # type: ignore[union-attr]
        alone = p == 1.0  # one high value is no hump: find_hump then leaves alarms out
        for level in (0.002, 0.01, 0.05, 0.2):
            error = 4.0 * (level * (1.0 - level) / p.size) ** 0.5
            assert (p <= level).mean() <= level + error
            assert ((p <= level) | alone).mean() >= level - error


@pytest.mark.parametrize("n", [5, 10, 11, 32, 64])
def test_the_table_agrees_with_a_simulation_in_plain_loops(n: int) -> None:
    # independent truth: other draws, contrasts built anew one by one, ranks counted
    rng = np.random.default_rng(77)
    noise = rng.standard_normal((8000, n))
    largest = np.full(len(noise), -np.inf)
    for turn in range(1, n - 1):
        for start in {0, *(max(0, turn - back) for back in (2, 4, 8))}:
            ramp = np.maximum(0.0, np.arange(start, n) - turn)
            ramp -= ramp.mean()
            sizes = noise[:, start:] @ ramp / np.sqrt((ramp**2).sum())
            largest = np.maximum(largest, sizes)
    statistic = np.sort(largest / noise_of(noise))
    for at in (0.5, 0.35, 0.12, 0.055, 0.027, 0.012, 0.0035):  # between tabulated levels, too
        quantile = float(np.quantile(statistic, 1.0 - at))
        assert chance("rise", n, quantile) == pytest.approx(
            at, abs=4.5 * (at * (1.0 - at) / len(noise)) ** 0.5 + 0.01 * at
        )


@pytest.mark.parametrize("test", ["rise", "hump"])
def test_a_larger_statistic_is_never_more_likely(test: Literal["rise", "hump"]) -> None:
    for n in RISE_LENGTHS if test == "rise" else HUMP_LENGTHS:
        p = [chance(test, n, x) for x in np.linspace(-5.0, 60.0, 400)]
        assert all(a >= b for a, b in pairwise(p))
        assert chance(test, n, -1e9) == 1.0
        assert 5e-5 <= chance(test, n, 1e9) == pytest.approx(5e-5)


def test_every_length_of_a_series_is_in_the_table() -> None:
    rng = np.random.default_rng(0)
    for n in [*range(5, 700), 2000, 1_000_003]:
        assert find_rise(rng.standard_normal(n)) is not None
        assert n < HUMP_LEAST or find_hump(rng.standard_normal(n)) is not None
