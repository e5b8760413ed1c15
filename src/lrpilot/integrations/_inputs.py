"""What the inputs of a new head say, once they are seen: how far its steps may move its outputs."""

from __future__ import annotations

from dataclasses import replace

import torch

from lrpilot.control import Budget
from lrpilot.facts import Recommendation
from lrpilot.integrations._head import HeadSteps, last_layer, watch_inputs
from lrpilot.integrations._rates import Rates
from lrpilot.integrations._reference import head_rate, trains_alone, weights_share
from lrpilot.integrations._session import Session
from lrpilot.integrations._start import shortened, towards


def attend_head(
    optimizer: torch.optim.Optimizer, model: torch.nn.Module, session: Session, rates: Rates
) -> HeadSteps:
    """See to a new head, before a session begins or after it was resumed.

    Beside a body it gets its own rate, as the recommendation says (`HeadSteps`). If it trains
    alone and nobody published its model, its inputs decide where it starts.

    Returns:
        What is to be closed at the end.
    """
    start = session.recommendation
    # "trial" leaves a number far from what the weights say
    peak = start.peak_lr * float(getattr(session.state, "start", 1.0))

    def bound(ratio: float, inputs: float) -> None:
        told = f"the new head takes {ratio:.2g} times the rate"
        session.head_seen(replace(start, head_ratio=ratio), inputs, told)

    rate = None if session.saw_model else peak
    steps = HeadSteps(optimizer, model, start.head_ratio, rate=rate, on_inputs=bound)
    facts = session.facts
    if rate is None or start.basis != "prior" or not trains_alone(optimizer, facts):
        return steps
    head = last_layer(model)
    if head is None or not head.weight.requires_grad:  # something else trains
        return steps

    def begin(inputs: float) -> None:
        if inputs > 0.0:
            suggested = head_rate(head.weight, inputs, facts)
            moved = towards(start, suggested, weights_share(facts), "the inputs of its head")
            told = f"the head, which trains alone, begins at {moved.peak_lr:.2g}"
            lr = rates.move_peak(moved.peak_lr / start.peak_lr)
            session.head_seen(moved, inputs, told, lr=lr)

    steps.handles.append(watch_inputs(head, begin))
    return steps


def shorten(
    model: torch.nn.Module, session: Session, rates: Rates, head: HeadSteps, budget: Budget
) -> Recommendation:
    """Move a begun run's peak to what is recommended for fewer steps."""
    start = session.recommendation
    moved = shortened(model, rates.optimizer, start, session.facts, session.planned, budget)
    factor = moved.peak_lr / start.peak_lr
    rates.move_peak(factor)
    head.follow(factor)
    return moved
