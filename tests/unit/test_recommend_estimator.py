"""The estimator against formulas written out here, and its calibration against hand counts."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from lrpilot.errors import InputError
from lrpilot.recommend.blend import Blend, Fit
from lrpilot.recommend.calibration import answer_level, level_scales
from lrpilot.recommend.cases import Case, make_case, recipe_case
from lrpilot.recommend.estimate import read_fitted
from lrpilot.recommend.fitting import Study, nested, throw
from lrpilot.recommend.kernel import PARTS
from lrpilot.recommend.likeness_fit import START
from lrpilot.recommend.process import CENTRE, Process
from lrpilot.recommend.table import TRUTH, load_recipes


def case(**facts: object) -> Case:
    words = {
        "model": "m", "family": "f", "architecture": "encoder", "pretraining": "self-supervised",
        "method": "full", "optimizer": "adamw", "task": "nli", "params": 1e8, "batch_size": 32.0,
        "steps": 1e4, "source": "s",
    }  # fmt: skip
    return make_case(**{**words, **facts})  # type: ignore[arg-type]


def variances(**wanted: float) -> np.ndarray:
    names = [part.name for part in PARTS]
    assert set(wanted) - {"noise"} <= set(names)
    return np.array([wanted.get(name, 0.0) for name in names] + [wanted["noise"]])


def test_one_recipe_pulls_by_the_textbook_share() -> None:
    """With one part of variance v and noise n, the mean moves by v / (v + n) of the gap."""
    process = Process([case()], np.array([-3.0]), variances(method=0.3, noise=0.1))
    same, other = process.beliefs([case(), case(method="lora")])
    assert same.mean == pytest.approx(CENTRE + 0.75 * (-3.0 - CENTRE))
    assert same.sd == pytest.approx(math.sqrt(0.3 + 0.1 - 0.3 * 0.3 / 0.4))
    assert same.sd_best == pytest.approx(math.sqrt(0.3 - 0.3 * 0.3 / 0.4))
    assert other.mean == pytest.approx(CENTRE)
    assert other.sd == pytest.approx(math.sqrt(0.4))


def test_a_slope_is_a_ridge_regression() -> None:
    sizes, rates = np.array([1e7, 1e8, 1e9, 1e10]), np.array([-4.0, -4.3, -4.9, -5.1])
    process = Process([case(params=p) for p in sizes], rates, variances(size=0.2, noise=0.05))
    x = np.log10(sizes / 2e8)
    slope = x @ (rates - CENTRE) / (x @ x + 0.05 / 0.2)
    (belief,) = process.beliefs([case(params=1e11)])
    assert belief.mean == pytest.approx(CENTRE + slope * np.log10(1e11 / 2e8))


def test_an_unknown_fact_is_alike_to_nothing() -> None:
    process = Process([case(family=None)], np.array([-3.0]), variances(family=0.3, noise=0.1))
    assert process.beliefs([case(family=None)])[0].mean == pytest.approx(CENTRE)


def test_one_prolific_source_does_not_outvote_ten() -> None:
    many = [case(source="prolific") for _ in range(100)]
    ten = [case(source=f"s{i}") for i in range(10)]
    rates = np.array([-3.0] * 100 + [-5.0] * 10)
    weights = {"method": 0.5, "habit-recipes": 0.2, "noise": 0.05}
    (fair,) = Process(many + ten, rates, variances(**weights)).beliefs([case(source=None)])
    # ten sources of weight 1 / (.2 + .05), one of weight 1 / (.2 + .05 / 100), the prior 1 / .5
    tens, one, prior = 10 / 0.25, 1 / 0.2005, 1 / 0.5
    expected = (tens * -5.0 + one * -3.0 + prior * CENTRE) / (tens + one + prior)
    assert fair.mean == pytest.approx(expected)
    weights["habit-recipes"] = 0.0
    (unfair,) = Process(many + ten, rates, variances(**weights)).beliefs([case(source=None)])
    assert unfair.mean > fair.mean + 1.0


def test_a_sources_own_habit_is_left_out_of_an_answer() -> None:
    weights = variances(method=0.3, noise=0.1, **{"habit-recipes": 0.5})
    process = Process([case(source="loud")], np.array([-2.0]), weights)
    same, other = process.beliefs([case(source="loud"), case(source=None)])
    assert same.mean == pytest.approx(CENTRE + 0.3 / 0.9 * (-2.0 - CENTRE))
    assert other.mean == pytest.approx(same.mean)


def test_the_order_of_recipes_does_not_matter() -> None:
    recipes = load_recipes()
    cases, rates = [recipe_case(r) for r in recipes], np.log10([r.peak_lr for r in recipes])
    fitted = read_fitted().fit
    order = np.random.default_rng(1).permutation(len(cases))
    asked = [case(batch_size=None), case(architecture="vit", model="x", family="y")]
    straight = Blend(cases, rates, fitted).beliefs(asked)
    mixed = Blend([cases[i] for i in order], rates[order], fitted).beliefs(asked)
    for one, two in zip(straight, mixed, strict=True):
        assert one.mean == pytest.approx(two.mean, abs=1e-8)
        assert one.sd == pytest.approx(two.sd, abs=1e-8)


def toy() -> tuple[list[Case], np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    cases, rates = [], []
    for i in range(48):
        family, source = f"f{i % 8}", f"s{i % 6}"
        method = "full" if i % 2 else "lora"
        cases.append(case(family=family, model=f"{family}-{i % 3}", source=source, method=method))
        rates.append((-4.7 if method == "full" else -3.6) + 0.2 * (i % 8) / 8 + rng.normal(0, 0.1))
    return cases, np.array(rates), np.array([c.family for c in cases]), np.array(
        [c.source for c in cases]
    )  # fmt: skip


def test_a_held_out_family_is_answered_without_it() -> None:
    """The error of a leave-one-family-out run, computed a second time with `Blend` alone."""
    cases, rates, families, _ = toy()
    study = Study(cases, rates)
    everything = np.arange(len(cases))
    weights = Fit(variances(method=0.5, family=0.1, model=0.05, alike=0.1, noise=0.02), START)
    found = study.hold_out(everything, families, weights)
    miss = np.zeros(len(cases))
    for family in set(families):
        kept = [i for i in everything if families[i] != family]
        blend = Blend([cases[i] for i in kept], rates[kept], weights)
        for i in np.flatnonzero(families == family):
            miss[i] = abs(blend.beliefs([cases[i]])[0].mean - rates[i])
    ours = np.abs(found.mean - rates[found.index])
    np.testing.assert_allclose(ours, miss[found.index], atol=1e-9)
    assert set(found.level) == {"cell"}


def test_a_held_out_rate_moves_no_answer_of_its_fold() -> None:
    """No leakage: with its rates replaced by nonsense, a family is predicted just the same."""
    cases, rates, families, sources = toy()
    spoilt = np.where(families == "f0", 3.0, rates)
    clean, dirty = (
        next(iter(nested(Study(cases, r), families, families, sources, inner_folds=3)))
        for r in (rates, spoilt)
    )
    np.testing.assert_allclose(clean.answers.mean, dirty.answers.mean, atol=1e-9)
    assert clean.scales == dirty.scales


def test_groups_that_share_a_fit_are_not_fitted_to() -> None:
    cases, rates, families, sources = toy()
    study = Study(cases, rates)
    found = list(nested(study, families, families, sources, folds=4, inner_folds=3))
    assert len(found) == 8
    for one in found:
        own = set(families[one.answers.index].tolist())
        assert len(own) == 1
        assert not own & set(families[one.fitted].tolist())
        assert set(one.kept.tolist()) == set(np.flatnonzero(families != own.pop()).tolist())
    assert len({id(one.fit) for one in found}) == 4


def test_fitting_finds_what_moves_the_rates() -> None:
    cases, rates, _, _ = toy()
    found = Study(cases, rates).fit_variances(np.arange(len(cases)))
    by_name = dict(zip([part.name for part in PARTS] + ["noise"], found, strict=True))
    assert by_name["method"] + by_name["method-group"] > 5 * by_name["noise"]
    assert 0.002 < by_name["noise"] < 0.05  # the noise that was put in is .01


def test_levels() -> None:
    known = [case(source="a"), case(source="b", model="n", family="g")]
    assert answer_level(case(), known) == "model"
    assert answer_level(case(model="new"), known) == "family"
    assert answer_level(case(model="new", family="new"), known) == "cell"
    assert answer_level(case(model="new", family="new"), known[:1]) == "prior"
    assert answer_level(case(method="lora"), known) == "prior"
    assert answer_level(case(model=None, family=None, pretraining=None), known) == "prior"


def test_the_bands_factor_covers_four_misses_in_five() -> None:
    misses = np.arange(1.0, 41.0) / 10.0  # .1 to 4.0
    scales = level_scales(np.concatenate([misses, 2.0 * misses]), ["model"] * 40 + ["prior"] * 40)
    # conformal rank ceil(41 * .8) = 33 of 40
    assert scales["model"] == pytest.approx(3.3)
    assert scales["prior"] == pytest.approx(6.6)
    assert scales["family"] == scales["cell"] == pytest.approx(6.6)  # too few: the next level's


def test_labels_are_thrown_whole() -> None:
    labels = np.array(["a", "b", "a", "c", "b"])
    folds = throw(labels, 2)
    assert folds[0] == folds[2]
    assert folds[1] == folds[4]
    assert len(set(folds.tolist())) == 2


def test_the_table_holds_truth_alone() -> None:
    recipes = load_recipes()
    assert len(recipes) > 300
    assert {recipe.evidence for recipe in recipes} <= set(TRUTH)
    assert all(0 < recipe.peak_lr < 100 for recipe in recipes)
    assert all(recipe_case(recipe).method for recipe in recipes)


def test_the_stored_fit_belongs_to_this_kernel() -> None:
    fitted = read_fitted()
    assert fitted.fit.variances[-1] > 0
    assert fitted.fit.variances.shape == (len(PARTS) + 1,)
    assert set(fitted.scales) == {"model", "family", "cell", "prior"}
    assert all(0.5 < scale < 3.0 for scale in fitted.scales.values())


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no table of recipes"):
        load_recipes(tmp_path / "absent.csv")
    (tmp_path / "odd.csv").write_text("evidence,peak_lr\nsweep-best,1e-5\n")
    with pytest.raises(InputError, match="has no column"):
        load_recipes(tmp_path / "odd.csv")
