"""The schedule ends before the run does, or long after it."""

from __future__ import annotations

import numpy as np

from lrpilot.diagnose.history import History, Series
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.view import (
    FLAT,
    METRIC_DRIVEN,
    figure,
    finite,
    is_partial,
    planned_steps,
    schedule,
    total_steps,
)

_OFF = 0.1  # assumed: a tenth of the run
_ZERO = 0.01  # assumed: a hundredth of the peak trains nothing any more
_HIGH = 0.2  # assumed: recipes with a floor keep 10% of the peak


def _look(run: History, alpha: float) -> Seen | str | None:
    total, name = planned_steps(run), schedule(run)
    if name in FLAT or name in METRIC_DRIVEN:
        return None
    made_for = run.plan.schedule_steps
    if made_for and total and abs(made_for - total) > _OFF * total:
        return _seen(float(made_for), total)
    lr, end = finite(run.lr, least=5), total_steps(run)
    if lr is None or end is None:
        return None if made_for and total else "the rates, or the steps the schedule was made for"
    top = float(lr.values.max())
    tail = _dead_tail(lr, top)
    if tail is not None and lr.steps[-1] - tail >= _OFF * end:
        return _seen(tail, float(lr.steps[-1]))
    if is_partial(run):
        return "the end of the run"
    if not _decays(lr) or lr.values[-1] <= _HIGH * top:
        return None
    return _seen(_horizon(lr), float(lr.steps[-1]))


def _dead_tail(lr: Series, top: float) -> float | None:
    """The step from which on the rate is next to zero, to the end."""
    alive = np.flatnonzero(lr.values > _ZERO * top)
    if alive.size == 0 or alive[-1] == len(lr) - 1:
        return None
    return float(lr.steps[alive[-1] + 1])


def _decays(lr: Series) -> bool:
    """Whether the rate falls at most logs of the second half."""
    moves = np.diff(lr.values[len(lr) // 2 :])
    return moves.size > 0 and float((moves < 0).mean()) > 0.5


def _horizon(lr: Series) -> float:
    """Where a straight line through the last rates meets zero."""
    n = max(3, len(lr) // 4)
    slope, level = np.polyfit(lr.steps[-n:], lr.values[-n:], 1)
    return float(-level / slope) if slope < 0 else float("inf")


def _seen(made_for: float, total: float) -> Seen:
    early = made_for < total
    said = f"the schedule ends at step {figure(made_for)}, the run at {figure(total)}"
    waste = (
        f": the last {1 - made_for / total:.0%} train at a rate of next to zero"
        if early
        else ": the rate is still high at the end and the last gain is missed"
    )
    return Seen(
        summary=said + waste,
        first_step=min(made_for, total),
        last_step=total,
        figures={"schedule_steps": made_for, "steps": total},
        remedy=f"make the schedule for {figure(total)} optimizer steps"
        " (num_training_steps = batches x epochs / accumulation; under accelerate one"
        " scheduler.step() a process)",
    )


RULE = BasicRule(
    id="schedule-mismatch",
    title="the schedule ends before or after the run",
    severity="warning",
    needs="the rates to the end, or the steps that the schedule was made for",
    threshold=f"a tenth of the run; next to zero is {_ZERO:.0%} of the peak, still high {_HIGH:.0%}"
    " (assumed)",
    remedy="make the schedule for as many optimizer steps as the run has",
    source="https://github.com/huggingface/diffusers/issues/3954,"
    " https://github.com/huggingface/accelerate/issues/963",
    look=_look,
    shows="lr",
)
