"""The loss stays where it began: the rate is too low."""

from __future__ import annotations

from lrpilot.diagnose.advice import band, higher
from lrpilot.diagnose.history import History
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.storm import find_storm
from lrpilot.diagnose.view import figure, finite, last_step, peak_lr, total_steps
from lrpilot.diagnose.worsening import no_progress

_STORM = 0.005  # assumed: at such doubt of a storm it is not said that the rate is too low

_LATE = 0.03  # assumed: after that the first descent may be over
_LITTLE = "it learns next to nothing"


def _look(run: History, alpha: float) -> Seen | str | None:
    if finite(run.train_loss, least=5) is None and finite(run.eval_loss, least=5) is None:
        return "at least five finite losses"
    stuck = no_progress(run)
    if stuck is None or stuck.start <= 0 or find_storm(run, _STORM) is not None:
        return None
    used, found = peak_lr(run), band(run)
    if used is not None and found is not None and used > found.high:
        return None  # then it is too high, and says so
    late = _starts_late(run)
    at = "" if used is None else f" at a rate of {used:g}"
    side = "" if found is None or used is None or used >= found.low else ", below the band"
    return Seen(
        summary=f"the loss fell by {max(0.0, stuck.drop):.1%}, from {figure(stuck.start)} to"
        f" {figure(stuck.end)}{at}{side}: "
        + ("either all was learned before the first log, or nothing" if late else _LITTLE),
        severity="info" if late else None,
        last_step=last_step(run),
        figures={"start": stuck.start, "end": stuck.end, "drop": stuck.drop},
        advice=higher(run),
    )


def _starts_late(run: History) -> bool:
    """Whether the log begins when most may have been learned."""
    total = total_steps(run)
    first = min(s.steps[0] for s in (run.train_loss, run.eval_loss) if s is not None)
    return total is not None and float(first) > _LATE * total


RULE = BasicRule(
    id="lr-too-low",
    title="the rate is too low: no progress",
    severity="warning",
    needs="losses, five or more",
    threshold="the loss fell by less than 2% of its start, surely by less than 5% (assumed; two"
    " standard errors)",
    remedy="ten times the rate; if that changes nothing, look whether labels match inputs and"
    " whether anything is trainable",
    source="article: lower is stable but slower; https://github.com/huggingface/diffusers/issues/6288"
    " (LoRA at 1e-6 learned nothing)",
    look=_look,
    statistical=True,
    weight=0.05,
    shows="train_loss",
)
