"""The rate that the sizes of the weights alone suggest: a second opinion on a start."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from typing import Any

from lrpilot.facts import RunFacts
from lrpilot.integrations._rates import body_index
from lrpilot.recommend.vocabulary import is_preference

# measured: scripts/control_reference.py, eight models and methods of .6 to 134 million parameters:
# how far the best step moves the median matrix at ten million, and how it falls with their number;
# fitted before LoRA's sweeps of some hundred steps; with them .185 and .21, no better (docs/log.md)
_STEP, _STEP_PARAMS, _STEP_POWER = 0.176, 1e7, 0.28
_LEAST_PARAMS, _MOST_PARAMS = 2.4e4, 1.4e8  # measured: our smallest net and our largest
# measured: docs/log.md, "Lion and Adafactor": the steps of their best rates as a multiple of Adam's
_OVER_ADAM = {"adamw": 1.0, "lion": 0.4, "adafactor": 1.0, "adafactor-relative": 1.1}
# measured: docs/log.md, "A head alone, by its inputs": nats by which a step moves its outputs; 2 is
# too little, 8 spoils warm-ups
_HEAD_MOVE = 4.0
# measured: scripts/control_reference.py, where up to four fifths are as good; and docs/log.md, as
# above: where no sweep stands behind the prior, it errs twice as far as the weights do
_SHARE, _LARGE_SHARE = 0.5, 0.8
_LEAST_SIZE = 1e-3  # paper: Adafactor's eps2, the least size that it takes a tensor for
_METHODS = ("full", "lora", "qlora")  # those of the sweeps, and what is trained like LoRA
_ADAMS = ("adam", "nadam", "radam", "fusedadam", "pagedadam")  # class names begin so


def reference_rate(optimizer: Any, facts: RunFacts) -> float | None:
    """The rate at which a step moves the median weight matrix as in the best of short runs.

    At the best rates of our own sweeps that is alike for convolutional nets and transformers, for
    all weights and for LoRA's, and less in larger models.

    Args:
        optimizer: Its group with the most parameters is what the rate means.
        facts: Optimizer, method, task, and the number of the whole model's parameters.

    Returns:
        The rate, or None: `sizes_speak` not (another optimizer, soft prompts, a new head alone,
        preferences), no trainable matrix, or an unknown number of parameters.
    """
    if not sizes_speak(optimizer, facts) or facts.params is None:
        return None
    reached = median_reach(optimizer.param_groups[body_index(optimizer)]["params"], facts)
    if reached is None:
        return None
    return best_step(facts.params) * _OVER_ADAM[facts.optimizer] / reached


def best_step(params: float) -> float:
    """How far the best steps of Adam move the median matrix of a model, in the Frobenius norm.

    Args:
        params: Parameters of the whole model; beyond those that were measured nothing changes.
    """
    measured = min(max(params, _LEAST_PARAMS), _MOST_PARAMS)
    return float(_STEP * (measured / _STEP_PARAMS) ** -_STEP_POWER)


def head_rate(head: Any, inputs: float, facts: RunFacts) -> float:
    """The rate of a head that trains alone, whose best steps move its outputs about as far.

    They do not fall with the length of the run (measured: 60 and 300 steps). Too rough to doubt a
    number of the user's.

    Args:
        head: Its weights.
        inputs: The sum of its inputs' sizes, of the mean example.
        facts: Optimizer.
    """
    entry = reach(head, facts) / math.sqrt(head.numel())  # what a rate of one moves an entry by
    return _HEAD_MOVE * _OVER_ADAM[facts.optimizer] / (entry * inputs)


def trains_alone(optimizer: Any, facts: RunFacts) -> bool:
    """Whether a head trains alone, with an optimizer whose steps are known."""
    return facts.method == "linear-probe" and _known(optimizer, facts)


def weights_share(facts: RunFacts) -> float:
    """How much the weights count, on a log scale, beside a recommendation without a family."""
    rough = facts.method == "linear-probe" or facts.optimizer == "adafactor-relative"
    return _LARGE_SHARE if rough else _SHARE


def sizes_speak(optimizer: Any, facts: RunFacts) -> bool:
    """Whether such steps were measured for this optimizer, method and task."""
    return facts.method in _METHODS and _known(optimizer, facts) and not is_preference(facts.task)


def _known(optimizer: Any, facts: RunFacts) -> bool:
    if facts.optimizer == "adamw":  # also what facts say of a class that they do not know
        return type(optimizer).__name__.lower().startswith(_ADAMS)
    return facts.optimizer in _OVER_ADAM


def median_reach(parameters: Iterable[Any], facts: RunFacts) -> float | None:
    """`reach` of the median trainable matrix; None without any."""
    found = [_squared_reach(p, facts) for p in parameters if p.ndim > 1 and p.requires_grad]
    return math.sqrt(statistics.median(found)) if found else None


def reach(parameter: Any, facts: RunFacts) -> float:
    """How far a step at a rate of one moves a tensor, in the Frobenius norm.

    Adam, Lion and Adafactor move each entry by about the rate, so n entries by the rate times the
    square root of n; Adafactor with relative rates times the entries' root mean square, too.
    """
    return math.sqrt(_squared_reach(parameter, facts))


def _squared_reach(parameter: Any, facts: RunFacts) -> float:
    entries: int = parameter.numel()
    if facts.optimizer != "adafactor-relative":
        return entries
    return max(float(parameter.detach().norm()) ** 2, _LEAST_SIZE**2 * entries)
