"""A warm-up that takes most of the run, or outlasts it."""

from __future__ import annotations

from lrpilot.diagnose.history import History
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.view import figure, finite, is_partial, total_steps

_MOST = 0.5  # assumed: recipes warm up for 3 to 10%, seldom for 20%
_LOW = 0.7  # assumed: a rise from below this share of the peak is a warm-up


def _look(run: History, alpha: float) -> Seen | str | None:
    total, plan = total_steps(run), run.plan
    stated = plan.warmup_steps
    if stated is None and plan.warmup_frac is not None:
        horizon = plan.schedule_steps or total
        stated = None if horizon is None else round(plan.warmup_frac * horizon)
    if stated and total is not None:
        if stated < _MOST * total:
            return None
        return _seen(float(stated), total)
    lr = finite(run.lr, least=4)
    if lr is None or total is None or is_partial(run):
        return "the warm-up and the length of the run, or its rates to the end"
    top = int(lr.values.argmax())
    rises = bool((lr.values[: top + 1][1:] >= lr.values[:top]).all())
    if not rises or lr.values[0] > _LOW * lr.values[top] or lr.steps[top] < _MOST * total:
        return None
    return _seen(float(lr.steps[top]), total)


def _seen(steps: float, total: float) -> Seen:
    over = steps >= total
    return Seen(
        summary=f"the warm-up takes {figure(steps)} steps of a run of {figure(total)}"
        + (": the peak rate is never reached or held" if over else ""),
        first_step=0.0,
        last_step=min(steps, total),
        figures={"warmup_steps": steps, "steps": total},
        severity="error" if over else None,
        remedy=f"warmup_steps={max(1, round(0.06 * total))} (6% of the run)",
    )


RULE = BasicRule(
    id="warmup-too-long",
    title="the warm-up takes most of the run",
    severity="warning",
    needs="the warm-up and the length of the run, or its rates",
    threshold=f"{_MOST:.0%} of the steps (assumed)",
    remedy="warm up over 6% of the steps",
    source="recipes in lrpilot's table warm up for 3%, 6% or 10% (recommend/plan.py)",
    look=_look,
    shows="lr",
)
