"""How wide the band must be: what past answers of the same level missed by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lrpilot.recommend.cases import Case
from lrpilot.recommend.kernel import Matrix

COVERAGE = 0.8  # assumed: a band that holds four in five is narrow enough to be of use
LEVELS = ("model", "family", "cell", "prior")
_FEWEST = 30  # assumed: a level with fewer held-out answers borrows the scale of the next one


def answer_level(case: Case, known: Sequence[Case]) -> str:
    """At which level the recipes answer: the same model, its family, its cell, or less."""
    same = [k for k in known if k.method == case.method and k.optimizer == case.optimizer]
    if case.model is not None and any(k.model == case.model for k in same):
        return "model"
    if case.family is not None and any(k.family == case.family for k in same):
        return "family"
    cell = {k.source for k in same if k.domain == case.domain and k.pretraining == case.pretraining}
    # assumed: two sources make a cell; one may only repeat its own habit
    return "cell" if case.domain and case.pretraining and len(cell) > 1 else "prior"


def level_scales(misses: Matrix, levels: Sequence[str]) -> dict[str, float]:
    """The factor on the standard deviation, by level, whose band holds COVERAGE of the misses.

    Args:
        misses: |log10 LR - mean| / sd of answers with a group held out.
        levels: The level that each was answered at.
    """
    labels: NDArray[np.str_] = np.array(levels)
    scales: dict[str, float] = {}
    for name in reversed(LEVELS):
        chosen = misses[labels == name]
        fallback = next(iter(reversed(scales.values())), None)
        if len(chosen) < _FEWEST:
            scales[name] = fallback or _quantile(misses)
        else:
            scales[name] = _quantile(chosen)
    return {name: scales[name] for name in LEVELS}


def _quantile(misses: Matrix) -> float:
    """The split-conformal quantile: one rank higher than the plain one (Vovk et al., 2005)."""
    rank = min(len(misses), int(np.ceil((len(misses) + 1) * COVERAGE)))
    return float(np.sort(misses)[rank - 1])
