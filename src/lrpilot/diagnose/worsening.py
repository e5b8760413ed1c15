"""What more than one rule asks: did validation get worse, did anything get better?"""

from __future__ import annotations

from dataclasses import dataclass

from lrpilot.diagnose.history import History, Series
from lrpilot.diagnose.statistics import LEAST, Rise, find_rise
from lrpilot.diagnose.trend import Progress, progress
from lrpilot.diagnose.view import finite

LEAST_RISE = 0.01  # assumed: less than 1% of the loss is not worth an alarm
STORM = 0.2  # assumed: a training loss a fifth above its best has diverged
_DROP = 0.05  # assumed: a loss that fell by less than 5% has learned next to nothing
_ERRORS = 2.0  # closed form: two standard errors, 97.7% one-sided


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
    """The course of a loss that surely fell by less than 5% of its start; None for any other.

    Neither may the validation loss have fallen, nor the score have risen.
    """
    loss = finite(run.train_loss, least=5) or finite(run.eval_loss, least=5)
    if loss is None or run.finished is False:
        return None
    seen = progress(loss.values)
    if not _surely_flat(seen):
        return None
    for series, sign in ((run.eval_loss, 1.0), (run.score, -1.0)):
        other = finite(series, least=5)
        if other is not None and series is run.score and run.score_mode == "min":
            sign = 1.0
        if other is not None:
            course = progress(sign * other.values)
            if course.drop > _DROP and course.start - course.end > _ERRORS * course.error:
                return None
    return seen


def _surely_flat(seen: Progress) -> bool:
    won = seen.start - seen.end
    return won + _ERRORS * seen.error < _DROP * abs(seen.start)
