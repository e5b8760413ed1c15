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
    Part("layer-decay", flag="layer_decay"),
    Part("layer-decay-domain", ("domain",), flag="layer_decay"),
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
    Part("habit-vision", ("source", "model", "pretraining"), flag="vision", habit=True),
    Part("habit-new-weights", ("source", "model", "method"), flag="new-weights", habit=True),
)  # fmt: skip
HABITS = np.array([part.habit for part in PARTS])

# assumed: how far apart a difference in one fact sets two cases, before fitting of the variances
_DISTANCES = {
    "method": 2.0, "optimizer_scale": 2.0, "domain": 1.0, "pretraining": 1.0, "architecture": 0.5,
    "task_group": 0.4,
}  # fmt: skip
_SIZE_DISTANCE, _BATCH_DISTANCE, _DECAY_DISTANCE = 0.5, 0.3, 0.7  # assumed, as above


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
            "size": _logs([case.params for case in cases]),
            "batch": _logs([case.batch_size for case in cases]),
        }
        self.slopes = {k: np.nan_to_num(v - _PIVOTS[k]) for k, v in log.items()}
        self.flags = {
            "tuned": np.array([float(case.tuned == "yes") for case in cases]),
            "preference": np.array(
                [float((case.method or "").startswith("preference")) for case in cases]
            ),
            "vision": np.array([float(case.domain == "vision") for case in cases]),
            "new-weights": np.array(
                [float(case.method_group not in ("weights", None)) for case in cases]
            ),
            "layer_decay": np.array([case.layer_decay for case in cases]),
            "searched": np.array([float(case.searched) for case in cases]),
            "recipe": np.array([float(not case.searched) for case in cases]),
        }

    def __len__(self) -> int:
        return len(self.cases)


def part_matrix(part: Part, left: Encoded, right: Encoded) -> Matrix:
    """The part between each case of `left` and of `right`, for a variance of one."""
    if part.closeness:
        return _closeness(part.closeness, left, right)
    out: Matrix = np.ones((len(left), len(right)))
    if part.keys:
        out *= _equal(part.keys, left, right)
    if part.slope:
        out *= np.outer(left.slopes[part.slope], right.slopes[part.slope])
    if part.flag:
        out *= np.outer(left.flags[part.flag], right.flags[part.flag])
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
    codes: dict[tuple[Any, ...], int] = {}

    def encode(cases: Encoded, unknown: int) -> NDArray[np.int64]:
        rows = zip(*(cases.columns[key] for key in keys), strict=True)
        return np.array(
            [unknown if None in row else codes.setdefault(row, len(codes)) for row in rows],
            dtype=np.int64,
        )

    equal: NDArray[np.bool_] = np.equal.outer(encode(left, -1), encode(right, -2))
    return equal


def _closeness(scale: float, left: Encoded, right: Encoded) -> Matrix:
    distance: Matrix = np.zeros((len(left), len(right)))
    for key, apart in _DISTANCES.items():
        distance += apart * ~_equal((key,), left, right)
    for name, apart in (("size", _SIZE_DISTANCE), ("batch", _BATCH_DISTANCE)):
        distance += apart * np.subtract.outer(left.slopes[name], right.slopes[name]) ** 2
    decay = np.subtract.outer(left.flags["layer_decay"], right.flags["layer_decay"])
    close: Matrix = np.exp(-scale * (distance + _DECAY_DISTANCE * np.abs(decay)))
    return close


def _logs(values: Sequence[float | None]) -> Matrix:
    return np.log10(np.array([np.nan if v is None else v for v in values], dtype=np.float64))
