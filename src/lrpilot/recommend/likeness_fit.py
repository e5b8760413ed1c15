"""Fitting what sets recipes apart (`neighbours`): offline, by `scripts/recommend_fit.py`.

The aim is the estimator's own: the error on families that are left out, and on sources that are
left out, in powers of ten. Weighted means stand for the medians, and a smooth corner for the
absolute error, so that gradients lead the way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lrpilot.recommend.cases import Case
from lrpilot.recommend.neighbours import (
    DISTANCES,
    PARAMETERS,
    SLOPES,
    SOURCE_DAMPING,
    Matrix,
    brought,
    distance,
    facts_of,
    shares_of,
    source_matrix,
    unlikeness,
    weighted_median,
)

Indices = NDArray[np.int64]

# assumed: where the fit starts, and to where a weak prior draws it; a fact that tells much apart
# (method, optimizer) at 3, one that tells little at 1
START: dict[str, float] = {
    "method": 3.0, "method_group": 3.0, "optimizer": 1.0, "domain": 3.0, "architecture": 1.0,
    "pretraining": 1.0, "tuned": 1.0, "task": 1.0, "task_group": 1.0, "family": 1.0, "model": 1.0,
    "layer_decay": 3.0, "size": 1.0, "batch": 1.0, "size_slope": -0.2, "batch_slope": 0.1,
}  # fmt: skip
_PRIOR_SD = 1.0  # assumed: a factor e either way for a distance
_PRIOR_STRENGTH = 1e-3  # assumed: a distance e times off is worth a thousandth of a power of ten
_CORNER = 0.1  # assumed: powers of ten below which an error counts less than its size
_ITERATIONS = 30  # assumed: the aim gains less than a thousandth beyond
# assumed: within one source and model, more parameters never asked for more, nor a larger batch for
# less (docs/article.md); across sources a fit may find otherwise, by accident. Left free, the batch
# would set apart five times as far, as a mark of who published, and twice the batch would change
# whom a user is compared with; held at 1 it costs .003 powers of ten
_BOUNDS = {"size_slope": (-0.8, 0.0), "batch_slope": (0.0, 0.6), "batch": (-6.0, 0.0)}


class Likeness:
    """Recipes whose differences are worked out once, to be fitted and held out often.

    Args:
        cases: One for each recipe.
        log_rates: log10 of their peak rates; shape (recipes,).
    """

    def __init__(self, cases: Sequence[Case], log_rates: Matrix) -> None:
        facts = facts_of(cases)
        self.log_rates = log_rates
        self._unlike = unlikeness(facts, facts)
        self._sources = source_matrix(cases)
        families = np.array([case.family or "" for case in cases])
        same_family = families[:, None] == families[None, :]
        same_source = self._sources @ self._sources.T > 0.0
        self._hidden = (same_family, same_source)

    def fit(self, index: Indices) -> dict[str, float]:
        """The weights that answer these recipes best, family and source left out."""
        from scipy.optimize import minimize

        unlike = {name: m[np.ix_(index, index)] for name, m in self._unlike.items()}
        sources = self._sources[index]
        sources = sources[:, sources.any(axis=0)]
        hidden = [m[np.ix_(index, index)] for m in self._hidden]
        bounds = [_BOUNDS.get(name, (-6.0, 3.0)) for name in PARAMETERS]
        found = minimize(
            _aim,
            _coded(START),
            args=(unlike, sources, hidden, self.log_rates[index]),
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": _ITERATIONS},
        )
        return _decoded(found.x)

    def medians(self, kept: Indices, asked: Indices, weights: Mapping[str, float]) -> Matrix:
        """Answers to the recipes `asked` from the recipes `kept`."""
        block = np.ix_(asked, kept)
        unlike = {name: m[block] for name, m in self._unlike.items()}
        shares = shares_of(distance(unlike, weights), self._sources[kept])
        rates = brought(self.log_rates[kept], unlike, weights)
        return np.array([weighted_median(r, s) for r, s in zip(rates, shares, strict=True)])


def _aim(
    coded: Matrix,
    unlike: Mapping[str, Matrix],
    sources: Matrix,
    hidden: Sequence[NDArray[np.bool_]],
    log_rates: Matrix,
) -> tuple[float, Matrix]:
    """The mean error with families and with sources left out, the prior, and the gradient."""
    weights = _decoded(coded)
    far = distance(unlike, weights)
    rates = brought(log_rates, unlike, weights)
    off = (coded - _coded(START))[: len(DISTANCES)] / _PRIOR_SD
    value = _PRIOR_STRENGTH * float(off @ off)
    gradient = np.zeros(len(coded))
    gradient[: len(DISTANCES)] = 2.0 * _PRIOR_STRENGTH * off / _PRIOR_SD
    for mask in hidden:
        error, slope = _held_out(
            np.where(mask, np.inf, far), rates, sources, log_rates, weights, unlike
        )
        value += error / len(hidden)
        gradient += slope / len(hidden)
    return value, gradient


def _held_out(
    far: Matrix,
    rates: Matrix,
    sources: Matrix,
    log_rates: Matrix,
    weights: Mapping[str, float],
    unlike: Mapping[str, Matrix],
) -> tuple[float, Matrix]:
    near = np.exp(far.min(axis=1, keepdims=True) - far)
    of_source = np.maximum(near @ sources, 1e-300)
    shares = near / (of_source**SOURCE_DAMPING @ sources.T)
    shares /= shares.sum(axis=1, keepdims=True)
    mean = (shares * rates).sum(axis=1)
    miss = mean - log_rates
    soft = np.sqrt(miss**2 + _CORNER**2)
    pull = miss / soft / len(miss)  # d error / d mean
    lever = shares * (rates - mean[:, None]) * pull[:, None]  # d error / d log weight
    # the log weight is -distance - damping * log(weight of the source)
    through = ((lever @ sources) / of_source) @ sources.T * near
    by_distance = -lever + SOURCE_DAMPING * through
    gradient = [float((by_distance * unlike[name]).sum()) * weights[name] for name in DISTANCES]
    gradient += [float(((shares * unlike[name]).sum(axis=1) * pull).sum()) for name in SLOPES]
    return float(np.mean(soft - _CORNER)), np.array(gradient)


def _coded(weights: Mapping[str, float]) -> Matrix:
    """Distances as logarithms, the rest as they are."""
    return np.array([
        np.log(weights[name]) if name in DISTANCES else weights[name] for name in PARAMETERS
    ])  # fmt: skip


def _decoded(coded: Matrix) -> dict[str, float]:
    return {
        name: float(np.exp(value)) if name in DISTANCES else float(value)
        for name, value in zip(PARAMETERS, coded, strict=True)
    }
