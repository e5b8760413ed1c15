"""The corrections against arithmetic done here."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from lrpilot.recommend import corrections
from lrpilot.recommend.cases import Case
from lrpilot.recommend.measured import SWEEPS, Sweep
from lrpilot.recommend.plan import lora_over_full, warmup_share
from lrpilot.recommend.table import Recipe, load_recipes


def test_shortness_grows_as_the_model_shrinks_and_fades_with_the_steps() -> None:
    assert corrections.shortness(Case(steps=20, params=2.5e7)) == pytest.approx((1.0, 1.0))
    assert corrections.shortness(Case(steps=100, params=2.5e6)) == pytest.approx((2.0**0.7, 1.0))
    half = math.log10(20) / 2  # of the way from 100 steps to 2,000, in powers of ten
    steps = 100 * 10**half
    assert corrections.shortness(Case(steps=steps, params=2.5e7)) == pytest.approx((0.5, 0.5))
    tenth = Case(steps=10 * steps, params=2e6)  # ten times smaller than those that fade so
    assert corrections.shortness(tenth) == pytest.approx((math.log10(125) ** 0.7 / 2, 0.5))
    least = corrections.shortness(Case(steps=1, params=300))
    assert least == pytest.approx((math.log10(2.5e8 / 3e5) ** 0.7, 1.0))
    nothing = [Case(steps=2000, params=2.5e7), Case(steps=10, params=2.5e8), Case(steps=10)]
    for case in (*nothing, Case(params=5e6)):
        assert corrections.shortness(case) == (0.0, 0.0)


ADAM = corrections.ShortRuns(
    {"slope": 0.5, "convolution": 0.8, "few": 0.4, "few-slope": 0.2, "repeated": -0.2,
     "classes": 0.5}, 0.3
)  # fmt: skip
SGD = corrections.ShortRuns({"text": 0.9, "convolution": 0.3, "few": 0.6}, 0.2)
FITTED = {"adam": ADAM, "sgd": SGD}


@pytest.mark.parametrize(
    ("group", "architecture", "by"),
    [("weights", "encoder", 0.5), (None, None, 0.5), ("few", "decoder", 0.6),
     ("weights", "cnn", 0.8), ("few", "cnn", 0.6)],
)  # fmt: skip
def test_the_short_run_shift_grows_with_the_size_and_lora_has_one_of_its_own(
    group: str | None, architecture: str | None, by: float
) -> None:
    case = Case(steps=100, params=2.5e7, epochs=1.0, method_group=group, architecture=architecture)
    shift = corrections.short_run(case, FITTED)
    assert shift is not None
    assert (shift.by, shift.sd) == pytest.approx((by, 0.3))
    mild = corrections.short_run(Case(steps=100, params=2.5e8 / 10**0.125), FITTED)
    assert mild is not None
    assert mild.sd == pytest.approx(0.15)
    assert corrections.short_run(Case(steps=5000, params=2.5e7), FITTED) is None
    for more in ({"method_group": "prompt"}, {"optimizer": "lars"}, {"optimizer": "zo-sgd"}):
        assert corrections.short_run(Case(steps=50, params=5e6, **more), FITTED) is None


def test_with_sgd_text_few_weights_and_small_convolutional_nets_want_more() -> None:
    def above(steps: float = 50, **facts: Any) -> float | None:
        shift = corrections.short_run(Case(steps=steps, optimizer_scale="sgd", **facts), FITTED)
        if shift is None:
            return None
        assert shift.sd == pytest.approx(0.2 * corrections.shortness(Case(steps=steps, **facts))[1])
        return shift.by

    text = {"domain": "text", "architecture": "encoder"}
    assert above(params=2e7, **text) == above(params=1e6, **text) == pytest.approx(0.9)
    assert above(params=2e7, method_group="few", **text) == pytest.approx(1.5)
    assert above(params=2e7, domain="vision", architecture="vit") is None
    nets = {"domain": "vision", "architecture": "cnn", "classes": 10, "epochs": 10.0}
    assert above(params=6e5, **nets) == pytest.approx(0.3)
    assert above(params=2.5e7, **nets) is above(params=6e6, **nets) is None
    least = above(params=2.4e4, **nets)
    assert above(params=10.0, **nets) == least == pytest.approx(0.3 * math.log10(6e6 / 2.4e4))
    half = math.log10(20) / 2
    assert above(steps=100 * 10**half, params=2e7, **text) == pytest.approx(0.45)


def test_large_models_want_less_the_more_often_examples_are_seen() -> None:
    def above(params: float, epochs: float | None) -> float:
        return ADAM.above(Case(steps=100, params=params, epochs=epochs))

    large = 3e5 * 10**1.5
    assert above(large, 10.0) - above(large, 1.0) == pytest.approx(-0.3)
    assert above(large, 0.2) == above(large, 1.0)
    assert above(large, 80.0) == above(large, 10.0)
    assert above(large, None) == above(large, 3.0)
    assert above(2e5, 10.0) == above(2e5, 1.0)
    assert ADAM.above(Case(steps=5000, params=large, epochs=10.0)) == 0.0
    assert ADAM.above(Case(steps=100, params=2e8, epochs=10.0)) == 0.0  # and not below


def test_many_classes_want_more() -> None:
    def above(classes: int | None, steps: float = 100) -> float:
        return ADAM.above(Case(steps=steps, params=2.5e7, epochs=1.0, classes=classes))

    assert above(None) == above(2)
    assert above(10) - above(2) == pytest.approx(0.5 * math.log10(5))
    assert above(1000) == above(10)
    assert above(10, steps=2400) == 0.0


def test_the_rank_is_neutral_at_sixteen() -> None:
    middle = corrections.lora_rank(16, "lora")
    assert middle is not None
    assert middle.by == 0.0
    high = corrections.lora_rank(160, "lora")
    assert high is not None
    assert high.by == pytest.approx(0.16)
    assert corrections.lora_rank(16, "full") is None
    assert corrections.lora_rank(None, "lora") is None


def test_caution_costs_least_in_expectation() -> None:
    """Against a simulation of the measured costs, written anew: no other shift does better."""
    sd = 0.35
    optimum = np.random.default_rng(0).normal(0.0, sd, 40_000)

    def cost(shift: float) -> float:
        off = shift - optimum
        low = np.interp(-off, [0, 0.15, 0.42, 0.70, 0.97, 1.3, 3], [0, 0, 0.9, 1.1, 2.4, 4.6, 15])
        high = np.interp(off, [0, 0.15, 0.42, 0.70, 0.97, 3], [0, 0, 2.2, 2.2, 22, 60])
        return float(np.where(off < 0, low, high).mean())

    best = corrections.least_expected_loss(sd)
    assert best < -0.05
    for other in np.linspace(-0.7, 0.2, 19):
        assert cost(best) <= cost(float(other)) + 0.01


def test_caution_grows_with_doubt_and_is_nothing_without() -> None:
    shifts = [corrections.least_expected_loss(sd) for sd in (0.0, 0.2, 0.3, 0.5)]
    assert abs(shifts[0]) <= 0.15  # flat within the loss's flat bottom
    assert shifts[1] > shifts[2] > shifts[3]


@pytest.mark.parametrize(
    ("case", "cautious"),
    [
        (Case(architecture="decoder"), True),
        (Case(architecture="decoder", steps=200), True),
        (Case(architecture="decoder", steps=199), False),
        (Case(architecture="encoder"), False),
        (Case(architecture="vit"), False),
    ],
)
def test_caution_is_for_language_models_in_long_runs(case: Case, cautious: bool) -> None:
    assert (corrections.caution(case, 0.4) is not None) is cautious


def _sweep(scores: dict[float, float], mode: str) -> Sweep:
    first = SWEEPS[0]
    return Sweep(label="", family=None, architecture="cnn", pretraining="supervised", params=1e6,
                 task=first.task, steps=50, batch_size=16, scores=scores, mode=mode)  # fmt: skip


def test_a_sweeps_best_is_the_vertex_of_its_parabola() -> None:
    # y = -(x + 3.3)**2 at x = -5, -4, -3, -2
    scores = {10.0**x: -((x + 3.3) ** 2) for x in (-5, -4, -3, -2)}
    assert _sweep(scores, "max").best_log_rate == pytest.approx(-3.3)
    assert _sweep({k: -v for k, v in scores.items()}, "min").best_log_rate == pytest.approx(-3.3)
    assert _sweep({1e-4: 0.1, 1e-3: 0.2, 1e-2: 0.9}, "max").best_log_rate == pytest.approx(-2.0)


def _recipe(**changes: object) -> Recipe:
    first = load_recipes()[0]
    fields = {name: getattr(first, name) for name in Recipe.__slots__}
    return Recipe(**{**fields, **changes})


@pytest.mark.parametrize(
    ("words", "share"),
    [
        ("6%", 0.06),
        ("0.1", 0.1),
        ("0", 0.0),
        ("500 steps", 0.05),
        ("5 epochs", 0.1),
        ("9000 steps", 0.2),
        (None, None),
        ("a while", None),
        ("100", None),
        ("100-500 steps", None),
    ],
)
def test_the_warm_up_of_a_recipe_is_read_as_a_share(words: str | None, share: float | None) -> None:
    assert warmup_share(_recipe(warmup=words, steps=10_000.0, epochs=50.0)) == share


def test_a_warm_up_in_steps_of_a_run_of_unknown_length_is_not_guessed() -> None:
    assert warmup_share(_recipe(warmup="500 steps", steps=None)) is None


def test_lora_over_full_pairs_one_source_and_model() -> None:
    def recipe(source: str, model: str, method: str, rate: float) -> Recipe:
        return _recipe(repo=source, model=model, method=method, peak_lr=rate, optimizer="adamw")

    recipes = [
        recipe("a", "m", "full", 1e-5),
        recipe("a", "m", "lora", 1e-4),
        recipe("b", "m", "full", 2e-5),
        recipe("b", "m", "qlora", 8e-5),
        recipe("c", "m", "lora", 9e-1),
        recipe("a", "n", "full", 9e-9),
    ]
    ratio, pairs = lora_over_full(recipes)
    assert pairs == 2
    assert ratio == pytest.approx((10 + 4) / 2)
