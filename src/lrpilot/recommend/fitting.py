"""Fitting the estimator, and its held-out answers: variances by marginal likelihood, and likeness.

Used offline, by `scripts/recommend_fit.py` and `scripts/recommend_crossvalidate.py`; what a
recommendation needs of it is stored in `fitted.json`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrpilot.recommend.blend import SHARE, Blend, Fit
from lrpilot.recommend.calibration import answer_level, level_scales
from lrpilot.recommend.cases import Case
from lrpilot.recommend.corrections import ShortRuns, regressors, swept_with
from lrpilot.recommend.kernel import HABITS, PARTS, Encoded, Matrix, part_matrix, prior_variance
from lrpilot.recommend.likeness_fit import Likeness
from lrpilot.recommend.measured import SWEEPS, Sweep
from lrpilot.recommend.process import CENTRE
from lrpilot.recommend.resolve import usual_layer_decay
from lrpilot.recommend.table import Recipe

Indices = NDArray[np.int64]

# assumed: a wide log-normal prior on each variance, about .02 squared powers of ten, a factor e**2
_PRIOR_LOG, _PRIOR_SD = float(np.log(0.02)), 2.0
_ITERATIONS = 25  # assumed: the likelihood gains less than a tenth beyond
_BOUNDS = (-12.0, 3.0)  # assumed: log variances, from nothing to far more than the table's spread


@dataclass(frozen=True, slots=True)
class Answers:
    """Held-out answers to some recipes: log10 means, deviations as in Belief, and levels."""

    index: Indices
    mean: Matrix
    sd: Matrix
    sd_best: Matrix
    level: list[str]


@dataclass(frozen=True, slots=True)
class Nested:
    """One group's held-out answers, and the fit that had not seen it.

    Attributes:
        kept: The recipes that answer: all but the group's.
        fitted: The recipes that were fitted to: fewer, where groups share a fit.
    """

    kept: Indices
    fitted: Indices
    answers: Answers
    fit: Fit
    scales: dict[str, float]


class Study:
    """Recipes whose parts of the kernel are worked out once, to be fitted and held out often.

    Args:
        cases: One for each recipe.
        log_rates: log10 of their peak rates; shape (recipes,).
    """

    def __init__(self, cases: Sequence[Case], log_rates: Matrix) -> None:
        self.cases = list(cases)
        self.log_rates = log_rates
        self._likeness = Likeness(cases, log_rates)
        self._encoded = Encoded(cases)
        self._parts = np.stack([part_matrix(p, self._encoded, self._encoded) for p in PARTS])

    def fit(self, index: Indices) -> Fit:
        """What explains these recipes best."""
        return Fit(self.fit_variances(index), self._likeness.fit(index))

    def fit_variances(self, index: Indices) -> Matrix:
        """The variance of each part, and last of the noise, that explain these recipes best."""
        from scipy.optimize import minimize

        parts = self._parts[:, index[:, None], index[None, :]]
        start = np.full(len(PARTS) + 1, _PRIOR_LOG)
        found = minimize(
            _objective,
            start,
            args=(parts, self.log_rates[index] - CENTRE),
            jac=True,
            method="L-BFGS-B",
            bounds=[_BOUNDS] * len(start),
            options={"maxiter": _ITERATIONS},
        )
        variances: Matrix = np.exp(found.x)
        return variances

    def hold_out(self, index: Indices, groups: NDArray[Any], fit: Fit) -> Answers:
        """Answers to each recipe of `index` from the others of it, its whole group left out.

        Args:
            index: The recipes that exist; none outside is seen.
            groups: The group of each recipe of the study.
            fit: As `fit` gives it.
        """
        found = [
            self.answer(index[groups[index] != group], index[groups[index] == group], fit)
            for group in dict.fromkeys(groups[index].tolist())
        ]
        return join(found)

    def answer(self, kept: Indices, asked: Indices, fit: Fit) -> Answers:
        """Answers to the recipes `asked` from the recipes `kept`."""
        variances = fit.variances
        whole, shared = self._kernels(variances)
        covariance = whole[kept[:, None], kept[None, :]].copy()
        covariance[np.diag_indices(len(kept))] += variances[-1]
        cross = shared[asked[:, None], kept[None, :]]
        solved = np.linalg.solve(
            covariance, np.column_stack([self.log_rates[kept] - CENTRE, cross.T])
        )
        learnt = np.einsum("ij,ji->i", cross, solved[:, 1:])
        before = prior_variance(variances[:-1], self._encoded)[asked] + variances[-1]
        shared_before = prior_variance(np.where(HABITS, 0.0, variances[:-1]), self._encoded)[asked]
        known = [self.cases[i] for i in kept]
        nearest = self._likeness.medians(kept, asked, fit.likeness)
        return Answers(
            asked,
            (1.0 - SHARE) * (CENTRE + cross @ solved[:, 0]) + SHARE * nearest,
            np.sqrt(np.maximum(before - learnt, 1e-6)),
            np.sqrt(np.maximum(shared_before - learnt, 1e-6)),
            [answer_level(self.cases[i], known) for i in asked],
        )

    def calibrate(
        self, index: Indices, families: NDArray[Any], sources: NDArray[Any], fit: Fit
    ) -> dict[str, float]:
        """The band's factor by level: known lineages by held-out sources, others by families."""
        by_source = self.hold_out(index, sources, fit)
        by_family = self.hold_out(index, families, fit)
        misses: list[float] = []
        levels: list[str] = []
        for answers, wanted in ((by_source, ("model", "family")), (by_family, ("cell", "prior"))):
            miss = np.abs(self.log_rates[answers.index] - answers.mean) / answers.sd
            for value, level in zip(miss.tolist(), answers.level, strict=True):
                if level in wanted:
                    misses.append(value)
                    levels.append(level)
        return level_scales(np.array(misses), levels)

    def _kernels(self, variances: Matrix) -> tuple[Matrix, Matrix]:
        key = variances.tobytes()
        if getattr(self, "_cached", (None,))[0] != key:
            shared = np.tensordot(np.where(HABITS, 0.0, variances[:-1]), self._parts, 1)
            whole = shared + np.tensordot(variances[:-1][HABITS], self._parts[HABITS], 1)
            self._cached = (key, whole, shared)
        return self._cached[1:]


