"""What more than one rule asks: did validation get worse, did anything get better?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lrpilot.diagnose.history import History, Series
from lrpilot.diagnose.statistics import LEAST, Rise, find_rise
from lrpilot.diagnose.trend import Progress, progress
from lrpilot.diagnose.view import figure, finite

LEAST_RISE = 0.003  # assumed: less of the loss is not worth a word
STORM = 0.2  # assumed: a training loss a fifth above its best has diverged
_DROP, _SURE = 0.02, 0.05  # assumed: a fall of 2% is next to nothing, if it is surely below 5%
_ERRORS = 2.0  # closed form: two standard errors, 97.7% one-sided


STILL = 5  # assumed: so many values that never change are no accident
_SAME = 1e-6  # assumed: logs round to four to seven digits


@dataclass(frozen=True, slots=True)
class Worse:
    """How the watched validation series got worse; `sign` times its values is lower-is-better."""

    series: Series
    name: str
    sign: float
    rise: Rise


def watched(run: History, *, least: int = LEAST) -> tuple[Series | None, str, float]:
    """The validation series that is tested, its name, and the sign that makes worse higher."""
    loss = finite(run.eval_loss, least=least)
    if loss is not None:
        return loss, "validation loss", 1.0
    score = finite(run.score, least=least)
    return score, run.score_name or "the score", 1.0 if run.score_mode == "min" else -1.0


def worsening(run: History, alpha: float) -> Worse | None:
    """How validation got worse after its best, where noise does not explain it at `alpha`."""
    series, name, sign = watched(run)
    rise = None if series is None else find_rise(sign * series.values)
    if series is None or rise is None or rise.p > alpha or rise.relative < LEAST_RISE:
        return None
    return Worse(series, name, sign, rise)


def train_rose(run: History, alpha: float) -> bool:
    """Whether the training loss rose as well: then it is the rate, not the data."""
    loss = finite(run.train_loss, least=LEAST)
    rise = None if loss is None else find_rise(loss.values)
    return rise is not None and rise.p <= alpha and rise.relative >= STORM


def no_progress(run: History) -> Progress | None:
    """The course of a loss that surely fell by next to nothing; None for any other.

    No loss may have fallen by more than that, nor the score have risen.
    """
    if run.finished is False or stands_still(run) is not None:
        return None
    up = -1.0 if run.score_mode == "max" else 1.0
    courses = [
        progress(sign * found.values)
        for series, sign in ((run.train_loss, 1.0), (run.eval_loss, 1.0), (run.score, up))
        if (found := finite(series, least=5)) is not None
    ]
    if any(_gain(c) > _SURE and c.start - c.end > _ERRORS * c.error for c in courses):
        return None
    losses = courses if run.score is None else courses[:-1]
    return next((c for c in losses if _surely_flat(c)), None)


def _surely_flat(seen: Progress) -> bool:
    won = seen.start - seen.end
    flat = abs(seen.drop) < _DROP or -_SURE < seen.drop < 0.0
    return flat and won + _ERRORS * seen.error < _SURE * abs(seen.start)


def _gain(seen: Progress) -> float:
    """What was won, as a share of the start; of a score below 1, of what can be won if more."""
    scale = abs(seen.start)
    if -1.0 <= seen.start < 0.0:
        scale = max(scale, 1.0 - scale)
    return (seen.start - seen.end) / scale if scale else 0.0


def stands_still(run: History) -> str | None:
    """In words, why nothing can train: no rate, no gradient, or a loss that never changes."""
    for series, name in ((run.lr, "rate"), (run.grad_norm, "gradient")):
        seen = finite(series, least=STILL)
        if seen is not None and not (seen.values != 0).any():
            return f"the {name} is zero from start to end"
    for series, name in ((run.eval_loss, "validation"), (run.train_loss, "training")):
        seen = finite(series, least=STILL)
        if seen is not None and _is_constant(seen):
            return f"the {name} loss is {figure(float(seen.values[0]))} from start to end"
    return None


def _is_constant(series: Series) -> bool:
    top = max(1e-12, float(np.abs(series.values).max()))
    return float(np.ptp(series.values)) <= _SAME * top
