"""Fit the step of `integrations/_reference.py` to our own sweeps.

    python scripts/control_reference.py

For each model and method of the sweeps with a warm-up in `recommend/measured.py`: the square root
of the median matrix's entries, the geometric mean of the best rates, their product, and what the
other models' products, a power of the number of parameters, would have suggested. Then the errors,
in powers of ten, if nobody had published anything of a model: of the recommendation, of what the
weights suggest, with and without the number of parameters, and of places between the two.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import numpy as np

from lrpilot.bench.tasks import TASKS
from lrpilot.facts import RunFacts
from lrpilot.integrations._reference import median_reach
from lrpilot.recommend import recommend
from lrpilot.recommend.measured import SWEEPS, Sweep

LENDERS = {  # family and method of a sweep: the bench's task that has the model
    ("efficientnet", "full"): "effnet-digits",
    ("resnet", "full"): "resnet-emoji",
    ("minilm", "full"): "minilm-few",
    ("minilm", "lora"): "minilm-lora",
    ("smollm", "full"): "smollm",
    ("smollm", "lora"): "smollm-lora",
    ("gpt2", "full"): "bytes",
    ("gpt2", "lora"): "bytes-lora",
}
SHARES = (0.25, 0.5, 0.67, 0.8)
MIDDLE = 7.0  # log10 of the parameters at which the product is told


def unknown(sweep: Sweep) -> float:
    """The recommendation for it, the model unknown, as log10."""
    cnn = "cnn" if sweep.architecture == "cnn" else None  # its layers show that
    facts = RunFacts(
        architecture=cnn, params=sweep.params, method=sweep.method, classes=sweep.classes,
        steps=sweep.steps, batch_size=sweep.batch_size, train_examples=sweep.examples,
    )  # fmt: skip
    return math.log10(recommend(facts).peak_lr)


def main() -> None:
    """Fit and report."""
    sweeps: dict[Any, list[Sweep]] = defaultdict(list)
    for sweep in SWEEPS:
        if sweep.warmup and sweep.optimizer == "adamw":
            sweeps[sweep.family, sweep.method].append(sweep)
    roots, steps, sizes = {}, {}, {}
    for key, found in sweeps.items():
        model = TASKS[LENDERS[key]].build(0).new_model()
        roots[key] = math.log10(median_reach(model.parameters(), RunFacts()) or math.nan)
        steps[key] = float(np.mean([sweep.best_log_rate for sweep in found])) + roots[key]
        sizes[key] = math.log10(found[0].params)
    errors = []
    for key, found in sweeps.items():
        others = [other for other in sweeps if other[0] != key[0]]
        alike = float(np.mean([steps[other] for other in others]))
        slope, middle = fit(others, sizes, steps)
        step = middle + slope * (sizes[key] - MIDDLE)
        print(
            f"{key[0]:13}{key[1]:5}{len(found):2} sweeps: median root {10 ** roots[key]:.0f}, best"
            f" rate {10 ** (steps[key] - roots[key]):.1e}, product {10 ** steps[key]:.2f};"
            f" the other models' {10**step:.2f} suggests {10 ** (step - roots[key]):.1e}"
        )
        best = np.array([sweep.best_log_rate for sweep in found])
        prior = np.array([unknown(sweep) for sweep in found])
        weights = step - roots[key]
        guesses = [prior, alike - roots[key], weights]
        guesses += [share * weights + (1 - share) * prior for share in SHARES]
        errors.append([np.mean((guess - best) ** 2) for guess in guesses])
    slope, middle = fit(list(sweeps), sizes, steps)
    print(f"all: {10**middle:.3f} at ten million parameters, to the power {slope:.2f}")
    alone, alike, weights, *between = np.sqrt(np.mean(errors, axis=0))
    told = ", ".join(f"{share:.0%} {e:.2f}" for share, e in zip(SHARES, between, strict=True))
    print(f"unknown: recommendation {alone:.2f}, weights {weights:.2f}, by one product {alike:.2f}")
    print(f"so much of the way from the recommendation to the weights: {told}")


def fit(keys: list[Any], sizes: dict[Any, float], steps: dict[Any, float]) -> tuple[float, float]:
    """Slope over powers of ten of parameters, and the value at ten million; a family has one vote.

    Args:
        keys: Family and method.
        sizes, steps: log10 of the parameters and of the products.
    """
    families = [family for family, _ in keys]
    votes = [families.count(family) ** -0.5 for family in families]
    x, y = [sizes[key] - MIDDLE for key in keys], [steps[key] for key in keys]
    slope, middle = np.polyfit(x, y, 1, w=votes)
    return float(slope), float(middle)


if __name__ == "__main__":
    main()
