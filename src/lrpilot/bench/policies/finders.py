"""Range tests: raise the rate geometrically, look at the training loss, take a peak.

Each is stated anew from its project's source and constants (fastai 2.8, Lightning 2.6,
torch-lr-finder 0.2.2). The run that follows starts from the pretrained weights, at the peak that
was found, with linear decay; the steps of the test are paid for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lrpilot.bench.lab import DivergedError, Lab, Result

Array = NDArray[np.float64]
_FALLBACK = 1e-3  # what these projects train with when their finder has no answer: torch's Adam


@dataclass(frozen=True, slots=True, kw_only=True)
class Finder:
    """One finder.

    Attributes:
        name: As the results call it.
        low, high, steps: The range and the length of the test. (paper)
        beta: Of the running mean of the loss. (paper)
        corrected: Whether that mean is corrected for its start at zero. (paper)
        stop: The test ends at this multiple of the lowest smoothed loss. (paper)
        skip: Points left out at the beginning and at the end. (paper)
        suggest: The rule: rates and smoothed losses in, a peak out; None without an answer.
    """

    name: str
    low: float
    high: float
    steps: int = 100
    beta: float
    corrected: bool = True
    stop: float
    skip: tuple[int, int]
    suggest: Callable[[Array, Array], float | None]

    def run(self, lab: Lab) -> Result:
        """The test, then one run."""
        rates, losses = self._sweep(lab)
        first, last = self.skip
        kept = slice(first, len(rates) - last)
        found = self.suggest(rates[kept], losses[kept]) if len(rates) > first + last + 2 else None
        peak_lr = _FALLBACK if found is None else found
        note = "no answer" if found is None else ""
        return Result(model=lab.start().constant(peak_lr), peak_lr=peak_lr, note=note)

    def _sweep(self, lab: Lab) -> tuple[Array, Array]:
        training = lab.start()
        rates, losses = [], []
        smooth, best = 0.0, math.inf
        for i in range(self.steps):
            lr = self.low * (self.high / self.low) ** (i / (self.steps - 1))
            try:
                loss = training.step(lr)
            except DivergedError:
                break
            if self.corrected or i > 0:
                smooth = self.beta * smooth + (1 - self.beta) * loss
            else:
                smooth = loss
            seen = smooth / (1 - self.beta ** (i + 1)) if self.corrected else smooth
            rates.append(lr)
            losses.append(seen)
            best = min(best, seen)
            if i > 0 and seen > self.stop * best:
                break
        return np.array(rates), np.array(losses)


def valley(rates: Array, losses: Array) -> float:
    """A point past the middle of the longest falling subsequence (fastai's default)."""
    lengths = np.ones(len(losses), dtype=int)
    for i in range(1, len(losses)):
        before = lengths[:i][losses[:i] > losses[i]]
        lengths[i] = 1 + (int(before.max()) if before.size else 0)
    end = int(lengths.argmax())
    start = end - int(lengths[end])
    third = (end - start) / 3
    return float(rates[max(0, start + int(third) + int(third / 2))])


def steepest_log(rates: Array, losses: Array) -> float:
    """Where the loss falls fastest by the logarithm of the rate."""
    return float(rates[int((np.diff(losses) / np.diff(np.log(rates))).argmin())])


def tenth_of_minimum(rates: Array, losses: Array) -> float:
    """A tenth of the rate with the lowest loss."""
    return float(rates[int(losses.argmin())]) / 10


def steepest_linear(rates: Array, losses: Array) -> float:
    """Where the loss falls fastest by the rate itself (Lightning's rule)."""
    return float(rates[int(np.gradient(losses, rates).argmin())])


def steepest_index(rates: Array, losses: Array) -> float:
    """Where the loss falls fastest from step to step (torch-lr-finder's rule)."""
    return float(rates[int(np.gradient(losses).argmin())])


def _fastai(name: str, suggest: Callable[[Array, Array], float | None]) -> Finder:
    return Finder(
        name=name, low=1e-7, high=10.0, beta=0.98, stop=4.0, skip=(10, 5), suggest=suggest
    )


POLICIES = (
    _fastai("fastai-valley", valley),
    _fastai("fastai-steep", steepest_log),
    _fastai("fastai-minimum", tenth_of_minimum),
    Finder(
        name="lightning-finder", low=1e-8, high=1.0, beta=0.98, stop=4.0, skip=(10, 1),
        suggest=steepest_linear,
    ),
    Finder(
        name="torch-lr-finder", low=1e-7, high=10.0, beta=0.95, corrected=False, stop=5.0,
        skip=(10, 5), suggest=steepest_index,
    ),
)  # fmt: skip
