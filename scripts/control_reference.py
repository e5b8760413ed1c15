"""Fit the step of `integrations/_reference.py` to our own sweeps.

    python scripts/control_reference.py

For each model and method of the sweeps with a warm-up in `recommend/measured.py`: the square root
of the median matrix's entries, the geometric mean of the best rates, their product, and what the
products of the other models would have suggested.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import numpy as np

from lrpilot.bench.tasks import TASKS
from lrpilot.integrations._reference import median_root
from lrpilot.recommend.measured import SWEEPS

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


def main() -> None:
    """Fit and report."""
    rates: dict[Any, list[float]] = defaultdict(list)
    for sweep in SWEEPS:
        if sweep.warmup:
            rates[sweep.family, sweep.method].append(sweep.best_log_rate)
    roots = {}
    for key in rates:
        model = TASKS[LENDERS[key]].build(0).new_model()
        roots[key] = median_root(model.parameters())
    steps = {key: float(np.mean(found)) + math.log10(roots[key]) for key, found in rates.items()}
    for key, step in steps.items():
        others = 10 ** np.mean([v for k, v in steps.items() if k[0] != key[0]])
        print(
            f"{key[0]:14}{key[1]:6}{len(rates[key]):3} sweeps, median root {roots[key]:5.0f}:"
            f" best rate {10 ** np.mean(rates[key]):.1e}, times the root {10**step:.2f};"
            f" the other models' {others:.2f} suggests {others / roots[key]:.1e}"
        )
    values = np.array(list(steps.values()))
    print(f"all: {10 ** values.mean():.2f}, scatter {values.std(ddof=1):.2f} powers of ten")


if __name__ == "__main__":
    main()
