"""Validation jumps up and down by more than its noise: the steps are too large."""

from __future__ import annotations

from lrpilot.diagnose.advice import lower
from lrpilot.diagnose.history import History
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.trend import exceeds_jitter
from lrpilot.diagnose.view import finite

_MOST = 0.12  # assumed: the jitter that control takes for granted (docs/control.md)
_LEAST = 6


def _look(run: History, alpha: float) -> Seen | str | None:
    loss = finite(run.eval_loss, least=_LEAST)
    if loss is None:
        return f"at least {_LEAST} validation losses"
    jitter, p = exceeds_jitter(loss.values, _MOST)
    if p > alpha:
        return None
    return Seen(
        summary=f"the validation loss jumps by {jitter:.0%} of its level from one validation to"
        " the next",
        first_step=float(loss.steps[0]),
        last_step=float(loss.steps[-1]),
        figures={"jitter": jitter, "p": p},
        advice=lower(run, times=3.0),
    )


RULE = BasicRule(
    id="loss-oscillates",
    title="the validation loss oscillates",
    severity="warning",
    needs=f"validation losses, {_LEAST} or more",
    threshold=f"jitter above {_MOST:.0%} of the loss (assumed, as in control), by a chi-square test"
    " at the rule's share of 5%",
    remedy="take a third of the rate, or average the weights; if the validation set is small,"
    " enlarge it first",
    source="article: too high a rate is unstable; AUTOTRAINER (oscillating: swings of 0.03 in a"
    " fifth of the epochs)",
    look=_look,
    statistical=True,
    weight=0.05,
    shows="eval_loss",
)
