"""Whether a noisy series rose after its best: a test that has looked at every place of the best.

A test that starts at the smallest value of the very series that it tests cries wolf: the smallest
of many noisy values is low by luck. Here every place of the best is a contrast, "flat, then rising
to the end"; all of them are tried, and the largest, over the noise, is compared with the largest
that noise alone makes of a flat series of the same length. A flat series is the least favourable of
all that never rise: every weight before the best is lighter than those after it, so a falling step
can only make a contrast smaller, and a bend can only make the noise look larger.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lrpilot.diagnose.nulls import chance

Array = NDArray[np.float64]
LEAST = 5  # closed form: fewer values have no two second differences in their later half
_MOST = 64  # assumed: longer series are averaged to at most so many values first
_GRID, _STEP = 32, 4
TINY = float(np.finfo(np.float64).tiny)
# every length that is left after averaging, and so every one that needs a simulated null
LENGTHS = (*range(LEAST, _GRID + 1), *range(_GRID + _STEP, _MOST + 1, _STEP))
_FEW = 10  # assumed: up to here the level at the best is one value, not a mean of three
_ENOUGH = 8  # measured (docs/log.md): below, no fit does better than second differences
_LATE = 0.8  # assumed: the share of a series that a curve is fitted to
_DECAYS = (4.0, 8.0, 16.0)  # assumed: factors of e that a descent falls by in that share
_LOST = 3.0  # assumed: a fit of three parameters to m values lowers their correlation by 3 / m
_POWER = 0.75  # measured (docs/log.md): false alarms under correlated noise against power
_CAP = 4.0  # assumed: correlation 0.5 makes 2.7 times of what second differences say
_BACK = (2, 4, 8)  # assumed: how many values before the best a contrast may rest on; and all


@dataclass(frozen=True, slots=True)
class Rise:
    """How a series rose after its best.

    Attributes:
        p: Chance that a series that never rises shows such a rise somewhere by noise.
        best: Index of the last value before the rise.
        low, high: Levels (means of a few values) at the best and at the end.
        sd: Standard deviation of one value's noise.
    """

    p: float
    best: int
    low: float
    high: float
    sd: float

    @property
    def relative(self) -> float:
        """The rise as a share of the level that it rose from."""
        return (self.high - self.low) / abs(self.low) if self.low else float("inf")


def find_rise(values: Array) -> Rise | None:
    """The surest rise of the end of a series above an earlier part of it.

    Args:
        values: Finite values in order, shape (n,).

    Returns:
        None with fewer than `LEAST` values, or where all are the same.
    """
    return _find_rise(np.asarray(values, dtype=np.float64).tobytes())


@lru_cache(maxsize=32)
def _find_rise(data: bytes) -> Rise | None:
    """Several rules ask the same of the same series, at more than one level."""
    values = np.frombuffer(data)
    if values.size < LEAST or np.ptp(values) == 0.0:
        return None
    width = math.ceil(values.size / _MOST)
    extra = values.size % width
    if values.size // width > _GRID:  # few lengths, a small table of nulls; the oldest values go
        extra += values.size // width % _STEP * width
    means = values[extra:].reshape(-1, width).mean(axis=1)
    n = means.size
    weights, turns = rise_contrasts(n)
    sizes = weights @ means
    at = int(sizes.argmax())
    sd = max(float(noise_of(means[None])[0]), 1e-12 * float(np.abs(means).max()), TINY)
    turn = turns[at]
    few = max(1, min(3, (n - 1 - turn) // 3))
    low = float(means[max(0, turn - 1) : turn + 2].mean()) if n > _FEW else float(means[turn])
    return Rise(
        p=chance("rise", n, float(sizes[at]) / sd),
        best=extra + (turn + 1) * width - 1,
        low=low,
        high=float(means[-few:].mean()),
        sd=noise_sd(means[means.size // 3 :]) * math.sqrt(width),
    )


@lru_cache(maxsize=128)
def rise_contrasts(n: int) -> tuple[Array, tuple[int, ...]]:
    """Every "flat, then rising in a straight line to the end", with a mean of zero and unit norm.

    Returns:
        Weights, shape (contrasts, n), never falling where they are not zero; and for each row the
        index where its rise begins.
    """
    pairs = [
        (turn, start)
        for turn in range(1, n - 1)
        for start in sorted({0, *(max(0, turn - back) for back in _BACK)})
    ]
    turn, start = np.array(pairs).T[:, :, None]
    ramps = np.maximum(0.0, np.arange(n) - turn)
    centred = ramps - ramps.sum(axis=1, keepdims=True) / (n - start)
    rows = np.where(np.arange(n) < start, 0.0, centred)
    rows /= np.sqrt((rows**2).sum(axis=1, keepdims=True))
    return rows, tuple(turn for turn, _ in pairs)


def noise_of(series: Array) -> Array:
    """Noise of one value around a smooth course, shape (runs, n) to (runs,), n >= 5.

    Fewer than eight values: from second differences, which are free of a straight trend and have
    six times the variance of one value; of the last half or the last four fifths of them, whichever
    is smaller, since the first descent bends. More: what the best course, "a descent, and from some
    place on a straight rise", leaves over of the last 80%, times ((1 + r) / (1 - r)) ** 0.75 where
    neighbours correlate by r > 0; but at most four times what second differences say, since a
    course may have more turns than one.

    A power of a half is the variance of a mean of an autoregressive series of order one, as in any
    textbook; more weighs the evidence for memory more. The fit makes r too small by about 3 / m.

    Source:
        Von Neumann's successive differences, taken twice.
    """
    n = series.shape[1]
    seconds = np.diff(series, n=2, axis=1) ** 2
    lasts = [max(2, round(share * (n - 2))) for share in (0.5, 0.8)]
    rough = np.sqrt(np.min([seconds[:, -k:].mean(axis=1) / 6.0 for k in lasts], axis=0))
    if n < _ENOUGH:
        return np.asarray(rough)
    m = math.ceil(_LATE * n)
    rest = _off_course(series[:, -m:])
    squares = (rest**2).sum(axis=1)
    r = (rest[:, 1:] * rest[:, :-1]).sum(axis=1) / np.maximum(squares, TINY)
    r = np.clip(r + _LOST / m, 0.0, 0.9)
    smooth = np.sqrt(squares / (m - 4)) * ((1.0 + r) / (1.0 - r)) ** _POWER
    return np.asarray(np.minimum(smooth, _CAP * rough))


def _off_course(late: Array) -> Array:
    """What the best course leaves over of each row, each row its own course; shape (runs, m)."""
    courses = _courses(late.shape[1])
    flat = courses.transpose(1, 0, 2).reshape(late.shape[1], -1)
    parts = (late @ flat).reshape(len(late), len(courses), 3)
    best = (parts**2).sum(axis=2).argmax(axis=1)
    mine = np.take_along_axis(parts, best[:, None, None], axis=1)[:, 0]
    return np.asarray(late - np.einsum("imk,ik->im", courses[best], mine))


@lru_cache(maxsize=128)
def _courses(m: int) -> Array:
    """Orthonormal bases of "level, straight or decaying descent, rise from one place on".

    Shape (courses, m, 3).
    """
    time = np.arange(m) / m
    descents = np.array([time, *(np.exp(-decay * time) for decay in _DECAYS)])[:, None, :]
    rises = np.maximum(0.0, time - time[1:-2, None])[None]
    parts = np.broadcast_arrays(np.ones(m), descents, rises)
    return np.linalg.qr(np.stack(parts, axis=-1).reshape(-1, m, 3))[0]


def noise_sd(values: Array) -> float:
    """Noise of one value around its trend, from all second differences, shape (n,), n >= 3."""
    return float(np.sqrt((np.diff(values, n=2) ** 2).mean() / 6.0))
