"""A validation set that cannot decide anything."""

from __future__ import annotations

import math

import numpy as np

from lrpilot.diagnose.history import History
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.view import finite

_FEW, _HARDLY = 100, 30  # closed form: 100 examples know an accuracy to 5 points (one sd) at best
_NEEDS = "the number of validation examples (--eval-examples), or standard errors"


def _look(run: History, alpha: float) -> Seen | str | None:
    n = run.plan.eval_examples
    loss = finite(run.eval_loss, least=2)
    if n is None:
        if loss is None or loss.errors is None:
            return _NEEDS
        error = float(np.nanmedian(loss.errors))
        won = float(loss.values[0] - loss.values.min())
        if not math.isfinite(error) or error < 0.5 * max(won, 0.0):
            return None
        return Seen(
            summary=f"the validation loss is known to ± {error:.2g}, and all that the run won is"
            f" {won:.2g}",
            figures={"error": error, "won": won},
        )
    if n >= _FEW:
        return None
    points = 100.0 * 0.5 / math.sqrt(n)
    return Seen(
        summary=f"{n} validation examples: an accuracy is known to ± {points:.0f} points, so no"
        " rate and no checkpoint can be told from another",
        figures={"examples": float(n), "points": points},
        severity=None if n < _HARDLY else "info",
        remedy=f"validate on at least {4 * _FEW} examples (± 2.5 points); with so few data, by"
        " cross-validation",
    )


RULE = BasicRule(
    id="eval-too-small",
    title="the validation set is too small to decide",
    severity="warning",
    needs=_NEEDS,
    threshold=f"fewer than {_FEW} examples (info), fewer than {_HARDLY} (warning): the standard"
    " error of an accuracy is 0.5 / sqrt(n) (closed form)",
    remedy="validate on at least 400 examples",
    source="binomial standard error; docs/control.md (what validation can decide)",
    look=_look,
    shows="eval_loss",
)
