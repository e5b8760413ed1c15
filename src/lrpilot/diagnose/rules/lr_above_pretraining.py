"""Fine-tuning at the rate of the initial training, or above it."""

from __future__ import annotations

from lrpilot.diagnose.advice import band, lower
from lrpilot.diagnose.history import History
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.view import peak_lr

_FULL = {"full", "preference-full"}


def _look(run: History, alpha: float) -> Seen | str | None:
    facts, used = run.plan.facts, peak_lr(run)
    if used is None:
        return "the rate"
    if facts.initial_lr is None:
        return "the peak rate of the initial training (--initial-lr)"
    if facts.method not in _FULL or used < facts.initial_lr:
        return None
    found = band(run)
    advice = lower(run, times=max(2.0, 2.0 * used / facts.initial_lr))
    inside = found is not None and found.low <= used <= found.high
    return Seen(
        summary=f"the rate {used:g} is not lower than the {facts.initial_lr:g} of the initial"
        " training" + (", though published recipes use it" if inside else ""),
        figures={"lr": used, "initial_lr": facts.initial_lr},
        severity="info" if inside else None,
        advice=advice,
    )


RULE = BasicRule(
    id="lr-above-pretraining",
    title="the rate is not lower than in the initial training",
    severity="warning",
    needs="the rate, and the peak rate of the initial training",
    threshold="equal or higher (article); full fine-tuning only",
    remedy="start lower than the initial training",
    source="article: the rate of fine-tuning starts lower than that of the initial training",
    look=_look,
    shows="lr",
)
