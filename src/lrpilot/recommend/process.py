"""The estimator: a Gaussian process over the published recipes, in NumPy alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lrpilot.recommend.cases import Case
from lrpilot.recommend.kernel import HABITS, PARTS, Encoded, Matrix, part_matrix, prior_variance

CENTRE = -4.5  # assumed: the prior mean of log10 LR, 3e-5, the median of the first survey's recipes


@dataclass(frozen=True, slots=True)
class Belief:
    """What the recipes say of one case, in powers of ten.

    Attributes:
        mean, sd: Of log10 of the rate that a source not yet seen would publish.
        sd_best: Without what publishers add of their own: the uncertainty of the best rate.
    """

    mean: float
    sd: float
    sd_best: float


class Process:
    """The process given recipes.

    Args:
        cases: One for each recipe.
        log_rates: log10 of their peak rates; shape (recipes,).
        variances: One for each part of the kernel, and last the noise.
    """

    def __init__(self, cases: Sequence[Case], log_rates: Matrix, variances: Matrix) -> None:
        self._cases = Encoded(cases)
        self._variances = variances
        covariance = kernel_sum(variances[:-1], self._cases, self._cases)
        covariance[np.diag_indices(len(cases))] += variances[-1]
        self._inverse = np.linalg.inv(covariance)
        self._alpha = self._inverse @ (log_rates - CENTRE)

    def likeness(self, case: Case) -> Matrix:
        """How alike each recipe is to the case, slopes aside; shape (recipes,)."""
        level = np.array([0.0 if part.slope else 1.0 for part in PARTS])
        variances = np.where(HABITS, 0.0, self._variances[:-1]) * level
        alike: Matrix = kernel_sum(variances, Encoded([case]), self._cases)[0]
        return alike

    def beliefs(self, cases: Sequence[Case]) -> list[Belief]:
        """What the recipes say of each case."""
        asked = Encoded(cases)
        shared = kernel_sum(np.where(HABITS, 0.0, self._variances[:-1]), asked, self._cases)
        mean = CENTRE + shared @ self._alpha
        before = prior_variance(self._variances[:-1], asked) + self._variances[-1]
        learnt = np.einsum("ij,ij->i", shared @ self._inverse, shared)
        alone = prior_variance(np.where(HABITS, 0.0, self._variances[:-1]), asked)
        spread = np.sqrt(np.maximum(before - learnt, 1e-6))
        spread_best = np.sqrt(np.maximum(alone - learnt, 1e-6))
        return [
            Belief(float(m), float(s), float(b))
            for m, s, b in zip(mean, spread, spread_best, strict=True)
        ]


def kernel_sum(variances: Matrix, left: Encoded, right: Encoded) -> Matrix:
    """The kernel between two sets of cases: the parts, weighted by their variances."""
    total: Matrix = np.zeros((len(left), len(right)))
    for part, variance in zip(PARTS, variances, strict=True):
        if variance > 0.0:
            total += variance * part_matrix(part, left, right)
    return total
