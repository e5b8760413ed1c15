"""Whether a loss rose far above where it had been, or started: the marks of too high a rate."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from lrpilot.diagnose.advice import above_band
from lrpilot.diagnose.history import History, Series
from lrpilot.diagnose.hump import find_hump
from lrpilot.diagnose.statistics import Array, Rise, find_rise, noise_sd
from lrpilot.diagnose.trend import progress
from lrpilot.diagnose.view import finite
from lrpilot.stats import median

END, HUMP = 1.1, 1.5  # assumed: at the end a tenth, on the way half above the best level
_OF_DESCENT = 0.25  # assumed: and a quarter of what had been won is lost
_PREFIXES = (1.0, 0.75, 0.5)  # the end of the run, and two earlier places
ABOVE_START = 1.03  # assumed: losses that fall from the first step on stay below their start
_FOR_HUMP = 0.8  # assumed: its part of alpha, the commonest mark where a rate warms up and decays
_OUTSIDE = 0.05  # assumed: the level of the same test where the rate is above its band already
_SHORT, _TIMES = 20, 1.7  # assumed: noise of 30% has two values in a row there once in 1e4
_TWICE = 2.0  # assumed: a validation at twice the first training loss, with training above it too
_FAR, _KEPT = 3.0, 0.6  # assumed: or at three times it, with training above 60% of it: so a
# network with batch norm fails, whose training mode hides it
_STUCK, _MOVES = 0.8, 0.01  # assumed: a score stuck to one value while the loss moves by 1%
_HELD, _PERFECT = 0.75, (0.0, 1.0, 100.0)  # assumed: and keeps three quarters; no error at all
_GRADIENT = 30.0  # measured: healthy runs of the corpus come to 11 times, storms to 42 and more


@dataclass(frozen=True, slots=True)
class Storm:
    """What rose: its name, the series, the rise, where it stops, and whether that is the end."""

    loss: Series
    rise: Rise
    stop: int
    to_the_end: bool
    what: str = "loss"


def find_storm(run: History, alpha: float) -> Storm | None:
    """The rise of the training loss (else the validation's) that noise does not explain."""
    loss = finite(run.train_loss, least=5) or finite(run.eval_loss, least=5)
    if loss is None:
        return None
    for share in _PREFIXES:
        part = loss.values[: round(share * len(loss))]
        rise = _on_logs(find_rise, part)
        level = (1.0 - _FOR_HUMP) * alpha / len(_PREFIXES)
        if rise is not None and rise.p <= level and _is_large(rise, loss, share):
            return Storm(loss, rise, part.size, share == 1.0)
    hump = _on_logs(find_hump, loss.values)
    if (
        hump is not None
        and hump.high >= ABOVE_START * abs(hump.low)
        and (hump.p <= _FOR_HUMP * alpha or (hump.p <= _OUTSIDE and above_band(run)))
    ):
        stop = min(len(loss), hump.best + 1 + max(2, len(loss) // 10))
        return Storm(loss, hump, stop, False)
    return _multiplied(loss) or _both_above(run) or _gradients(run) or _collapse(run)


def _multiplied(loss: Series) -> Storm | None:
    """An end that is a multiple of all before, in logs that are too short for a test."""
    if len(loss) >= _SHORT or (loss.values <= 0).any():
        return None
    end = float(loss.values[-2:].min())
    best = int(loss.values[:-2].argmin())
    low = median(loss.values[:-2])
    if end < _TIMES * low or end < HUMP * float(loss.values[0]):
        return None
    return Storm(loss, Rise(p=0.0, best=best, low=low, high=end, sd=0.0), len(loss), True)


def _on_logs(test: Callable[[Array], Rise | None], values: Array) -> Rise | None:
    """Positive losses are tested on their logarithm: a storm's noise grows with it."""
    if not (values > 0).all():
        return test(values)
    rise = test(np.log(values))
    if rise is None:
        return None
    low, high = math.exp(rise.low), math.exp(min(rise.high, 700.0))
    return replace(rise, low=low, high=high, sd=rise.sd * low)


def _is_large(rise: Rise, loss: Series, share: float) -> bool:
    ratio = END if share == 1.0 else HUMP
    won = progress(loss.values).start - rise.low
    lost = rise.high - rise.low
    return lost >= (ratio - 1.0) * abs(rise.low) and lost >= _OF_DESCENT * won


def _both_above(run: History) -> Storm | None:
    """A validation at twice the first training loss while training is above that, too."""
    train, held = finite(run.train_loss, least=5), finite(run.eval_loss, least=2)
    if train is None or held is None or train.values[0] <= 0:
        return None
    start = float(train.values[0])
    near = np.interp(held.steps, train.steps, train.values)
    twice = (held.values >= _TWICE * start) & (near >= start)
    high = twice | ((held.values >= _FAR * start) & (near >= _KEPT * start))
    if not high.any():
        return None
    at = int(np.flatnonzero(high)[0])
    stop = int(np.searchsorted(train.steps, held.steps[at], side="right"))
    top = Rise(p=0.0, best=0, low=start, high=float(held.values[high].max()), sd=0.0)
    return Storm(train, top, max(1, stop), bool(high[-1]), "validation loss")


def _gradients(run: History) -> Storm | None:
    """Gradient norms that grew for good while the loss did not halve."""
    norm, loss = finite(run.grad_norm, least=20), finite(run.train_loss, least=20)
    if norm is None or loss is None:
        return None
    few = max(3, len(norm) // 10)
    means = [median(part) for part in np.array_split(norm.values, len(norm) // few)]
    top = int(np.argmax(means))
    course = progress(loss.values)
    if means[0] <= 0 or means[top] < _GRADIENT * means[0] or course.end < 0.5 * course.start:
        return None
    first, stop = top * few, min(len(norm), (top + 1) * few)
    rise = Rise(p=0.0, best=max(0, first - 1), low=means[0], high=means[top], sd=0.0)
    return Storm(norm, rise, stop, top == len(means) - 1, "gradient norm")


def _collapse(run: History) -> Storm | None:
    """A score stuck to one value while the loss moves and hardly falls: one answer for all."""
    score, held = finite(run.score, least=6), finite(run.eval_loss, least=6)
    if score is None or held is None:
        return None
    values, counts = np.unique(score.values, return_counts=True)
    course = progress(held.values)
    stuck = counts.max() >= _STUCK * len(score) and score.values[-1] == values[counts.argmax()]
    moves = noise_sd(held.values) >= _MOVES * abs(course.end)
    perfect = values[counts.argmax()] in _PERFECT
    if not stuck or perfect or not moves or course.end < _HELD * course.start:
        return None
    at = int(held.values.argmax())
    level = float(values[counts.argmax()])
    rise = Rise(p=0.0, best=0, low=level, high=level, sd=0.0)
    return Storm(score, rise, min(len(score), at + 1), True, "score")
