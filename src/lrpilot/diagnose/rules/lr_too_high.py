"""The training loss rose far above where it had been, or started: the rate was too high."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from lrpilot.diagnose.advice import band, lower
from lrpilot.diagnose.history import History, Series
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.statistics import LEAST, Rise, find_rise
from lrpilot.diagnose.trend import progress
from lrpilot.diagnose.view import figure, finite, peak_lr
from lrpilot.diagnose.worsening import no_progress

_END, _HUMP = 1.1, 1.5  # assumed: at the end a tenth, on the way half above the best level
_OF_DESCENT = 0.25  # assumed: and a quarter of what had been won is lost
_PREFIXES = (1.0, 0.75, 0.5, 0.25)  # the end of the run, and three earlier places


def _look(run: History, alpha: float) -> Seen | str | None:
    loss = finite(run.train_loss, least=5) or finite(run.eval_loss, least=5)
    if loss is None:
        return "at least five finite losses"
    for share in _PREFIXES:
        part = loss.values[: round(share * len(loss))]
        rise = _log_rise(part) if part.size >= LEAST else None
        if rise is not None and _is_storm(rise, loss, share, alpha / len(_PREFIXES)):
            return _seen(run, loss, rise, part.size)
    return _never_learned(run)


def _log_rise(values: np.ndarray) -> Rise | None:
    """The rise of positive losses is tested on their logarithm: a storm's noise grows with it."""
    if not (values > 0).all():
        return find_rise(values)
    rise = find_rise(np.log(values))
    if rise is None:
        return None
    low, high = math.exp(rise.low), math.exp(rise.high)
    return replace(rise, low=low, high=high, sd=rise.sd * low)


def _is_storm(rise: Rise, loss: Series, share: float, alpha: float) -> bool:
    ratio = _END if share == 1.0 else _HUMP
    won = progress(loss.values).start - rise.low
    lost = rise.high - rise.low
    return rise.p <= alpha and lost >= (ratio - 1.0) * abs(rise.low) and lost >= _OF_DESCENT * won


def _seen(run: History, loss: Series, rise: Rise, stop: int) -> Seen:
    start, end = float(loss.values[0]), stop == len(loss)
    first, last = float(loss.steps[rise.best]), float(loss.steps[stop - 1])
    above = f", above the {figure(start)} it started with" if rise.high > start else ""
    back = "" if end else f"; it ended at {figure(float(loss.values[-1]))}"
    return Seen(
        summary=f"the loss rose from {figure(rise.low)} to {figure(rise.high)} between steps"
        f" {first:g} and {last:g}{above}{back}",
        first_step=first,
        last_step=last,
        figures={
            "best": rise.low,
            "high": rise.high,
            "start": start,
            "noise": rise.sd,
            "p": rise.p,
        },
        severity=None if end or rise.high > start else "warning",
        advice=lower(run),
    )


def _never_learned(run: History) -> Seen | None:
    """A loss that stays where it began, at a rate above the recommended band."""
    stuck, used, found = no_progress(run), peak_lr(run), band(run)
    if stuck is None or used is None or found is None or used <= found.high:
        return None
    return Seen(
        summary=f"the loss stayed at {figure(stuck.end)} from start to end, at a rate of {used:g},"
        f" above the band {found.low:g} to {found.high:g}",
        figures={"start": stuck.start, "end": stuck.end, "lr": used},
        advice=lower(run),
    )


RULE = BasicRule(
    id="lr-too-high",
    title="the rate was too high: the loss diverged, or rose above its start",
    severity="error",
    needs="training losses, five or more",
    threshold=f"the end {_END:g} times the best level or a hump {_HUMP:g} times it, a quarter of"
    " the descent lost (assumed; peers take 1.5 and 2), and a rise that noise alone explains with"
    " less than the rule's share of 5% (simulated null)",
    remedy="start again, or from the best checkpoint, at a tenth of the rate",
    source="article: too high a rate diverges, skips the optimum, is unstable; TheDeepChecker"
    " (loss twice its minimum)",
    look=_look,
    statistical=True,
    weight=0.3,
    shows="train_loss",
)
