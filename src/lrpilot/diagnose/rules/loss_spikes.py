"""Single training losses far above their neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lrpilot.diagnose.advice import lower
from lrpilot.diagnose.history import History, Series
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.trend import outliers_up, progress
from lrpilot.diagnose.view import figure, finite

_LEAST = 20  # assumed: fewer losses do not tell a spike from noise
_SDS = 8.0  # assumed: of the log loss; a normal reaches it in none of 1e14 steps
_TIMES_DOWN = 3.0  # assumed: noise with heavy tails has them below too


@dataclass(frozen=True, slots=True)
class _Kind:
    """What counts as a spike: times its neighbours, share of all that was won, and from where."""

    name: str
    ratio: float
    share: float
    descent: float


_TRAINING = _Kind("training", 1.5, 0.2, 0.05)  # assumed
_VALIDATION = _Kind("validation", 1.25, 0.4, 0.33)  # assumed: less noisy, but a longer descent


def _look(run: History, alpha: float) -> Seen | str | None:
    train, held = finite(run.train_loss, least=_LEAST), finite(run.eval_loss, least=_LEAST)
    if train is None and held is None:
        return f"at least {_LEAST} finite training losses"
    seen = None if train is None else _spikes(run, train, _TRAINING)
    if seen is None and held is not None:
        seen = _spikes(run, held, _VALIDATION)
    return seen


def _spikes(run: History, loss: Series, kind: _Kind) -> Seen | None:
    values = loss.values
    positive = bool((values > 0).all())
    logs = np.log(values) if positive else values
    rest, sd, down = outliers_up(logs)
    base = np.exp(logs - rest) if positive else values - rest
    course = progress(values)
    least = np.maximum((kind.ratio - 1.0) * np.abs(base), kind.share * (course.start - course.best))
    high = (rest > max(_SDS * sd, _TIMES_DOWN * down)) & (values - base > least)
    high[: max(1, round(kind.descent * values.size))] = False  # the first descent is no spike
    high[-1] = False  # it may not come back: that is lr-too-high
    if not high.any():
        return None
    steps, tops = loss.steps[high], values[high]
    worst = int(tops.argmax())
    return Seen(
        summary=f"{_count(high)} in the {kind.name} loss, the highest {figure(float(tops[worst]))}"
        f" at step {steps[worst]:g} where its neighbours are at {figure(float(base[high][worst]))}",
        first_step=float(steps[0]),
        last_step=float(steps[-1]),
        figures={"spikes": _groups(high), "top": float(tops[worst]), "noise": sd},
        advice=lower(run, times=3.0),
    )


def _groups(high: np.ndarray) -> int:
    return int(high[0]) + int((high[1:] & ~high[:-1]).sum())


def _count(high: np.ndarray) -> str:
    n = _groups(high)
    return "a spike" if n == 1 else f"{n} spikes"


RULE = BasicRule(
    id="loss-spikes",
    title="spikes in the training loss",
    severity="warning",
    needs=f"training losses, {_LEAST} or more",
    threshold=f"{_SDS:g} robust standard deviations above a moving median, {_TIMES_DOWN:g} times"
    f" the largest dip, {_TRAINING.ratio:g} times its neighbours, a fifth of the descent (assumed)",
    remedy="clip gradients (max_grad_norm=1.0), look at the batches of those steps, and take a"
    " third of the rate",
    source="article: too high a rate is unstable; Lightning SpikeDetection"
    " (fabric/utilities/spike.py); https://github.com/stas00/ml-engineering/issues/32",
    look=_look,
    statistical=True,
    weight=0.05,
    shows="train_loss",
)
