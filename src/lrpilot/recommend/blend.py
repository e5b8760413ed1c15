"""The answer of two estimators: the mean of the Gaussian process and of the nearest recipes.

The process knows how sure it is, and shrinks; the nearest recipes are not drawn by outliers. Left
out families and sources are answered better by the two together than by either
(`scripts/recommend_crossvalidate.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lrpilot.recommend.cases import Case
from lrpilot.recommend.kernel import Matrix
from lrpilot.recommend.neighbours import Neighbours
from lrpilot.recommend.process import Belief, Process

SHARE = 0.5  # assumed: the nearest recipes' part of the answer; equal, and not tuned


@dataclass(frozen=True, slots=True)
class Fit:
    """What is fitted.

    Attributes:
        variances: One for each part of the process's kernel, and last the noise.
        likeness: What sets recipes apart: a number for each of `neighbours.PARAMETERS`.
    """

    variances: Matrix
    likeness: Mapping[str, float]


class Blend:
    """Both estimators over the same recipes.

    Args:
        cases: One for each recipe.
        log_rates: log10 of their peak rates; shape (recipes,).
        fit: What `fitting.Study.fit` found.
    """

    def __init__(self, cases: Sequence[Case], log_rates: Matrix, fit: Fit) -> None:
        self.process = Process(cases, log_rates, fit.variances)
        self.neighbours = Neighbours(cases, log_rates, fit.likeness)

    def beliefs(self, cases: Sequence[Case]) -> list[Belief]:
        """What the recipes say of each case; how sure it is, the process says."""
        medians = self.neighbours.medians(cases)
        return [
            replace(belief, mean=blended(belief.mean, float(median)))
            for belief, median in zip(self.process.beliefs(cases), medians, strict=True)
        ]

    def likeness(self, case: Case) -> Matrix:
        """How much each recipe counts among the nearest; shape (recipes,)."""
        return self.neighbours.shares(case)


def blended(process: float, nearest: float) -> float:
    """The two answers as one, in log10."""
    return (1.0 - SHARE) * process + SHARE * nearest
