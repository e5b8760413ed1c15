"""Paired comparison, against SciPy's own test and against formulas written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from lrpilot.errors import InputError
from lrpilot.metric import Evaluation, Noise, compare

RNG = np.random.default_rng(0)
BEFORE = RNG.normal(1.0, 0.5, 40)
AFTER = BEFORE + RNG.normal(0.1, 0.2, 40)


def test_the_p_value_is_that_of_a_paired_t_test() -> None:
    found = compare(Evaluation.of(AFTER), Evaluation.of(BEFORE), alpha=0.05)
    truth = stats.ttest_rel(AFTER, BEFORE, alternative="greater")
    assert found.p_worse == pytest.approx(truth.pvalue)
    assert found.difference == pytest.approx((AFTER - BEFORE).mean())
    assert found.standard_error == pytest.approx(stats.sem(AFTER - BEFORE))
    assert found.verdict == "worse"


def test_the_other_way_round_is_better() -> None:
    found = compare(Evaluation.of(BEFORE), Evaluation.of(AFTER), alpha=0.05)
    assert found.verdict == "improved"


def test_a_score_is_better_when_it_is_higher() -> None:
    a, b = Evaluation.of(AFTER, mode="max"), Evaluation.of(BEFORE, mode="max")
    assert compare(a, b, alpha=0.05).verdict == "improved"


def test_noise_between_evaluations_adds_to_the_variance_and_pools_the_degrees() -> None:
    delta = AFTER - BEFORE
    paired, between = stats.sem(delta) ** 2, 2 * 0.05**2
    degrees = (paired + between) ** 2 / (paired**2 / 39 + between**2 / 4.0)
    p = stats.t.sf(delta.mean() / math.sqrt(paired + between), degrees)
    found = compare(Evaluation.of(AFTER), Evaluation.of(BEFORE), alpha=0.05, noise=Noise(0.05, 4.0))
    assert found.p_worse == pytest.approx(p)


def test_weights_make_the_ratio_estimator() -> None:
    w = RNG.integers(1, 30, 40).astype(float)
    a, b = Evaluation.of(AFTER, weights=w), Evaluation.of(BEFORE, weights=w)
    mean = float((w * (AFTER - BEFORE)).sum() / w.sum())
    residual = w / w.sum() * (AFTER - BEFORE - mean)
    error = math.sqrt(40 / 39 * float((residual**2).sum()))
    found = compare(a, b, alpha=0.05)
    assert found.difference == pytest.approx(mean)
    assert found.standard_error == pytest.approx(error)
    assert a.mean == pytest.approx(float((w * AFTER).sum() / w.sum()))


def test_two_bare_means_are_undecided_without_their_noise() -> None:
    assert compare(Evaluation.of(2.0), Evaluation.of(1.0), alpha=0.05).verdict == "undecided"
    noise = Noise(0.1, math.inf)
    found = compare(Evaluation.of(2.0), Evaluation.of(1.0), alpha=0.05, noise=noise)
    assert found.p_worse == pytest.approx(stats.norm.sf(1.0 / (math.sqrt(2) * 0.1)))


def test_what_is_not_finite_is_worse_than_anything() -> None:
    bad = Evaluation.of([1.0, math.nan])
    assert not bad.finite
    assert compare(bad, Evaluation.of([9.0, 9.0]), alpha=1e-9).verdict == "worse"


def test_identical_evaluations_are_the_same() -> None:
    found = compare(Evaluation.of(BEFORE), Evaluation.of(BEFORE), alpha=0.05)
    assert (found.verdict, found.p_worse) == ("same", 0.5)


def test_evaluations_of_other_examples_cannot_be_paired() -> None:
    with pytest.raises(InputError, match="cannot be paired"):
        compare(Evaluation.of([1.0, 2.0]), Evaluation.of([1.0, 2.0, 3.0]), alpha=0.05)


@pytest.mark.parametrize(
    ("values", "more"),
    [
        ([], {}),
        ([[1.0, 2.0]], {}),
        ([1.0], {"mode": "up"}),
        ([1.0, 2.0], {"weights": [1.0]}),
        ([1.0, 2.0], {"weights": [1.0, 0.0]}),
    ],
)
def test_bad_evaluations_are_refused(values: list[float], more: dict[str, object]) -> None:
    with pytest.raises(InputError):
        Evaluation.of(values, **more)  # type: ignore[arg-type]
