"""Series over steps, made ready for drawing: smoothed, and thinned without losing an extreme."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True, slots=True)
class Series:
    """Values over steps, all finite.

    Attributes:
        steps: Optimizer steps, in order.
        values: One value for each.
    """

    steps: tuple[int, ...] = ()
    values: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.steps)


def finite(steps: Sequence[int], values: Sequence[float]) -> Series:
    """The points whose value is neither NaN nor infinite."""
    pairs = [(s, v) for s, v in zip(steps, values, strict=True) if math.isfinite(v)]
    return Series(tuple(s for s, _ in pairs), tuple(v for _, v in pairs))


def smooth(series: Series, *, span: float, restarts: Collection[int] = ()) -> Series:
    """An exponential average, freed of the pull towards its start.

    Each value is the mean of all values so far, with weights that fall by 1 - 2 / (span + 1) from
    one step back to the next.

    Args:
        series: What to smooth.
        span: How many values it roughly averages over; 1 changes nothing.
        restarts: Steps after which the average starts anew, such as those of roll-backs: what
            was undone says nothing about what follows.
    """
    keep = 1.0 - 2.0 / (span + 1.0)
    total = weight = 0.0
    left = sorted(restarts, reverse=True)
    out = []
    for step, value in zip(series.steps, series.values, strict=True):
        while left and step > left[-1]:
            left.pop()
            total = weight = 0.0
        total = keep * total + value
        weight = keep * weight + 1.0
        out.append(total / weight)
    return Series(series.steps, tuple(out))


def thin(series: Series, *, buckets: int) -> Series:
    """At most two points of each bucket, the lowest and the highest, and both ends.

    Args:
        series: What to thin; returned as it is where it has no more than two points a bucket.
        buckets: Number of spans with equally many points.

    Returns:
        At most `2 * buckets + 2` points of the series, in order.
    """
    if len(series) <= 2 * buckets:
        return series
    values = np.asarray(series.values)
    edges = np.linspace(0, len(series), buckets + 1).astype(int)
    chosen = {0, len(series) - 1}
    for start, stop in pairwise(edges):
        part = values[start:stop]
        chosen |= {int(start + part.argmin()), int(start + part.argmax())}
    order = sorted(chosen)
    return Series(tuple(series.steps[i] for i in order), tuple(series.values[i] for i in order))
