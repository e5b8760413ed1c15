"""Fit the step of `integrations/_reference.py` to our own sweeps.

    python scripts/control_reference.py

For each model and method of the sweeps with a warm-up in `recommend/measured.py`: the square root
of the median matrix's entries, the geometric mean of the best rates, their product, and what the
products of the other models would have suggested. Then the errors, in powers of ten, if nobody had
published anything of a model: of the recommendation, of what the weights suggest, and half-way.
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
    roots, steps = {}, {}
    for key, found in sweeps.items():
        model = TASKS[LENDERS[key]].build(0).new_model()
        roots[key] = math.log10(median_reach(model.parameters(), RunFacts()) or math.nan)
        steps[key] = float(np.mean([sweep.best_log_rate for sweep in found])) + roots[key]
    errors = []
    for key, found in sweeps.items():
        others = float(np.mean([step for other, step in steps.items() if other[0] != key[0]]))
        print(
            f"{key[0]:13}{key[1]:5}{len(found):2} sweeps: median root {10 ** roots[key]:.0f}, best"
            f" rate {10 ** (steps[key] - roots[key]):.1e}, product {10 ** steps[key]:.2f};"
            f" the other models' {10**others:.2f} suggests {10 ** (others - roots[key]):.1e}"
        )
        best = np.array([sweep.best_log_rate for sweep in found])
        prior, weights = np.array([unknown(sweep) for sweep in found]), others - roots[key]
        errors.append([np.mean((guess - best) ** 2)
                       for guess in (prior, weights, (prior + weights) / 2)])  # fmt: skip
    values = np.array(list(steps.values()))
    print(f"all: {10 ** values.mean():.2f}, scatter {values.std(ddof=1):.2f} powers of ten")
    alone, weights, half_way = np.sqrt(np.mean(errors, axis=0))
    print(f"unknown: recommendation {alone:.2f}, weights {weights:.2f}, half-way {half_way:.2f}")


if __name__ == "__main__":
    main()
