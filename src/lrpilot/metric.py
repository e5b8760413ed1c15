"""What a validation showed, and how two validations of the same examples compare.

Two evaluations on the same examples share most of their noise: an example that is hard stays hard.
The difference per example is therefore tested, not the difference of two means (a paired t-test,
as in any textbook; with weights it is the ratio estimator of survey sampling). What pairing cannot
see is that training itself jitters: a model a few steps later is really a little better or worse,
and back again soon. That noise between evaluations is the caller's to estimate (`Noise`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrpilot.errors import InputError
from lrpilot.stats import student_tail

Mode = Literal["min", "max"]
Verdict = Literal["improved", "same", "worse", "undecided"]


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """One validation: a value for each example, in a fixed order.

    Attributes:
        values: Per-example values, shape (n,): the loss in nats, or 0/1 for accuracy. One value
            alone is a bare mean whose noise is unknown.
        weights: Per-example weights, shape (n,), for example the number of tokens; equal if None.
        mode: Whether a smaller ("min") or a larger ("max") value is better.

    Raises:
        InputError: No values, shapes that differ, or weights that are not positive.
    """

    values: NDArray[np.float64]
    weights: NDArray[np.float64] | None = None
    mode: Mode = "min"

    @classmethod
    def of(
        cls, values: ArrayLike, *, weights: ArrayLike | None = None, mode: Mode = "min"
    ) -> Evaluation:
        """From anything that NumPy reads as a vector, or one number."""
        v = np.atleast_1d(np.asarray(values, dtype=np.float64))
        w = None if weights is None else np.atleast_1d(np.asarray(weights, dtype=np.float64))
        if v.ndim != 1 or v.size == 0:
            raise InputError(f"an evaluation of shape {v.shape}: give one value per example")
        if mode not in ("min", "max"):
            raise InputError(f'mode is {mode!r}: give "min" (a loss) or "max" (a score)')
        if w is not None and (w.shape != v.shape or not ((w > 0) & (w < np.inf)).all()):
            raise InputError(
                f"weights of shape {w.shape} for {v.size} values: one positive, finite each"
            )
        return cls(v, w, mode)

    @property
    def n(self) -> int:
        """Number of examples."""
        return int(self.values.size)

    @property
    def finite(self) -> bool:
        """Whether no value is NaN or infinite."""
        return bool(np.isfinite(self.values).all())

    @property
    def mean(self) -> float:
        """The (weighted) mean over examples."""
        return float(np.average(self.values, weights=self.weights))

    @property
    def standard_error(self) -> float | None:
        """Standard error of the mean over examples; None for a bare mean."""
        if self.n < 2 or not self.finite:
            return None
        return _ratio_error(self.values - self.mean, self.weights)


@dataclass(frozen=True, slots=True)
class Noise:
    """How far one evaluation's mean lies from its trend, by the jitter of training.

    Attributes:
        sd: Standard deviation, in the metric's unit.
        degrees: Degrees of freedom of that estimate; infinite for a known value.
    """

    sd: float
    degrees: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """How an evaluation differs from a reference on the same examples.

    Attributes:
        verdict: "improved" or "worse" where the one-sided test says so at `alpha`, "same" where
            neither does, "undecided" where there is nothing to test with.
        difference: New mean minus the reference's, in the metric's unit, signed so that a
            positive difference is worse whatever the mode.
        standard_error: Of the difference, over examples and over the jitter of training.
        p_worse: One-sided p-value of "not worse".
        alpha: The level that was asked for.
        n: Number of pairs.
    """

    verdict: Verdict
    difference: float
    standard_error: float
    p_worse: float
    alpha: float
    n: int

    def sentence(self) -> str:
        """The figures in words."""
        if self.verdict == "undecided":
            return "one evaluation has nothing to be compared with"
        if not math.isfinite(self.difference):
            return "validation is not finite"
        test = (
            f", p {self.p_worse:.2g} at level {self.alpha:.2g}" if self.verdict == "worse" else ""
        )
        return f"{self.difference:+.3g} ± {self.standard_error:.2g} ({self.n} pairs{test})"


def compare(
    new: Evaluation, reference: Evaluation, *, alpha: float, noise: Noise | None = None
) -> Comparison:
    """Test whether `new` is worse or better than `reference`, example by example.

    A paired t-test, one-sided in each direction. The variance of the difference is that over
    examples (n - 1 degrees of freedom) plus twice that of the noise between evaluations; their
    degrees of freedom are pooled after Welch and Satterthwaite. Two bare means (n = 1) have only
    the latter; without it the answer is "undecided".

    Args:
        new: The later evaluation.
        reference: The earlier one, on the same examples in the same order.
        alpha: Level of each one-sided test.
        noise: The jitter of one evaluation's mean around its trend; None where it is unknown.

    Returns:
        The comparison. A non-finite `new` is worse than any reference, with p = 0; a finite one
        is better than a non-finite reference, with p = 1.

    Raises:
        InputError: The two differ in the number of examples or in mode.

    Example:
        >>> before = Evaluation.of([1.0, 2.0, 3.0, 4.0])
        >>> compare(Evaluation.of([0.5, 1.6, 2.4, 3.5]), before, alpha=0.05).verdict
        'improved'

    Source:
        Student, "The probable error of a mean", Biometrika 6 (1908); Welch, "The generalization
        of Student's problem", Biometrika 34 (1947).
    """
    if new.n != reference.n or new.mode != reference.mode:
        raise InputError(
            f"an evaluation of {new.n} values ({new.mode}) cannot be paired with one of "
            f"{reference.n} ({reference.mode}): evaluate the same examples in the same order"
        )
    sign = 1.0 if new.mode == "min" else -1.0
    if not new.finite:
        return Comparison("worse", math.inf, math.nan, 0.0, alpha, new.n)
    if not reference.finite:
        return Comparison("improved", -math.inf, math.nan, 1.0, alpha, new.n)
    weights = new.weights if new.weights is not None else reference.weights
    delta = sign * (new.values - reference.values)
    difference = float(np.average(delta, weights=weights))
    if new.n == 1 and noise is None:
        return Comparison("undecided", difference, math.nan, math.nan, alpha, 1)
    over_examples = _ratio_error(delta - difference, weights) ** 2 if new.n > 1 else 0.0
    between = 0.0 if noise is None else 2.0 * noise.sd**2
    variance = over_examples + between
    if variance == 0.0:
        p_worse = 0.5 if difference == 0.0 else float(difference < 0.0)
    else:
        pooled = over_examples**2 / max(1, new.n - 1)
        pooled += 0.0 if noise is None else between**2 / noise.degrees
        degrees = variance**2 / pooled if pooled else math.inf
        p_worse = student_tail(difference / math.sqrt(variance), degrees)
    verdict: Verdict = "same"
    if p_worse <= alpha:
        verdict = "worse"
    elif 1.0 - p_worse <= alpha:
        verdict = "improved"
    return Comparison(verdict, difference, math.sqrt(variance), p_worse, alpha, new.n)


def _ratio_error(residuals: NDArray[np.float64], weights: NDArray[np.float64] | None) -> float:
    """Standard error of a (weighted) mean from its residuals."""
    n = residuals.size
    w = np.full(n, 1.0 / n) if weights is None else weights / weights.sum()
    return float(math.sqrt(n / (n - 1) * float(((w * residuals) ** 2).sum())))
