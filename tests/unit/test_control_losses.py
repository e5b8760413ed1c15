"""Spikes, rises and jitter of loss series, against hand-made series and SciPy's Welch test."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from lrpilot.control.losses import MIN_WINDOW, is_spike, jitter, rose

QUIET = [1.0, 1.1, 0.9, 1.05, 0.95, 1.02, 0.98, 1.0]  # median 1, median deviation .035


@pytest.mark.parametrize(
    ("last", "found"),
    [
        ([1.2, 1.2, 1.2], True),  # 3 x 1.4826 x .035 = .156 above the median
        ([1.1, 1.1, 1.1], False),
        ([9.0, 9.0, 1.0], False),  # the last is back to normal
        ([0.1, 0.1, 0.1], False),  # far below is no spike
    ],
)
def test_a_spike_is_three_losses_in_a_row_far_above_the_noise(
    last: list[float], found: bool
) -> None:
    assert is_spike([*QUIET, *last], run=3, z=3.0) is found


def test_too_few_losses_say_nothing_about_their_noise() -> None:
    assert not is_spike([*QUIET[: MIN_WINDOW - 1], 9.0, 9.0, 9.0], run=3, z=3.0)


def test_a_series_without_noise_spikes_only_when_it_moves() -> None:
    assert not is_spike([1.0] * 11, run=3, z=3.0)
    assert is_spike([1.0] * 8 + [1.01] * 3, run=3, z=3.0)


@pytest.mark.parametrize("shift", [0.0, 0.05, 0.1, 0.2, -0.2])
def test_rose_is_a_one_sided_welch_test(shift: float) -> None:
    rng = np.random.default_rng(1)
    before, after = rng.normal(1.0, 0.1, 20), rng.normal(1.0 + shift, 0.3, 12)
    truth = stats.ttest_ind(after, before, equal_var=False, alternative="greater").pvalue
    for alpha in (0.01, 0.05, 0.5):
        assert rose(after.tolist(), before.tolist(), alpha=alpha) is bool(truth <= alpha)


def test_one_loss_on_a_side_cannot_have_risen() -> None:
    assert rose([2.0], [1.0, 1.1], alpha=0.05) is None
    assert rose([2.0, 2.1], [1.0], alpha=0.05) is None


def test_without_noise_any_rise_is_a_rise() -> None:
    assert rose([1.1, 1.1], [1.0, 1.0], alpha=0.05) is True
    assert rose([1.0, 1.0], [1.0, 1.0], alpha=0.05) is False


def test_a_straight_trend_has_no_jitter() -> None:
    found = jitter([1.0, 0.9, 0.8, 0.7, 0.6, 0.5], least=4, most=8)
    assert found is not None
    assert found.sd == pytest.approx(0.0, abs=1e-12)


def test_jitter_of_a_zigzag_by_hand() -> None:
    # second differences of 0 1 0 1 0 1 are -2 2 -2 2: mean square 4, over 6, root
    found = jitter([0.0, 1.0, 0.0, 1.0, 0.0, 1.0], least=4, most=8)
    assert found is not None
    assert found.sd == pytest.approx(math.sqrt(4 / 6))


def test_jitter_recovers_the_noise_of_a_long_series_around_its_trend() -> None:
    rng = np.random.default_rng(2)
    series = np.linspace(1.0, 0.2, 4000) + rng.normal(0.0, 0.05, 4000)
    found = jitter(series.tolist(), least=4, most=4000)
    assert found is not None
    assert found.sd == pytest.approx(0.05, rel=0.05)


def test_only_the_latest_differences_count_and_too_few_say_nothing() -> None:
    wild_then_calm = [0.0, 9.0, 0.0, 9.0, *[1.0] * 6]
    calm = jitter(wild_then_calm, least=4, most=4)
    assert calm is not None
    assert calm.sd == 0.0
    assert jitter([1.0, 2.0, 1.0, 2.0, 1.0], least=4, most=8) is None
