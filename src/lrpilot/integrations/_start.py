"""Where a run starts: facts read off the live model and optimizer, and what follows from them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lrpilot.control.types import Budget
from lrpilot.errors import InputError
from lrpilot.facts import Reason, Recommendation, RunFacts
from lrpilot.integrations._head import head_ratio
from lrpilot.integrations._reference import reference_rate, weights_share
from lrpilot.recommend import facts_from_module, recommend
from lrpilot.recommend.answer import tidy_rate

_OPTIMIZERS = {  # class names of torch, transformers and their kin; AdamW stands for its family
    "sgd": "sgd",
    "adafactor": "adafactor",
    "lion": "lion",
    "rmsprop": "rmsprop",
    "lamb": "lamb",
}


def starting_point(
    model: Any,
    optimizer: Any,
    *,
    facts: RunFacts | None,
    start_lr: float | None,
    budget: Budget,
    policy: Any = None,
) -> tuple[RunFacts, Recommendation]:
    """The facts, completed by what can be seen, and the recommendation for them.

    Args:
        model: The module that trains; its parameters and its `config`, if any, are read.
        optimizer: Its optimizer, whose kind belongs to the rate.
        facts: What the user knows; never overridden.
        start_lr: The user's own choice, which wins.
        budget: The run's steps, and how many make an epoch.
        policy: The controller, which says whether a new head has a rate of its own; None: no.
    """
    seen = _look_at(model, optimizer, facts or RunFacts(), budget)
    reference = reference_rate(optimizer, seen)
    if start_lr is not None:
        start = users_choice(start_lr, reference_lr=reference)
    else:
        start = recommend(seen)
        suggested = reference if budget.short else None
        if start.basis == "prior" and suggested is not None:
            start = towards(start, suggested, weights_share(seen))
    own = getattr(policy, "own_head_rate", False)
    ratio = head_ratio(model, optimizer, seen) if own else None
    return seen, start if ratio is None else _with_head(start, ratio, seen.method)


def users_choice(lr: float, *, reference_lr: float | None = None) -> Recommendation:
    """A rate that the user gave, as a recommendation without a band of its own.

    Raises:
        InputError: It is not a positive number.
    """
    if not 0.0 < lr < float("inf"):
        raise InputError(f"a starting rate of {lr!r}: give a positive number such as 2e-5")
    reasons = [Reason(rule="user", text=f"you asked for a start at {lr:g}")]
    if reference_lr is not None:
        text = f"the sizes of the weights suggest {reference_lr:.2g} for a short run"
        reasons.append(Reason(rule="weights", text=text))
    return Recommendation(
        peak_lr=lr,
        low=lr,
        high=lr,
        basis="user",
        reasons=tuple(reasons),
        reference_lr=reference_lr,
    )


def shortened(
    model: Any,
    optimizer: Any,
    start: Recommendation,
    facts: RunFacts,
    before: Budget,
    budget: Budget,
) -> Recommendation:
    """The recommendation for a run that became shorter for lack of time.

    Fewer steps want a higher rate: it is multiplied by what the number of steps alone changes.

    Args:
        model, optimizer: As `starting_point` takes them.
        start: The recommendation for the longer run; a user's own number is not touched.
        facts: The completed facts of that.
        before, budget: The longer run, and the shorter one.
    """
    if start.basis == "user":
        return start
    epochs = None if facts.epochs is None else facts.epochs * budget.steps / before.steps
    fewer = replace(facts, steps=budget.steps, epochs=epochs)
    long, short = (
        starting_point(model, optimizer, facts=known, start_lr=None, budget=of)[1].peak_lr
        for known, of in ((facts, before), (fewer, budget))
    )
    factor = short / long
    if factor == 1.0:
        return start
    text = f"{budget.steps:,} steps fit into the time, not {before.steps:,}"
    return replace(
        start,
        peak_lr=tidy_rate(start.peak_lr * factor),
        low=start.low * factor,
        high=start.high * factor,
        reasons=(*start.reasons, Reason(rule="time", text=text, factor=factor)),
    )


def _with_head(start: Recommendation, ratio: float, method: str) -> Recommendation:
    why = "for its many classes"
    if method == "full":
        why = "a step moves it as far as the median weight matrix, or its outputs by one"
    text = f"the new head takes up to {ratio:.2g} times the rate, {why}"
    reasons = (*start.reasons, Reason(rule="head", text=text))
    return replace(start, reasons=reasons, head_ratio=ratio)


def towards(
    start: Recommendation, suggested: float, share: float, by: str = "the sizes of its weights"
) -> Recommendation:
    """A recommendation for a model that nobody published, moved to what the live model suggests.

    Args:
        start: The recommendation; its band is widened to hold the new peak.
        suggested: The rate that the live model suggests.
        share: How much of the way, on a log scale.
        by: What of it does.
    """
    peak = tidy_rate(start.peak_lr ** (1.0 - share) * suggested**share)
    way = "half-way" if share == 0.5 else f"{share:.0%} of the way"
    text = f"{by} suggest {suggested:.2g}: {way}"
    reason = Reason(rule="weights", text=text, factor=peak / start.peak_lr)
    return replace(
        start, peak_lr=peak, low=min(start.low, peak), high=max(start.high, peak),
        reasons=(*start.reasons, reason),
    )  # fmt: skip


def _look_at(model: Any, optimizer: Any, facts: RunFacts, budget: Budget) -> RunFacts:
    seen = replace(facts_from_module(model, facts), steps=facts.steps or budget.steps)
    found: dict[str, Any] = {}
    if seen.planned_epochs is None and budget.steps_per_epoch is not None:
        found["epochs"] = budget.steps / budget.steps_per_epoch
    if facts.optimizer == "adamw":
        found["optimizer"] = _optimizer(optimizer)
    return replace(seen, **found)


def _optimizer(optimizer: Any) -> str:
    """The optimizer's name in the table of recipes."""
    kind = type(optimizer)
    name = kind.__name__.lower()
    found = next((v for k, v in _OPTIMIZERS.items() if k in name), "adamw")
    if found != "adafactor":
        return found
    torchs = kind.__module__.startswith("torch.optim")  # it has no flag: always relative
    flags = [group.get("scale_parameter", torchs) for group in optimizer.param_groups]
    return "adafactor-relative" if any(flags) else "adafactor"
