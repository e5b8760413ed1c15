"""Validation jumps up and down by more than its noise: the steps are too large."""

from __future__ import annotations

import numpy as np

from lrpilot.diagnose.advice import lower
from lrpilot.diagnose.history import History
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.trend import exceeds_jitter
from lrpilot.diagnose.view import figure, finite
from lrpilot.stats import median

_MOST = 0.12  # assumed: the jitter that control takes for granted (docs/control.md)
_OF_START = 0.5  # assumed: a loss that has fallen to nothing may jitter by a part of its start
_LEAST = 8  # of which the first third is descent


def _look(run: History, alpha: float) -> Seen | str | None:
    loss = finite(run.eval_loss, least=_LEAST)
    if loss is None:
        return f"at least {_LEAST} validation losses"
    late = loss.values[len(loss) // 3 :]
    scale = max(median(np.abs(late)), _OF_START * abs(float(loss.values[0])))
    jitter, p = exceeds_jitter(late, _MOST * scale)
    if p > alpha:
        return None
    return Seen(
        summary=f"the validation loss jumps by {figure(jitter)} from one validation to the next,"
        f" {jitter / scale:.0%} of its level",
        first_step=float(loss.steps[len(loss) // 3]),
        last_step=float(loss.steps[-1]),
        figures={"jitter": jitter, "level": scale, "p": p},
        advice=lower(run, times=3.0),
    )


RULE = BasicRule(
    id="loss-oscillates",
    title="the validation loss oscillates",
    severity="warning",
    needs=f"validation losses, {_LEAST} or more",
    threshold=f"jitter of the last two thirds above {_MOST:.0%} of the loss (assumed, as in"
    " control)"
    " and of half the first loss, by a chi-square test at the rule's share of 5%",
    remedy="take a third of the rate, or average the weights; if the validation set is small,"
    " enlarge it first",
    source="article: too high a rate is unstable; AUTOTRAINER (oscillating: swings of 0.03 in a"
    " fifth of the epochs)",
    look=_look,
    statistical=True,
    weight=0.05,
    shows="eval_loss",
)
