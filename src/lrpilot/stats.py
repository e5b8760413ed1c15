"""A median, and the tails of Student's t and chi-square, for use while a model trains.

numpy's median imports `numpy.ma`, and the tails would need scipy: each takes longer than all that
the autopilot decides in a short run. The tails are incomplete integrals by their continued
fractions (modified Lentz), or by a series where that is the faster way.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

_CLOSE = 1e-15  # closed form: a factor that changes no digit
_TINY = 1e-300  # closed form: instead of a division by zero
_MOST = 100_000  # assumed: terms; some square roots of the degrees are needed
_MANY = 1e5  # closed form: the normal distribution's approximation errs by 1 / degrees squared


def median(values: Sequence[float] | NDArray[np.float64]) -> float:
    """The median of finite values, shape (n,), n >= 1."""
    ordered, n = np.sort(values) if isinstance(values, np.ndarray) else sorted(values), len(values)
    return float(ordered[(n - 1) // 2] + ordered[n // 2]) / 2.0


def medians(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median of each row of finite values, shape (rows, n) to (rows,), n >= 1."""
    ordered, n = np.sort(rows, axis=1), rows.shape[1]
    return np.asarray((ordered[:, (n - 1) // 2] + ordered[:, n // 2]) / 2.0)


def student_tail(t: float, degrees: float) -> float:
    """Chance of a Student's t above `t`; degrees above zero, infinite for the normal distribution.

    Example:
        >>> round(student_tail(1.812, 10), 3)
        0.05

    Source:
        Abramowitz and Stegun 26.7.1: half of I_x(degrees / 2, 1 / 2) at x = degrees / (degrees +
        t2); above 1e5 degrees Wallace, Annals of Mathematical Statistics 30 (1959).
    """
    t, degrees = float(t), float(degrees)  # numbers of numpy would come out as such
    if math.isnan(t) or math.isinf(t):
        return math.nan if math.isnan(t) else float(t < 0)
    square = t * t / degrees
    if degrees > _MANY:
        z = math.sqrt(degrees * math.log1p(square)) if math.isfinite(degrees) else abs(t)
        z *= (8.0 + 1.0 / degrees) / (8.0 + 3.0 / degrees)
        return 0.5 * math.erfc(math.copysign(z, t) / math.sqrt(2.0))
    beyond = 0.5 * _beta(0.5 * degrees, 0.5, 1.0 / (1.0 + square), square / (1.0 + square))
    return beyond if t > 0 else 1.0 - beyond


def chi_square_tail(x: float, degrees: float) -> float:
    """Chance of a chi-square above `x`; degrees above zero.

    Example:
        >>> round(chi_square_tail(18.307, 10), 3)
        0.05

    Source:
        Abramowitz and Stegun 26.4.19, 6.5.29 (series) and 6.5.31 (continued fraction).
    """
    a, z = 0.5 * float(degrees), 0.5 * float(x)  # half of the least number is zero
    if math.isnan(z) or z <= 0.0 or math.isinf(z):
        return math.nan if math.isnan(z) else float(z <= 0.0)
    front = math.exp(a * math.log(z) - z - math.lgamma(a))
    if z >= a + 1.0:
        return front * _fraction(
            (-n * (n - a) if n else 1.0, z + 2 * n + 1 - a) for n in range(_MOST)
        )
    term = total = 1.0 / a
    for n in range(1, _MOST):
        term *= z / (a + n)
        total += term
        if term < _CLOSE * total:
            break
    return 1.0 - front * total


def _beta(a: float, b: float, x: float, rest: float) -> float:
    """The regularized incomplete beta function I_x(a, b); `rest` is 1 - x to all its digits."""
    if x <= 0.0 or rest <= 0.0:
        return float(rest <= 0.0)
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - _beta(b, a, rest, x)
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(scale + a * math.log(x) + b * math.log(rest)) / a
    return front * _fraction(_beta_terms(a, b, x))


def _beta_terms(a: float, b: float, x: float) -> Iterator[tuple[float, float]]:
    """Numerators and denominators of 1 / (1 + d1 / (1 + ...)), Abramowitz and Stegun 26.5.8."""
    yield 1.0, 1.0
    for m in range(_MOST):
        yield -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)), 1.0
        yield (m + 1) * (b - m - 1) * x / ((a + 2 * m + 1) * (a + 2 * m + 2)), 1.0


def _fraction(terms: Iterator[tuple[float, float]]) -> float:
    """The continued fraction a1 / (b1 + a2 / (b2 + ...)) (Lentz, 1976)."""
    value, c, d = _TINY, _TINY, 0.0
    for a, b in terms:
        d = 1.0 / (b + a * d or _TINY)
        c = b + a / c or _TINY
        value *= c * d
        if abs(c * d - 1.0) < _CLOSE:
            break
    return value
