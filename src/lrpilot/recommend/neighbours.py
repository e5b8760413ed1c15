"""The recipes nearest to a case: a weighted median of their rates, brought to its size and batch.

Each fact in which a recipe differs from the case sets it a distance apart, and its weight falls as
exp(-distance). Within a source the weights are then damped, so that a hundred recipes of one
repository weigh little more than one. A median follows the majority of sources where a mean, and
the Gaussian process (`process`), is drawn by the few that publish rates a hundred times off.

The distances are fitted by `likeness_fit` to answer families and sources that are left out.

Source: Nadaraya 1964 and Watson 1964 (weights by likeness); the weighted median is Edgeworth's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrpilot.recommend.cases import Case

Matrix = NDArray[np.float64]

KEYS = (
    "method", "method_group", "optimizer", "domain", "architecture", "pretraining", "tuned", "task",
    "task_group", "family", "model",
)  # fmt: skip
_SCALE = "optimizer_scale"
# assumed: rates on two scales (Adam's, SGD's) do not compare, however alike the rest; so recipes on
# another are asked only where there is none on the case's own
_SCALE_APART = 1e3
DISTANCES = (*KEYS, "layer_decay", "size", "batch")  # fitted: apart by each, where unlike
SLOPES = ("size_slope", "batch_slope")  # fitted: log10 LR for each power of ten
PARAMETERS = (*DISTANCES, *SLOPES)

# assumed: between counting recipes (0) and counting sources (1). Fitted to the table it is 0, since
# every recipe is asked for once; a prolific source is not to outvote ten others all the same
SOURCE_DAMPING = 0.5

# assumed: an unknown size or batch is as far as one that differs three times; beyond a hundred
# times, nothing is farther, and no slope is known
_UNKNOWN_APART, _MOST_APART = 0.5, 2.0
_SIZES = (6.5, 12.0)  # log10 parameters: the table's range


class Neighbours:
    """Recipes to be asked for the nearest.

    Args:
        cases: One for each recipe.
        log_rates: log10 of their peak rates; shape (recipes,).
        weights: A number for each of PARAMETERS.
    """

    def __init__(
        self, cases: Sequence[Case], log_rates: Matrix, weights: Mapping[str, float]
    ) -> None:
        self._facts = _Facts(cases)
        self._log_rates = log_rates
        self._weights = weights
        self._sources = source_matrix(cases)

    def shares(self, case: Case) -> Matrix:
        """How much each recipe counts in the answer to a case; they sum to one."""
        shares: Matrix = self._compare([case])[0][0]
        return shares

    def medians(self, cases: Sequence[Case]) -> Matrix:
        """log10 of the rate that the nearest recipes say for each case."""
        shares, rates = self._compare(cases)
        return np.array([weighted_median(r, s) for r, s in zip(rates, shares, strict=True)])

    def _compare(self, cases: Sequence[Case]) -> tuple[Matrix, Matrix]:
        unlike = unlikeness(_Facts(cases), self._facts)
        return (
            shares_of(distance(unlike, self._weights), self._sources),
            brought(self._log_rates, unlike, self._weights),
        )


class _Facts:
    def __init__(self, cases: Sequence[Case]) -> None:
        self.columns = {key: [getattr(case, key) for case in cases] for key in (*KEYS, _SCALE)}
        self.layer_decay = np.array([case.layer_decay for case in cases])
        self.size = np.clip(_logs([case.params for case in cases]), *_SIZES)
        self.batch = _logs([case.batch_size for case in cases])


def unlikeness(left: Any, right: Any) -> dict[str, Matrix]:
    """How far apart two sets of cases are in each of DISTANCES, and by how much in size and batch.

    Returns:
        One matrix (left, right) for each of DISTANCES and for the optimizer's scale, 0 for alike,
        and one for each of SLOPES.
    """
    found: dict[str, Matrix] = {}
    for key in (*KEYS, _SCALE):
        codes = {value: i for i, value in enumerate(dict.fromkeys(right.columns[key]))}
        theirs = np.array([codes[value] for value in right.columns[key]])
        ours = np.array([codes.get(v, -1) if v is not None else -1 for v in left.columns[key]])
        found[key] = (ours[:, None] != theirs[None, :]).astype(np.float64)
    found["layer_decay"] = np.abs(np.subtract.outer(left.layer_decay, right.layer_decay))
    for name in ("size", "batch"):
        apart = np.subtract.outer(getattr(left, name), getattr(right, name))
        far = np.nan_to_num(np.abs(apart), nan=_UNKNOWN_APART)
        found[name] = np.minimum(far, _MOST_APART)
        found[f"{name}_slope"] = np.clip(np.nan_to_num(apart), -_MOST_APART, _MOST_APART)
    return found


def facts_of(cases: Sequence[Case]) -> _Facts:
    """The facts that are compared, as arrays."""
    return _Facts(cases)


def distance(unlike: Mapping[str, Matrix], weights: Mapping[str, float]) -> Matrix:
    """How far apart in all: the sum of what each fact sets apart."""
    total: Matrix = _SCALE_APART * unlike[_SCALE]
    for name in DISTANCES:
        if weights[name] > 0.0:
            total += weights[name] * unlike[name]
    return total


def shares_of(far: Matrix, sources: Matrix) -> Matrix:
    """What each recipe counts: exp(-distance), damped within its source; rows sum to one."""
    near = np.exp(far.min(axis=1, keepdims=True) - far)
    of_source = np.maximum(near @ sources, 1e-300)
    near = near / (of_source**SOURCE_DAMPING @ sources.T)
    shares: Matrix = near / near.sum(axis=1, keepdims=True)
    return shares


def brought(
    log_rates: Matrix, unlike: Mapping[str, Matrix], weights: Mapping[str, float]
) -> Matrix:
    """The recipes' rates as they would be at each case's size and batch."""
    moved: Matrix = log_rates[None, :] + sum(weights[name] * unlike[name] for name in SLOPES)
    return moved


def source_matrix(cases: Sequence[Case]) -> Matrix:
    """Which source each recipe is of; shape (recipes, sources)."""
    codes = {name: i for i, name in enumerate(dict.fromkeys(case.source for case in cases))}
    matrix: Matrix = np.zeros((len(cases), len(codes)))
    matrix[np.arange(len(cases)), [codes[case.source] for case in cases]] = 1.0
    return matrix


def weighted_median(values: Matrix, shares: Matrix) -> float:
    """Half of the weight lies on either side; between two values it is interpolated."""
    order = np.lexsort((shares, values))  # equal values by share: no order of recipes matters
    share = shares[order]
    return float(np.interp(0.5, np.cumsum(share) - 0.5 * share, values[order]))


def _logs(values: Sequence[float | None]) -> Matrix:
    return np.log10(np.array([np.nan if v is None else v for v in values], dtype=np.float64))
