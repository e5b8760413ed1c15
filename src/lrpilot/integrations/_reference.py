"""The rate that the sizes of the weights alone suggest: a second opinion on a start."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from typing import Any

from lrpilot.facts import RunFacts
from lrpilot.integrations._rates import body_index
from lrpilot.recommend.vocabulary import is_preference

_STEP = 0.17  # measured: scripts/control_reference.py, eight models and methods, a factor of 2
_METHODS = ("full", "lora", "qlora")  # those of the sweeps, and what is trained like LoRA
_ADAMS = ("adam", "nadam", "radam", "fusedadam", "pagedadam")  # class names begin so


def reference_rate(optimizer: Any, facts: RunFacts) -> float | None:
    """The rate at which a step moves the median weight matrix as in the best of short runs.

    Adam moves each entry by about the rate, so a matrix of n entries by the rate times the square
    root of n (Frobenius norm). At the best rates of our own sweeps that is alike for convolutional
    nets and transformers, for all weights and for LoRA's.

    Args:
        optimizer: Its group with the most parameters is what the rate means.
        facts: Method and task.

    Returns:
        The rate, or None: `sizes_speak` not (another optimizer, soft prompts, a new head alone,
        preferences), or no trainable matrix.
    """
    if not sizes_speak(optimizer, facts):
        return None
    root = median_root(optimizer.param_groups[body_index(optimizer)]["params"])
    return None if root is None else _STEP / root


def sizes_speak(optimizer: Any, facts: RunFacts) -> bool:
    """Whether such steps were measured for this optimizer, method and task."""
    adam = type(optimizer).__name__.lower().startswith(_ADAMS)
    return adam and facts.method in _METHODS and not is_preference(facts.task)


def median_root(parameters: Iterable[Any]) -> float | None:
    """Square root of the median number of entries of the trainable matrices; None without any."""
    sizes = [p.numel() for p in parameters if p.ndim > 1 and p.requires_grad]
    return math.sqrt(statistics.median(sizes)) if sizes else None
