"""Whether a loss rose above its own start: the mark of a rate that is too high for the warm-up.

The test of `statistics.find_rise` looks at the end of a series; a rate that decays hides a storm at
its beginning. Here the first few values are compared with every later window; of all windows the
largest difference counts, against the largest that noise alone makes of a flat series.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from lrpilot.diagnose.nulls import chance
from lrpilot.diagnose.statistics import TINY, Array, Rise
from lrpilot.stats import medians

LEAST = 10
_MOST = 128  # assumed: longer series are averaged to at most so many values first
_STARTS, _WIDTHS = (1, 3), (2, 4, 8, 16)  # assumed: one high value alone is a spike
_SECOND = 0.25  # assumed: so much of the rise the second highest value shows, too
_GRID, _STEP = 32, 8
# every length that is left after averaging, and so every one that needs a simulated null
LENGTHS = (*range(LEAST, _GRID + 1), *range(_GRID + _STEP, _MOST + 1, _STEP))
_MEDIAN = 0.6745 * math.sqrt(6.0)  # closed form: a normal second difference's median size


def find_hump(values: Array) -> Rise | None:
    """The surest window of later values above the first ones.

    Args:
        values: Finite values in order, shape (n,).

    Returns:
        None with fewer than `LEAST` values, or where all are the same. `best` is the index before
        the window, `low` the level of the start, `high` that of the window.
    """
    return _find_hump(np.asarray(values, dtype=np.float64).tobytes())


@lru_cache(maxsize=32)
def _find_hump(data: bytes) -> Rise | None:
    """Several rules ask the same of the same series, at more than one level."""
    values = np.frombuffer(data)
    if values.size < LEAST or np.ptp(values) == 0.0:
        return None
    width = math.ceil(values.size / _MOST)
    n = values.size // width
    n -= n % _STEP if n > _GRID else 0  # few lengths, a small table of nulls; the latest values go
    means = values[: n * width].reshape(-1, width).mean(axis=1)
    weights, spans = contrasts(means.size)
    sizes = weights @ means
    at = int(sizes.argmax())
    start, first, last = spans[at]
    sd = max(float(noise_of(means[None])[0]), 1e-12 * float(np.abs(means).max()), TINY)
    low = float(means[:start].mean())
    second = float(np.sort(means[first:last])[-2])
    high = float(means[first:last].mean())
    alone = second <= low + _SECOND * (high - low)  # one high value is a spike
    return Rise(
        p=1.0 if alone else chance("hump", means.size, float(sizes[at]) / sd),
        best=max(0, first * width - 1),
        low=low,
        high=high,
        sd=sd * math.sqrt(width),
    )


@lru_cache(maxsize=64)
def contrasts(n: int) -> tuple[Array, tuple[tuple[int, int, int], ...]]:
    """Every window of later values minus the first ones, scaled to unit noise."""
    rows, spans = [], []
    for start in _STARTS:
        for width in _WIDTHS:
            firsts = range(start, n - width + 1, width // 2)
            since = np.arange(n) - np.array(firsts, dtype=int)[:, None]
            block = np.where((since >= 0) & (since < width), 1.0 / width, 0.0)
            block[:, :start] = -1.0 / start
            rows.append(block / math.sqrt(1.0 / start + 1.0 / width))
            spans += [(start, first, first + width) for first in firsts]
    return np.concatenate(rows), tuple(spans)


def noise_of(series: Array) -> Array:
    """Robust noise of the quieter half, from second differences; shape (runs, n) to (runs,).

    A storm is noisier than what comes before or after it.
    """
    second = np.abs(np.diff(series, n=2, axis=1))
    half = second.shape[1] // 2
    parts = [medians(part) for part in (second[:, :half], second[:, half:])]
    return np.asarray(np.min(parts, axis=0) / _MEDIAN)