def nested(study: Study, groups: NDArray[Any], families: NDArray[Any], sources: NDArray[Any],
           *, folds: int | None = None, inner_folds: int = 12) -> Iterator[Nested]:  # fmt: skip
    """Each group's answers from all other groups, with a fit that has not seen it.

    Args:
        study: The recipes.
        groups: What is left out, one label a recipe: its family or its source.
        families, sources: Labels for the calibration inside the fold, thrown together into
            `inner_folds` groups each, for speed.
        folds: Throws the groups into so many folds, each of which shares one fit, made without any
            of them; None fits anew for each group.
        inner_folds: Groups of the calibration inside the fold.
    """
    everything = np.arange(len(study.cases))
    fold = groups if folds is None else throw(groups, folds)
    thrown = throw(families, inner_folds), throw(sources, inner_folds)
    for name in dict.fromkeys(fold.tolist()):
        fitted = everything[fold != name]
        fit = study.fit(fitted)
        scales = study.calibrate(fitted, *thrown, fit)
        for group in dict.fromkeys(groups[fold == name].tolist()):
            kept, asked = everything[groups != group], everything[groups == group]
            yield Nested(kept, fitted, study.answer(kept, asked, fit), fit, scales)


def short_run_gaps(
    blend: Blend, recipes: Sequence[Recipe], sweeps: Sequence[Sweep] = SWEEPS
) -> list[tuple[Sweep, float]]:
    """For each sweep of ours: powers of ten of its best above the recipes."""
    cases = [sweep.case for sweep in sweeps]
    shares = [usual_layer_decay(case, recipes)[0] for case in cases]
    beliefs = blend.beliefs(
        [replace(case, layer_decay=share) for case, share in zip(cases, shares, strict=True)]
    )
    return [
        (sweep, sweep.best_log_rate - belief.mean)
        for sweep, belief in zip(sweeps, beliefs, strict=True)
    ]


def fit_short_runs(
    blend: Blend, recipes: Sequence[Recipe], sweeps: Sequence[Sweep] = SWEEPS
) -> dict[str, ShortRuns]:
    """The correction by least squares, for each optimizer that was swept.

    A model's sweeps share one vote, those with LoRA another. Sweeps without a warm-up, which are
    single runs a power of ten apart, are left out.
    """
    gaps = short_run_gaps(blend, recipes, [sweep for sweep in sweeps if sweep.warmup])
    kinds = [swept_with(sweep.case) for sweep, _ in gaps]
    return {
        kind: _fit_gaps([gap for gap, own in zip(gaps, kinds, strict=True) if own == kind])
        for kind in dict.fromkeys(kinds)
    }


def _fit_gaps(gaps: Sequence[tuple[Sweep, float]]) -> ShortRuns:
    rows = [regressors(sweep.case) for sweep, _ in gaps]
    above = np.array([gap for _, gap in gaps])
    design = np.array([list(row.values()) for row in rows])
    models = [(sweep.params, sweep.method) for sweep, _ in gaps]
    share = np.array([1.0 / models.count(model) for model in models])
    root = np.sqrt(share)
    found = np.linalg.lstsq(design * root[:, None], above * root, rcond=None)[0]
    off = above - design @ found
    free = max(1.0, share.sum() - len(found))  # assumed: one at least, where models are left out
    sd = float(np.sqrt(share @ off**2 / free))
    return ShortRuns(dict(zip(rows[0], found.tolist(), strict=True)), sd)


def join(found: Sequence[Answers]) -> Answers:
    """Answers of several groups as one."""
    return Answers(
        np.concatenate([f.index for f in found]),
        np.concatenate([f.mean for f in found]),
        np.concatenate([f.sd for f in found]),
        np.concatenate([f.sd_best for f in found]),
        [level for f in found for level in f.level],
    )


def throw(labels: NDArray[Any], folds: int) -> NDArray[Any]:
    """Whole labels thrown together into a few groups, the same way every time."""
    names = sorted(set(labels.tolist()))
    order = np.random.default_rng(0).permutation(len(names)) % folds
    fold = dict(zip(names, order.tolist(), strict=True))
    return np.array([fold[label] for label in labels.tolist()])


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
