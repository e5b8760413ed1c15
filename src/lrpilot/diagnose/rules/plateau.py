"""Half of the run brings nothing while the rate stays high."""

from __future__ import annotations

import math

from lrpilot.diagnose.history import History
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.statistics import noise_sd
from lrpilot.diagnose.view import figure, finite, lr_at, peak_lr

_LEAST = 8
_GAIN = 0.01  # assumed: less than 1% in half of the run
_STILL_HIGH = 0.5  # assumed: a rate that never fell below half of its peak


def _look(run: History, alpha: float) -> Seen | str | None:
    loss = finite(run.eval_loss, least=_LEAST)
    if loss is None:
        return f"at least {_LEAST} validation losses"
    rates, top = lr_at(run, loss.steps), peak_lr(run)
    if rates is None or top is None:
        return "the logged rate"
    half = len(loss) // 2
    if float(rates[half:].min()) < _STILL_HIGH * top:
        return None
    middle, quarter = loss.values[half : half + half // 2], loss.values[half + half // 2 :]
    won = float(middle.mean() - quarter.mean())
    error = noise_sd(loss.values[half:]) * math.sqrt(1.0 / middle.size + 1.0 / quarter.size)
    level = abs(float(quarter.mean()))
    if abs(won) + 2.0 * error > _GAIN * level:
        return None
    return Seen(
        summary=f"the validation loss stays at {figure(level)} for the second half of the run,"
        f" with the rate still at {float(rates[-1]) / top:.0%} of its peak",
        first_step=float(loss.steps[half]),
        last_step=float(loss.steps[-1]),
        figures={"won": won, "error": error, "level": level},
        remedy=f"let the rate fall to zero from step {loss.steps[half]:g} on (a cut to a tenth"
        " usually brings a last gain), or end there",
    )


RULE = BasicRule(
    id="plateau",
    title="a plateau at a high rate",
    severity="info",
    needs="validation losses, eight or more, and the logged rate",
    threshold=f"surely less than {_GAIN:.0%} won in the last half (assumed), the rate above"
    f" {_STILL_HIGH:.0%} of its peak (assumed)",
    remedy="let the rate fall to zero, or end the run earlier",
    source="torch ReduceLROnPlateau (patience 10, threshold 1e-4), without its false cuts:"
    " https://github.com/pytorch/pytorch/issues/30873",
    look=_look,
    shows="eval_loss",
)
