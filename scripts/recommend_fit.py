"""Fit the estimator to the table of recipes: writes src/lrpilot/recommend/fitted.json.

    python scripts/recommend_fit.py [--table FILE.csv]

Variances by marginal likelihood on the whole table; what sets recipes apart by the error on
left-out families and sources; the band's factors from held-out sources and families; the slope for
short runs of small models from our own sweeps (`measured.py`).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from lrpilot.recommend.blend import Blend
from lrpilot.recommend.cases import recipe_case
from lrpilot.recommend.estimate import FITTED
from lrpilot.recommend.fitting import Study, fit_short_runs, short_run_gaps
from lrpilot.recommend.kernel import PARTS
from lrpilot.recommend.table import DEFAULT_TABLE, load_recipes

NEGLIGIBLE = 1e-3  # assumed: squared powers of ten that move no answer by a tenth


def main() -> None:
    """Fit, report and store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", type=Path, default=DEFAULT_TABLE)
    parser.add_argument("--output", type=Path, default=FITTED)
    args = parser.parse_args()
    recipes = load_recipes(args.table)
    cases = [recipe_case(recipe) for recipe in recipes]
    rates = np.log10([recipe.peak_lr for recipe in recipes])
    study = Study(cases, rates)
    everything = np.arange(len(cases))
    fit = study.fit(everything)
    variances = fit.variances
    variances[:-1][variances[:-1] < NEGLIGIBLE] = 0.0
    families = np.array([recipe.family for recipe in recipes])
    sources = np.array([recipe.source for recipe in recipes])
    scales = study.calibrate(everything, families, sources, fit)
    blend = Blend(cases, rates, fit)
    for sweep, gap in short_run_gaps(blend, recipes):
        print(f"{sweep.label}: {sweep.best_log_rate:.2f}, {gap:+.2f} above")
    short_runs = fit_short_runs(blend, recipes)
    names = [part.name for part in PARTS] + ["noise"]
    stored = {
        "made_by": "scripts/recommend_fit.py",
        "recipes": len(recipes),
        "variances": {n: round(float(v), 5) for n, v in zip(names, variances, strict=True) if v},
        "likeness": {name: round(value, 3) for name, value in fit.likeness.items()},
        "scales": {level: round(scale, 3) for level, scale in scales.items()},
        "short_run": {
            optimizer: {
                "slopes": {name: round(value, 3) for name, value in found.slopes.items()},
                "sd": round(found.sd, 3),
            }
            for optimizer, found in short_runs.items()
        },
    }
    args.output.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(stored, indent=1))


if __name__ == "__main__":
    main()
