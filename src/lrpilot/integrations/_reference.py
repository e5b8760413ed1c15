"""The rate that the sizes of the weights alone suggest: a second opinion on a start."""

from __future__ import annotations

import math
import statistics
from typing import Any

from lrpilot.facts import RunFacts
from lrpilot.recommend.vocabulary import read_task

_STEP = 0.17  # measured: docs/log.md, best rates of 29 short sweeps, a factor of 2 either way
_METHODS = ("full", "lora", "qlora", "adapter", "linear-probe")
_ADAMS = ("adam", "nadam", "radam", "fusedadam", "pagedadam", "lion")  # class names begin so


def reference_rate(optimizer: Any, facts: RunFacts) -> float | None:
    """The rate at which a step moves the median weight matrix as the best short runs do.

    Adam moves each entry by about the rate, so a matrix of n entries by the rate times the square
    root of n, in Frobenius norm. Rates of published recipes span four powers of ten, these steps
    little more than one, whether all weights train or LoRA's.

    Args:
        optimizer: Its group with the most parameters is what the rate means.
        method: As in `RunFacts`.

    Returns:
        The rate, or None: an optimizer whose steps have another size, a method whose rates do not
        follow the size (soft prompts, preferences), no trainable matrix.
    """
    preference = facts.task is not None and read_task(facts.task)[1] == "preference"
    if (
        facts.method not in _METHODS
        or preference
        or not type(optimizer).__name__.lower().startswith(_ADAMS)
    ):
        return None
    group = max(optimizer.param_groups, key=lambda g: sum(p.numel() for p in g["params"]))
    sizes = [p.numel() for p in group["params"] if p.ndim > 1 and p.requires_grad]
    return _STEP / math.sqrt(statistics.median(sizes)) if sizes else None
