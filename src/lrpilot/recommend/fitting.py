"""Fitting the estimator's variances by marginal likelihood, and calibrating its band.

Used offline, by `scripts/recommend_fit.py` and `scripts/recommend_crossvalidate.py`; what a
recommendation needs of it is stored in `fitted.json`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrpilot.recommend.cases import Case
from lrpilot.recommend.kernel import PARTS, Encoded, Matrix, part_matrix
from lrpilot.recommend.process import CENTRE, Process

# assumed: a wide log-normal prior on each variance, about .02 squared powers of ten, a factor e**2
_PRIOR_LOG, _PRIOR_SD = np.log(0.02), 2.0
_ITERATIONS = 25  # assumed: the likelihood gains less than a tenth beyond
_BOUNDS = (-12.0, 3.0)  # assumed: log variances, from nothing to far more than the table's spread


def fit_variances(cases: Sequence[Case], log_rates: Matrix) -> Matrix:
    """The variance of each part of the kernel, and last of the noise, that explain the rates best.

    Args:
        cases: One for each recipe.
        log_rates: log10 of their peak rates; shape (recipes,).
    """
    from scipy.optimize import minimize

    encoded = Encoded(cases)
    parts = np.stack([part_matrix(part, encoded, encoded) for part in PARTS])
    start = np.full(len(PARTS) + 1, _PRIOR_LOG)
    found = minimize(
        _objective,
        start,
        args=(parts, log_rates - CENTRE),
        jac=True,
        method="L-BFGS-B",
        bounds=[_BOUNDS] * len(start),
        options={"maxiter": _ITERATIONS},
    )
    return np.exp(found.x)


def _objective(logs: Matrix, parts: Matrix, rates: Matrix) -> tuple[float, Matrix]:
    """Minus the log posterior of the log variances, and its gradient."""
    from scipy.linalg import cho_factor, cho_solve

    variances = np.exp(logs)
    covariance = np.tensordot(variances[:-1], parts, 1)
    covariance[np.diag_indices(len(rates))] += variances[-1]
    factor = cho_factor(covariance, lower=True, overwrite_a=True, check_finite=False)
    inverse = cho_solve(factor, np.eye(len(rates)), check_finite=False)
    alpha = inverse @ rates
    slope = inverse - np.outer(alpha, alpha)
    gradient = 0.5 * variances * np.append(np.tensordot(parts, slope, 2), np.trace(slope))
    off = (logs - _PRIOR_LOG) / _PRIOR_SD
    value = 0.5 * rates @ alpha + np.log(np.diag(factor[0])).sum() + 0.5 * off @ off
    return float(value), gradient + off / _PRIOR_SD


def held_out_beliefs(
    cases: Sequence[Case], log_rates: Matrix, groups: Sequence[Any], variances: Matrix
) -> tuple[Matrix, Matrix]:
    """Means and standard deviations for each recipe, with its whole group left out."""
    mean, sd = np.zeros(len(cases)), np.zeros(len(cases))
    labels: NDArray[Any] = np.array(groups)
    for group in dict.fromkeys(groups):
        out = np.flatnonzero(labels == group)
        kept = np.flatnonzero(labels != group)
        process = Process([cases[i] for i in kept], log_rates[kept], variances)
        for i, belief in zip(out, process.beliefs([cases[i] for i in out]), strict=True):
            mean[i], sd[i] = belief.mean, belief.sd
    return mean, sd
