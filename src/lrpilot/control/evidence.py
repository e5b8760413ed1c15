"""How a model changed since an earlier point: paired validations, pooled with unseen batches.

A training batch that the model has not seen before is a validation for free: its loss was taken
before the step. Where data are still unseen, the losses of the last steps are compared with those
before the earlier point, and pooled with the paired difference of the two validations, each
weighted by its precision. Batch norm's running statistics, which lag behind the weights and spoil
a validation in evaluation mode, then cannot outvote what training shows: their scatter is large.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lrpilot.metric import Comparison, Evaluation, compare

_FLOOR = 0.01  # assumed: of the loss; a mean of a few batches is not known better than that


@dataclass(frozen=True, slots=True)
class Change:
    """A difference of losses; positive is worse.

    Attributes:
        difference: In the metric's unit.
        standard_error: Of the difference; NaN where it is not known.
        batches: Unseen training batches that it rests on, beside the validations.
    """

    difference: float
    standard_error: float
    batches: int = 0

    def worse(self, *, doubt: float) -> bool:
        """Whether it is worse at the one-sided level `doubt`; by the mere sign without an error."""
        if not self.difference > 0.0:
            return False
        if math.isnan(self.standard_error) or self.standard_error == 0.0:
            return doubt > 0.0
        z = self.difference / self.standard_error
        return math.erfc(z / math.sqrt(2.0)) / 2.0 < doubt

    def better(self, *, doubt: float) -> bool:
        """The same of an improvement."""
        return replace(self, difference=-self.difference).worse(doubt=doubt)

    def sentence(self) -> str:
        """The figures in words."""
        if not math.isfinite(self.difference):
            return "validation is not finite"
        error = "" if math.isnan(self.standard_error) else f" ± {self.standard_error:.2g}"
        seen = f", {self.batches} unseen batches" if self.batches else ""
        return f"{self.difference:+.3g}{error} (paired validation{seen})"


def change(
    new: Evaluation,
    reference: Evaluation,
    losses: Sequence[float] = (),
    before: Sequence[float] = (),
) -> Change:
    """How `new` differs from `reference`.

    Args:
        new, reference: Two validations of the same examples.
        losses: Training losses of the steps that led to `new`, on batches not seen before; empty
            where there are none, or where the metric is no loss.
        before: The same of `reference`.

    Source:
        Inverse-variance weighting, as in any meta-analysis (Cochran, 1954).
    """
    validated = compare(new, reference, alpha=0.05)
    difference, error = validated.difference, validated.standard_error
    if not losses or not before or len(losses) + len(before) < 3 or not math.isfinite(difference):
        return Change(difference, error)
    if new.mode != "min" or math.isnan(error):
        return Change(difference, error)
    a, b = np.asarray(losses, dtype=float), np.asarray(before, dtype=float)
    spread = float(((a - a.mean()) ** 2).sum() + ((b - b.mean()) ** 2).sum())
    trained_error = math.sqrt(spread / (a.size + b.size - 2) * (1 / a.size + 1 / b.size))
    trained_error = max(trained_error, _FLOOR * abs(float(b.mean())), 1e-300)
    precisions = np.array([max(error, 1e-300) ** -2.0, trained_error**-2.0])
    both = np.array([difference, float(a.mean() - b.mean())])
    pooled = float((precisions * both).sum() / precisions.sum())
    return Change(pooled, float(precisions.sum() ** -0.5), int(a.size))


def relieved(
    new: Evaluation, failed: Evaluation | None, first: Evaluation, *, share: float
) -> bool:
    """Whether a new warm-up spared more than a share of the harm: then a lower rate may help.

    Args:
        new: The validation after it.
        failed: The one after the warm-up before; None: there was none, so nothing speaks against.
        first: The one before training.
        share: Of the harm.
    """
    if failed is None or not failed.finite or not new.finite:
        return True
    return -change(new, failed).difference > share * change(failed, first).difference


def figures_of(new: Evaluation, best: Evaluation, seen: Change | Comparison) -> dict[str, float]:
    """What a decision records of a validation: its value, the best one's, and how they differ."""
    return {
        "value": new.mean,
        "best": best.mean,
        "difference": seen.difference,
        "standard_error": seen.standard_error,
    }
