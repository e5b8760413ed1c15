"""Plain statistics of a series: its start and end, its slope at the end, its jitter, outliers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lrpilot.diagnose.history import Series
from lrpilot.diagnose.statistics import noise_sd
from lrpilot.stats import chi_square_tail, median, student_tail

Array = NDArray[np.float64]
_MAD_TO_SD = 1.4826  # closed form: a normal's standard deviation over its median deviation
_DEGREES_EACH = 0.51  # closed form: of one overlapping second difference (control/losses.py)
_FAR = 8.0  # assumed: robust standard deviations of an outlier
_START = 20  # assumed: one twentieth of the log is its start, five values at most


@dataclass(frozen=True, slots=True)
class Progress:
    """From where to where a loss went.

    Attributes:
        start, end: Levels: means of the first values and of the last third.
        best: Lowest level (moving mean) on the way.
        error: Standard error of start minus end.
    """

    start: float
    end: float
    best: float
    error: float

    @property
    def drop(self) -> float:
        """How far the loss fell, as a share of the start."""
        return (self.start - self.end) / abs(self.start) if self.start else 0.0


def progress(values: Array) -> Progress:
    """Where a loss started, ended and was lowest; shape (n,), n >= 5."""
    first = max(1, min(5, values.size // _START))
    last = max(2, values.size // 3)
    sd = noise_sd(values)
    means = moving_mean(values, max(1, values.size // 10))
    return Progress(
        start=float(values[:first].mean()),
        end=float(values[-last:].mean()),
        best=float(means.min()),
        error=sd * math.sqrt(1.0 / first + 1.0 / last),
    )


def moving_mean(values: Array, width: int) -> Array:
    """Means of `width` neighbours, shape (n - width + 1,), in time that does not grow with it."""
    sums = np.cumsum(np.concatenate([[0.0], values]))
    return np.asarray((sums[width:] - sums[:-width]) / width)


@dataclass(frozen=True, slots=True)
class Slope:
    """A straight line through the end of a series.

    Attributes:
        per_step: Change by optimizer step.
        level: Value of the line at its end.
        p: One-sided chance of so steep a fall where the truth is flat.
        first_step: Where the line begins.
    """

    per_step: float
    level: float
    p: float
    first_step: float


def end_slope(series: Series, *, share: float = 1.0 / 3.0, least: int = 4) -> Slope | None:
    """The slope of the last part of a series, by least squares; None with too few values."""
    n = max(least, round(share * len(series)))
    if len(series) < least:
        return None
    x, y = series.steps[-n:], series.values[-n:]
    dx = x - x.mean()
    spread = float((dx**2).sum())
    slope = float((dx * y).sum()) / spread
    line = y.mean() + slope * dx
    rest = float(((y - line) ** 2).sum()) / (n - 2)
    p = student_tail(-slope / math.sqrt(rest / spread), n - 2) if rest > 0 else float(slope >= 0)
    return Slope(slope, float(line[-1]), p, float(x[0]))


def exceeds_jitter(values: Array, most: float) -> tuple[float, float]:
    """Whether values jitter around a convex trend by more than `most`.

    Only second differences that bend down count: a loss that falls ever more slowly bends up, and
    noise bends both ways.

    Returns:
        The jitter of one value, and the one-sided p-value of "not above `most`".
    """
    second = np.diff(values, n=2)
    if most <= 0.0 or second.size < 3:
        return 0.0, 1.0
    variance = 2.0 * float((np.minimum(second, 0.0) ** 2).mean()) / 6.0
    degrees = 0.4 * _DEGREES_EACH * second.size  # half of the values, squares of them
    return math.sqrt(variance), chi_square_tail(variance / most**2 * degrees, degrees)


def outliers_up(values: Array, *, width: int = 15) -> tuple[Array, float, float]:
    """Residuals above a moving median.

    Returns:
        Residuals, shape (n,); their robust standard deviation; the largest one downwards that is
        not beside one upwards.
    """
    half = min(width, max(3, values.size // 4)) // 2
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(values, half, mode="edge"), 2 * half + 1
    )
    rest = np.asarray(values - np.partition(windows, half, axis=1)[:, half])
    sd = _MAD_TO_SD * median(np.abs(rest))
    near = np.convolve(rest > _FAR * sd, np.ones(2 * half + 1), mode="same") > 0
    return rest, sd, float(max(0.0, -rest[~near].min(initial=0.0)))
