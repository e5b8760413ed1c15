"""How alike two cases are: a sum of parts, each of which says what makes rates move together.

The estimator is a Gaussian process over log10 of the peak rate. Each part has a variance, in
squared powers of ten, that says how much of the spread between recipes it explains; the variances
are fitted by marginal likelihood (`fitting`), which is what shrinks a family towards its cell and
a cell towards its method. Parts of the source are its habits: they are learnt from the table, so
that one prolific repository does not outvote ten others, and left out of a prediction.

Source: Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, chapters 2 and 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrpilot.recommend.cases import Case

Matrix = NDArray[np.float64]
Indices = NDArray[np.int64]

# assumed: where the slopes pivot, about the middle of the table, so that an unknown fact is neutral
_PIVOTS = {"size": np.log10(2e8), "batch": 2.0}


@dataclass(frozen=True, slots=True)
class Part:
    """One term of the kernel: all `keys` equal, times products of `slope` and of `flag`."""

    name: str
    keys: tuple[str, ...] = ()
    slope: str | None = None
    flag: str | None = None
    habit: bool = False
    closeness: float = 0.0


PARTS = (
    Part("method", ("method",)),
    Part("method-group", ("method_group",)),
    Part("optimizer", ("optimizer",)),
    Part("optimizer-scale", ("optimizer_scale",)),
    Part("optimizer-domain", ("optimizer_scale", "domain")),
    Part("pretraining", ("domain", "pretraining")),
    Part("method-domain", ("method", "domain")),
    Part("cell", ("method", "optimizer", "domain", "pretraining")),
    Part("task", ("task_group",)),
    Part("tuned-domain", ("domain",), flag="tuned"),
    Part("tuned-architecture", ("architecture", "method_group"), flag="tuned"),
    Part("preference", flag="preference"),
    Part("family", ("family",)),
    Part("family-tuned", ("family", "tuned")),
    Part("family-pretraining", ("family", "pretraining", "method")),
    Part("family-method", ("family", "method", "optimizer")),
    Part("model", ("model",)),
    Part("model-method", ("model", "method", "optimizer")),
    Part("size", slope="size"),
    Part("size-domain", ("method", "domain"), slope="size"),
    Part("size-architecture", ("architecture", "method_group"), slope="size"),
    Part("size-family", ("family",), slope="size"),
    Part("batch", slope="batch"),
    Part("layer-decay", ("architecture",), flag="layer_decay"),
    Part("alike", closeness=0.4),
    Part("close", closeness=1.0),
    Part("habit-recipes", ("source",), flag="recipe", habit=True),
    Part("habit-recipes-method", ("source", "method", "optimizer"), flag="recipe", habit=True),
    Part("habit-recipes-model", ("source", "model", "method", "optimizer"), flag="recipe",
         habit=True),
    Part("habit-searches", ("source",), flag="searched", habit=True),
    Part("habit-searches-method", ("source", "method", "optimizer"), flag="searched", habit=True),
    Part("habit-searches-model", ("source", "model", "method", "optimizer"), flag="searched",
         habit=True),
)  # fmt: skip
HABITS = np.array([part.habit for part in PARTS])

_SIZES = (6.5, 12.0)  # log10 parameters: the table's range, beyond which no slope is known
# assumed: how far apart a difference in one fact sets two cases, before fitting of the variances
_DISTANCES = {
    "method": 2.0, "optimizer_scale": 2.0, "domain": 1.0, "pretraining": 1.0, "architecture": 0.5,
    "task_group": 0.4,
}  # fmt: skip
_SIZE_DISTANCE, _BATCH_DISTANCE = 0.5, 0.3  # assumed, as above


_COLUMNS = (
    "model", "family", "architecture", "domain", "pretraining", "tuned", "method", "method_group",
    "optimizer", "optimizer_scale", "task_group", "source",
)  # fmt: skip


class Encoded:
    """Cases as arrays, ready to be compared."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self.cases = cases
        self.columns: dict[str, list[Any]] = {
            name: [getattr(case, name) for case in cases] for name in _COLUMNS
        }
        log = {
            "size": np.clip(_logs([case.params for case in cases]), *_SIZES),
            "batch": _logs([case.batch_size for case in cases]),
        }
        self.slopes = {k: np.nan_to_num(v - _PIVOTS[k]) for k, v in log.items()}
        self.flags = {
            "tuned": np.array([float(case.tuned == "yes") for case in cases]),
            "preference": np.array(
                [float((case.method or "").startswith("preference")) for case in cases]
            ),
            "layer_decay": np.array([case.layer_decay for case in cases]),
            "searched": np.array([float(case.searched) for case in cases]),
            "recipe": np.array([float(not case.searched) for case in cases]),
        }

        self._codes: dict[tuple[str, ...], dict[tuple[Any, ...], int]] = {}
        self._encoded: dict[tuple[str, ...], Indices] = {}

    def __len__(self) -> int:
        return len(self.cases)

    def codes(self, keys: tuple[str, ...]) -> dict[tuple[Any, ...], int]:
        """A number for each combination of values that these cases know of these keys."""
        if keys not in self._codes:
            rows = dict.fromkeys(self.rows(keys))
            self._codes[keys] = {row: i for i, row in enumerate(rows) if None not in row}
        return self._codes[keys]

    def rows(self, keys: tuple[str, ...]) -> list[tuple[Any, ...]]:
        """The values of the keys, one tuple a case."""
        return list(zip(*(self.columns[key] for key in keys), strict=True))

    def encoded(self, keys: tuple[str, ...]) -> Indices:
        """Each case's number in its own codes, kept."""
        if keys not in self._encoded:
            self._encoded[keys] = self.encode(keys, self.codes(keys))
        return self._encoded[keys]

    def encode(self, keys: tuple[str, ...], codes: dict[tuple[Any, ...], int]) -> Indices:
        """Each case's number in `codes`; -1 where it has none."""
        return np.array([codes.get(row, -1) for row in self.rows(keys)], dtype=np.int64)


