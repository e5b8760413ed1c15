"""The training loss ends far above its best: the rate was too high."""

from __future__ import annotations

import numpy as np

from lrpilot.diagnose.advice import lower
from lrpilot.diagnose.history import History
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.statistics import find_rise
from lrpilot.diagnose.view import figure, finite

_RATIO = 1.2  # assumed: the end is a fifth above the best level; peers take 1.5 (see docs)


def _look(run: History, alpha: float) -> Seen | str | None:
    loss = finite(run.train_loss, least=5)
    if loss is None:
        return "at least five finite training losses"
    rise = find_rise(loss.values)
    if rise is None or rise.p > alpha or rise.high < _RATIO * rise.low:
        return None
    top = float(np.max(loss.values[rise.best :]))
    return Seen(
        summary=f"the training loss rose from {figure(rise.low)} to {figure(rise.high)} after step"
        f" {loss.steps[rise.best]:g}, and stayed there",
        first_step=float(loss.steps[rise.best]),
        last_step=float(loss.steps[-1]),
        figures={"best": rise.low, "end": rise.high, "top": top, "noise": rise.sd, "p": rise.p},
        advice=lower(run),
    )


RULE = BasicRule(
    id="divergence",
    title="the training loss diverged",
    severity="error",
    needs="training losses",
    threshold=f"the end {_RATIO:g} times the best level (assumed), and a rise that noise alone"
    " explains with less than the rule's share of 5% (closed null, simulated)",
    remedy="start again, or from the best checkpoint, at a tenth of the rate",
    source="article: too high a rate diverges; TheDeepChecker (loss twice its minimum)",
    look=_look,
    shows="train_loss",
    statistical=True,
)
