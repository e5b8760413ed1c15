"""The number itself: what the recipes say of a case, corrected, with a calibrated band."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from lrpilot.recommend import corrections
from lrpilot.recommend.blend import Blend, Fit
from lrpilot.recommend.calibration import answer_level
from lrpilot.recommend.cases import Case, recipe_case
from lrpilot.recommend.corrections import Shift, ShortRuns
from lrpilot.recommend.kernel import PARTS, Matrix
from lrpilot.recommend.neighbours import PARAMETERS
from lrpilot.recommend.process import Belief
from lrpilot.recommend.resolve import Resolved
from lrpilot.recommend.table import DEFAULT_TABLE, Recipe, load_recipes

FITTED = Path(__file__).parent / "fitted.json"


@dataclass(frozen=True, slots=True)
class Fitted:
    """What `scripts/recommend_fit.py` stored.

    Attributes:
        fit: The variances of the process, and what sets recipes apart.
        scales: Factor on the standard deviation by level, for the band.
        short_runs: The correction for short runs of small models, by optimizer of the sweeps.
    """

    fit: Fit
    scales: dict[str, float]
    short_runs: dict[str, ShortRuns]


@dataclass(frozen=True, slots=True)
class Estimate:
    """The estimate, in log10 of the rate.

    Attributes:
        centre: The median of what a careful source would publish for this run.
        peak: The centre after caution: where to start.
        low, high: The band.
        level: At which level the recipes answered.
        shifts: Corrections applied, in order; caution is the last and moves the peak alone.
        likeness: How much each recipe counts among the nearest; shape (recipes,).
    """

    centre: float
    peak: float
    low: float
    high: float
    level: str
    shifts: tuple[Shift, ...]
    likeness: Matrix


@dataclass(frozen=True, slots=True)
class Estimator:
    """The recipes, the estimators over them, and their calibration."""

    recipes: tuple[Recipe, ...]
    cases: tuple[Case, ...]
    blend: Blend
    fitted: Fitted

    def estimate(self, facts: Resolved, *, lora_rank: int | None = None) -> Estimate:
        """The estimate for resolved facts, and for a rank, which no recipe is compared by."""
        belief = self.beliefs([facts.case])[0]
        level = answer_level(facts.case, self.cases)
        shifts = self.shifts(facts, lora_rank=lora_rank)
        centre = belief.mean + sum(shift.by for shift in shifts)
        sd = float(np.sqrt(belief.sd**2 + sum(shift.sd**2 for shift in shifts)))
        half = sd * self.fitted.scales[level]
        careful = corrections.caution(facts.case, belief.sd_best)
        peak = centre + careful.by if careful else centre
        low, high = centre - half, centre + half
        return Estimate(
            centre=centre,
            peak=min(max(peak, low), high),
            low=low,
            high=high,
            level=level,
            shifts=(*shifts, careful) if careful and careful.by else shifts,
            likeness=self.blend.likeness(facts.case),
        )

    def beliefs(self, cases: Sequence[Case]) -> list[Belief]:
        """What the recipes alone say of each case."""
        return self.blend.beliefs(cases)

    def shifts(self, facts: Resolved, *, lora_rank: int | None) -> tuple[Shift, ...]:
        """The corrections that move the centre."""
        found = (
            corrections.lion(facts.optimizer),
            corrections.lora_rank(lora_rank, facts.case.method),
            corrections.short_run(facts.case, self.fitted.short_runs),
        )
        return tuple(shift for shift in found if shift is not None)


@lru_cache(maxsize=2)
def load_estimator(table: Path = DEFAULT_TABLE, fitted: Path = FITTED) -> Estimator:
    """The estimator over a table of recipes; built once a process, in about a tenth of a second."""
    recipes = load_recipes(table)
    cases = tuple(recipe_case(recipe) for recipe in recipes)
    stored = read_fitted(fitted)
    rates = np.log10([recipe.peak_lr for recipe in recipes])
    return Estimator(recipes, cases, Blend(cases, rates, stored.fit), stored)


def read_fitted(path: Path = FITTED) -> Fitted:
    """The stored fit and calibration."""
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    names = [part.name for part in PARTS] + ["noise"]
    return Fitted(
        fit=Fit(
            variances=np.array([data["variances"].get(name, 0.0) for name in names]),
            likeness={name: data["likeness"][name] for name in PARAMETERS},
        ),
        scales=data["scales"],
        short_runs={
            name: ShortRuns(found["slopes"], found["sd"])
            for name, found in data["short_run"].items()
        },
    )