def part_matrix(part: Part, left: Encoded, right: Encoded) -> Matrix:
    """The part between each case of `left` and of `right`, for a variance of one."""
    if part.closeness:
        return _closeness(part.closeness, left, right)
    factors: list[NDArray[Any]] = []
    if part.keys:
        factors.append(_equal(part.keys, left, right))
    if part.slope:
        factors.append(np.outer(left.slopes[part.slope], right.slopes[part.slope]))
    if part.flag:
        factors.append(np.outer(left.flags[part.flag], right.flags[part.flag]))
    out: Matrix = factors[0].astype(np.float64)
    for factor in factors[1:]:
        out *= factor
    return out


def prior_variance(variances: Matrix, cases: Encoded) -> Matrix:
    """The variance of each case before any recipe is seen, habits included."""
    total: Matrix = np.zeros(len(cases))
    for part, variance in zip(PARTS, variances, strict=False):
        term = np.full(len(cases), variance)
        if part.slope:
            term = term * cases.slopes[part.slope] ** 2
        if part.flag in cases.flags and part.flag is not None:
            term = term * cases.flags[part.flag] ** 2
        total += term
    return total


def _equal(keys: tuple[str, ...], left: Encoded, right: Encoded) -> NDArray[np.bool_]:
    """Whether all keys are known and equal; codes come from `right`, the larger side."""
    codes = right.codes(keys)
    ours, theirs = left.encode(keys, codes), right.encoded(keys)
    equal: NDArray[np.bool_] = np.equal.outer(ours, theirs) & (ours >= 0)[:, None]
    return equal


def _closeness(scale: float, left: Encoded, right: Encoded) -> Matrix:
    distance: Matrix = np.zeros((len(left), len(right)))
    for key, apart in _DISTANCES.items():
        distance += apart * ~_equal((key,), left, right)
    for name, apart in (("size", _SIZE_DISTANCE), ("batch", _BATCH_DISTANCE)):
        distance += apart * np.subtract.outer(left.slopes[name], right.slopes[name]) ** 2
    close: Matrix = np.exp(-scale * distance)
    return close


def _logs(values: Sequence[float | None]) -> Matrix:
    return np.log10(np.array([np.nan if v is None else v for v in values], dtype=np.float64))
