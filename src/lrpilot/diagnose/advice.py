"""A rate to try: from the recommended band where the facts allow one, else from the run itself."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from lrpilot.diagnose.finding import Advice
from lrpilot.diagnose.history import History
from lrpilot.diagnose.view import peak_lr
from lrpilot.errors import LrpilotError
from lrpilot.facts import Recommendation, RunFacts

_STEP = 3.0  # assumed: half a power of ten, the spacing of a coarse sweep


@lru_cache(maxsize=64)
def _recommend(facts: RunFacts) -> Recommendation | None:
    from lrpilot.recommend import recommend

    try:
        return recommend(facts)
    except LrpilotError:
        return None


def band(run: History) -> Recommendation | None:
    """What `recommend` says of the run's facts; None where they do not carry an answer."""
    return _recommend(replace(run.plan.facts, planned_lr=None))


def above_band(run: History) -> bool:
    """Whether the rate lies above the recommended band; False where there is none."""
    used, found = peak_lr(run), band(run)
    return used is not None and found is not None and used > found.high


def lower(run: History, *, times: float = 10.0) -> Advice | None:
    """A rate for a run whose rate was too high: in the band, and below what failed."""
    used = peak_lr(run)
    if used is None:
        return None
    cap = used / times
    found = band(run)
    if found is None:
        return _own(cap, used, "below")
    why = _because(found)
    if found.peak_lr <= cap:
        return Advice(lr=found.peak_lr, low=found.low, high=min(found.high, used), because=why)
    low = min(found.low, cap / _STEP)
    return Advice(
        lr=_tidy(cap),
        low=_tidy(low),
        high=_tidy(min(found.high, used / 2.0)),
        because=f"{why}; {used:g} failed here, so {times:g} times less",
    )


def higher(run: History, *, times: float = 10.0) -> Advice | None:
    """A rate for a run whose rate was too low: in the band, and above what did nothing."""
    used = peak_lr(run)
    if used is None:
        return None
    found = band(run)
    if found is None:
        return _own(used * times, used, "above")
    floor = used * _STEP
    why = _because(found)
    if found.peak_lr >= floor:
        return Advice(lr=found.peak_lr, low=max(found.low, used), high=found.high, because=why)
    return Advice(
        lr=_tidy(floor),
        low=_tidy(used),
        high=_tidy(max(found.high, floor * _STEP)),
        because=f"{why}; {used:g} was too low here, so {_STEP:g} times more",
    )


def _own(lr: float, used: float, side: str) -> Advice:
    why = (
        f"{side} the {used:g} of this run; give --model, --task and --method for a band from"
        " published recipes"
    )
    return Advice(lr=_tidy(lr), low=_tidy(lr / _STEP), high=_tidy(lr * _STEP), because=why)


def _because(found: Recommendation) -> str:
    first = found.reasons[0].text if found.reasons else f"basis {found.basis}"
    return f"published recipes, {first}"


def _tidy(rate: float) -> float:
    return float(f"{rate:.1e}")
