"""Gradient clipping that acts on every step: it, not the rate, sets the size of a step."""

from __future__ import annotations

import numpy as np

from lrpilot.diagnose.history import History
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.view import figure, finite, optimizer
from lrpilot.stats import median

_LEAST = 10
_SHARE = 0.95  # assumed: practically always
_FAR = 10.0  # assumed: clipped to a tenth


def _look(run: History, alpha: float) -> Seen | str | None:
    norm, most = finite(run.grad_norm, least=_LEAST), run.plan.max_grad_norm
    if norm is None or most is None:
        return "gradient norms, ten or more, and max_grad_norm"
    if most <= 0:
        return None
    share = float((norm.values > most).mean())
    usual = median(norm.values)
    if share < _SHARE:
        return None
    adam = optimizer(run) in (None, "adamw", "lion", "adafactor", "adafactor-relative")
    far = usual > _FAR * most
    return Seen(
        summary=f"gradients are clipped at {share:.0%} of the logged steps: their norm is usually"
        f" {figure(usual)}, the limit {figure(most)}"
        + ("; Adam hides most of it" if adam and not far else ""),
        first_step=float(norm.steps[0]),
        last_step=float(norm.steps[-1]),
        figures={"share": share, "median": usual, "limit": most},
        severity="warning" if far else None,
        remedy=f"max_grad_norm={figure(float(np.quantile(norm.values, 0.95)))} (the 95% quantile of"
        " this run), so that only outliers are clipped",
    )


RULE = BasicRule(
    id="clipping-always",
    title="gradients are always clipped",
    severity="info",
    needs="gradient norms and max_grad_norm",
    threshold=f"{_SHARE:.0%} of the steps; a warning where the usual norm is {_FAR:g} times the"
    " limit (assumed)",
    remedy="raise max_grad_norm to the 95% quantile of the norms",
    source="Pascanu et al. 2013, arXiv 1211.5063 (clip outliers); trainspotter 0.2.6 (80% of the"
    " norms within 0.5%)",
    look=_look,
    shows="grad_norm",
)
