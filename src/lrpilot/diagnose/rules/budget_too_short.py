"""The run ends while the loss still falls steeply."""

from __future__ import annotations

from lrpilot.diagnose.advice import higher
from lrpilot.diagnose.history import History
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.trend import end_slope
from lrpilot.diagnose.view import figure, finite, is_partial, lr_at, peak_lr

_GAIN = 0.05  # assumed: half as many steps again would win 5% of the loss
_STILL_HIGH = 0.3  # assumed: a rate below that has been annealed; the run was meant to end
_LEAST = 9  # three values in the last third at least


def _look(run: History, alpha: float) -> Seen | str | None:
    evals, train = finite(run.eval_loss, least=_LEAST), finite(run.train_loss, least=_LEAST)
    loss = evals or train
    if loss is None:
        return f"at least {_LEAST} losses"
    if is_partial(run):
        return "the end of the run"
    rates, top = lr_at(run, loss.steps[-1:]), peak_lr(run)
    if rates is None or top is None:
        return "the logged rate"
    slope = end_slope(loss)
    if slope is None or slope.p > alpha or float(rates[0]) < _STILL_HIGH * top:
        return None
    gain = -slope.per_step * 0.5 * float(loss.steps[-1]) / abs(slope.level or 1.0)
    if gain < _GAIN:
        return None
    return Seen(
        summary=f"the loss still falls at the end ({figure(slope.level)}): half as many steps again"
        f" would win about {min(gain, 0.9):.0%} at this slope",
        first_step=slope.first_step,
        last_step=float(loss.steps[-1]),
        figures={"slope": slope.per_step, "gain": gain, "p": slope.p},
        advice=higher(run, times=3.0),
    )


RULE = BasicRule(
    id="budget-too-short",
    title="the run ends while it still learns fast",
    severity="warning",
    needs="losses and rates to the end of the run",
    threshold=f"slope of the last third, half as many steps again win {_GAIN:.0%} (assumed), the"
    f" rate still {_STILL_HIGH:.0%} of its peak (assumed), significant at the rule's share of 5%",
    remedy="train half as long again with a schedule that ends at zero, or at three times the rate",
    source="article: a lower rate is slower; arXiv 2310.07831 (anneal to zero)",
    look=_look,
    statistical=True,
    weight=0.05,
    shows="train_loss",
)
