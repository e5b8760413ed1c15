"""The first optimizer step happens at a rate of zero."""

from __future__ import annotations

from lrpilot.diagnose.history import History
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.view import finite, total_steps

_SHORT = 50  # assumed: in a run of so few steps one counts


def _look(run: History, alpha: float) -> Seen | str | None:
    lr, total = finite(run.lr, least=2), total_steps(run)
    if lr is None or total is None:
        return "the logged rates"
    if lr.steps[0] > 1:
        return "the rate of the first step"
    if lr.values[0] != 0.0 or not (lr.values > 0).any() or total > _SHORT:
        return None
    return Seen(
        summary=f"step {lr.steps[0]:g} has a rate of zero: one step of {total:g} is wasted",
        first_step=float(lr.steps[0]),
        last_step=float(lr.steps[0]),
        figures={"steps": total},
    )


RULE = BasicRule(
    id="first-step-wasted",
    title="the first step is wasted",
    severity="info",
    needs="the rate of the first step",
    threshold=f"exactly zero, in a run of at most {_SHORT} steps (assumed)",
    remedy="let the warm-up start at peak / warmup_steps instead of zero",
    source="https://github.com/EleutherAI/gpt-neox/issues/1373,"
    " https://github.com/karpathy/nanoGPT/pull/578",
    look=_look,
    shows="lr",
)
