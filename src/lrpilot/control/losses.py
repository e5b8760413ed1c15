"""Series of losses: their noise, their spikes, and whether they rose."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lrpilot.metric import Noise
from lrpilot.stats import median, student_tail

MIN_WINDOW = 8  # assumed: fewer losses than this say nothing about their own noise
_DEGREES_EACH = 0.55  # closed form: of one overlapping second difference, see `jitter`
_MAD_TO_SD = 1.4826  # closed form: a normal's standard deviation over its median deviation


def is_spike(losses: Sequence[float], *, run: int, z: float) -> bool:
    """Whether the last `run` losses all lie far above what the ones before them explain.

    Args:
        losses: Recent training losses in order; the last `run` are judged by the rest.
        run: How many losses in a row must be high.
        z: How many robust standard deviations above the median count as far.

    Returns:
        False when fewer than `MIN_WINDOW` earlier losses are there to judge by.
    """
    before, lowest = losses[:-run], min(losses[-run:], default=math.inf)
    if len(before) < MIN_WINDOW:
        return False
    middle = median(before)
    if lowest <= middle:  # as at most steps, each of which asks
        return False
    sd = _MAD_TO_SD * median([abs(loss - middle) for loss in before])
    return lowest > middle + z * sd + 1e-12 * abs(middle)


def rose(after: Sequence[float], before: Sequence[float], *, alpha: float) -> bool | None:
    """Whether the mean loss rose, by a one-sided Welch test at level `alpha`.

    Returns:
        None when either side holds fewer than two losses.

    Source:
        Welch, "The generalization of Student's problem", Biometrika 34 (1947).
    """
    if len(after) < 2 or len(before) < 2:
        return None
    a, b = np.asarray(after, dtype=float), np.asarray(before, dtype=float)
    va, vb = a.var(ddof=1) / a.size, b.var(ddof=1) / b.size
    difference = float(a.mean() - b.mean())
    if va + vb == 0.0:
        return difference > 0.0
    degrees = (va + vb) ** 2 / (va**2 / (a.size - 1) + vb**2 / (b.size - 1))
    return student_tail(difference / math.sqrt(va + vb), degrees) <= alpha


def jitter(means: Sequence[float], *, least: int, most: int) -> Noise | None:
    """The noise of one value around its trend, from the second differences of the last ones.

    A second difference is free of any straight trend and has six times the variance of one
    value; a bend makes it larger, so it errs on the side of calling a change noise.

    Args:
        means: The values in order, all finite.
        least: Fewer differences than this say nothing.
        most: So many differences are looked at, the latest.

    Returns:
        None with too few differences.

    Source:
        Von Neumann's successive differences, taken twice. Neighbours have correlations of -2/3
        and 1/6, so that a mean of k squares has k / (1 + 2 (4/9 + 1/36)) = 0.51 k degrees of
        freedom or a little more (Satterthwaite's closed form); 0.55 holds for k = 8.
    """
    differences = np.diff(np.asarray(means, dtype=float), n=2)[-most:]
    if differences.size < least:
        return None
    sd = math.sqrt(float((differences**2).mean()) / 6.0)
    return Noise(sd, _DEGREES_EACH * differences.size)
