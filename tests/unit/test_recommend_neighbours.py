"""The nearest recipes against medians and gradients worked out here, and their blend."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lrpilot.recommend.blend import SHARE, Blend, Fit
from lrpilot.recommend.cases import Case, make_case, recipe_case
from lrpilot.recommend.estimate import read_fitted
from lrpilot.recommend.kernel import PARTS
from lrpilot.recommend.likeness_fit import START, Likeness, _aim, _coded, _decoded
from lrpilot.recommend.neighbours import (
    DISTANCES,
    PARAMETERS,
    SOURCE_DAMPING,
    Neighbours,
    weighted_median,
)
from lrpilot.recommend.table import load_recipes


def case(**facts: object) -> Case:
    words = {
        "model": "m", "family": "f", "architecture": "encoder", "pretraining": "self-supervised",
        "method": "full", "optimizer": "adamw", "task": "nli", "params": 1e8, "batch_size": 32.0,
        "steps": 1e4, "source": "s",
    }  # fmt: skip
    return make_case(**{**words, **facts})  # type: ignore[arg-type]


def weights(**wanted: float) -> dict[str, float]:
    assert set(wanted) <= set(PARAMETERS)
    return dict.fromkeys(PARAMETERS, 0.0) | wanted


@pytest.mark.parametrize(
    ("values", "shares", "median"),
    [
        ([3.0, 1.0, 2.0], [1 / 3, 1 / 3, 1 / 3], 2.0),
        ([1.0, 2.0], [0.5, 0.5], 1.5),
        ([1.0, 2.0, 9.0], [0.0, 1.0, 0.0], 2.0),
        ([5.0], [1.0], 5.0),
        # the middles of the weights lie at .3 and .8: .5 is two fifths of the way
        ([1.0, 2.0], [0.6, 0.4], 1.4),
    ],
)
def test_a_weighted_median(values: list[float], shares: list[float], median: float) -> None:
    assert weighted_median(np.array(values), np.array(shares)) == pytest.approx(median)


def test_a_fact_that_differs_takes_weight_by_the_exponential() -> None:
    known = [case(source="a"), case(source="b", method="lora")]
    found = Neighbours(known, np.array([-5.0, -4.0]), weights(method=2.0))
    shares = found.shares(case(source=None))
    # damped to the power of one minus the damping, each source holding one recipe
    expected = math.exp(-2.0 * (1.0 - SOURCE_DAMPING))
    assert shares[1] / shares[0] == pytest.approx(expected)
    assert shares.sum() == pytest.approx(1.0)


def test_a_fact_that_nobody_told_sets_nothing_apart() -> None:
    known = [case(family="f", source="a"), case(family="g", source="b")]
    found = Neighbours(known, np.array([-5.0, -4.0]), weights(family=3.0, size=2.0))
    assert found.shares(case(family=None, params=None)) == pytest.approx([0.5, 0.5])


def test_a_hundred_recipes_of_one_source_count_as_ten() -> None:
    """With a damping of a half, a source counts by the root of its recipes."""
    many = [case(source="prolific") for _ in range(100)]
    ten = [case(source=f"s{i}") for i in range(10)]
    shares = Neighbours(many + ten, np.zeros(110), weights()).shares(case(source=None))
    assert shares[:100].sum() == pytest.approx(0.5)
    assert shares[100:].sum() == pytest.approx(0.5)


def test_an_outlier_moves_a_median_little() -> None:
    known = [case(source=f"s{i}") for i in range(5)]
    calm = Neighbours(known, np.array([-5.0, -4.9, -4.8, -4.7, -4.6]), weights())
    wild = Neighbours(known, np.array([-5.0, -4.9, -4.8, -4.7, 1.0]), weights())
    assert calm.medians([case()])[0] == pytest.approx(wild.medians([case()])[0])


def test_rates_are_brought_to_the_size_and_batch_of_the_case() -> None:
    known = [case(params=1e8, batch_size=32.0)]
    found = Neighbours(known, np.array([-5.0]), weights(size_slope=-0.4, batch_slope=0.2))
    asked = [case(params=1e9, batch_size=320.0), case(params=1e14, batch_size=None)]
    # ten times the size and batch; then the table's largest size, and an unknown batch
    assert found.medians(asked) == pytest.approx([-5.0 - 0.4 + 0.2, -5.0 - 0.4 * 2.0])


def toy() -> tuple[list[Case], np.ndarray]:
    rng = np.random.default_rng(0)
    cases, rates = [], []
    for i in range(48):
        method = "full" if i % 2 else "lora"
        shape = {"params": 10.0 ** (7 + i % 3), "batch_size": float(8 * (1 + i % 5))}
        cases.append(case(family=f"f{i % 8}", source=f"s{i % 6}", method=method, **shape))
        rates.append((-4.7 if method == "full" else -3.6) + rng.normal(0, 0.1))
    return cases, np.array(rates)


def test_the_gradient_is_that_of_the_aim() -> None:
    cases, rates = toy()
    likeness = Likeness(cases, rates)
    args = (likeness._unlike, likeness._sources, likeness._hidden, rates)
    at = _coded(START) + np.random.default_rng(1).normal(0, 0.2, len(PARAMETERS))
    _, slope = _aim(at, *args)
    for i in range(len(PARAMETERS)):
        step = np.zeros(len(PARAMETERS))
        step[i] = 1e-5
        numeric = (_aim(at + step, *args)[0] - _aim(at - step, *args)[0]) / 2e-5
        assert slope[i] == pytest.approx(numeric, abs=1e-7), PARAMETERS[i]


def test_fitting_sets_apart_what_differs() -> None:
    """Methods differ twelvefold in the toy, which a fit must not average over."""
    cases, rates = toy()
    likeness = Likeness(cases, rates)
    found = likeness.fit(np.arange(48))
    assert found["method"] + found["method_group"] > 4.0
    kept, asked = np.arange(8, 48), np.arange(8)
    assert np.abs(likeness.medians(kept, asked, found) - rates[:8]).mean() < 0.2


def test_a_held_out_answer_is_that_of_the_estimator() -> None:
    cases, rates = toy()
    kept, asked = np.arange(10, 48), np.arange(10)
    ours = Likeness(cases, rates).medians(kept, asked, START)
    theirs = Neighbours([cases[i] for i in kept], rates[kept], START).medians(cases[:10])
    np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_weights_survive_their_code() -> None:
    assert _decoded(_coded(START)) == pytest.approx(START)
    assert set(START) == set(PARAMETERS)


def test_a_blend_is_the_mean_of_both() -> None:
    variances = np.array([0.3 if part.name == "method" else 0.0 for part in PARTS] + [0.1])
    known = [case(source="a"), case(source="b")]
    blend = Blend(known, np.array([-3.0, -4.0]), Fit(variances, weights()))
    (belief,), (alone,) = blend.beliefs([case()]), blend.process.beliefs([case()])
    assert belief.mean == pytest.approx((1 - SHARE) * alone.mean + SHARE * -3.5)
    assert belief.sd == alone.sd


def test_the_stored_distances_fit_these_facts() -> None:
    stored = read_fitted().fit.likeness
    assert set(stored) == set(PARAMETERS)
    assert all(stored[name] >= 0.0 for name in DISTANCES)
    recipes = load_recipes()
    cases = [recipe_case(recipe) for recipe in recipes]
    found = Neighbours(cases, np.log10([recipe.peak_lr for recipe in recipes]), stored)
    nearest = int(
        found.shares(case(model="roberta-large", family="roberta", params=3.55e8)).argmax()
    )
    assert recipes[nearest].family == "roberta"
