"""Single training losses far above their neighbours."""

from __future__ import annotations

import numpy as np

from lrpilot.diagnose.advice import lower
from lrpilot.diagnose.history import History, Series
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.trend import outliers_up, progress
from lrpilot.diagnose.view import figure, finite

_LEAST = 20  # assumed: fewer losses do not tell a spike from noise
_SDS = 8.0  # assumed: of the log loss; a normal reaches it in none of 1e14 steps
_TIMES_DOWN = 3.0  # assumed: noise with heavy tails has them below too
_RATIO, _EVAL_RATIO = 1.5, 1.25  # assumed: above its neighbours; a validation is less noisy
_OF_DESCENT, _OF_EVAL = 0.2, 0.4  # assumed: so much of all that was won is lost


def _look(run: History, alpha: float) -> Seen | str | None:
    train, held = finite(run.train_loss, least=_LEAST), finite(run.eval_loss, least=_LEAST)
    if train is None and held is None:
        return f"at least {_LEAST} finite training losses"
    for loss, name, ratio, share in (
        (train, "training", _RATIO, _OF_DESCENT),
        (held, "validation", _EVAL_RATIO, _OF_EVAL),
    ):
        seen = None if loss is None else _spikes(run, loss, name, ratio, share)
        if seen is not None:
            return seen
    return None


def _spikes(run: History, loss: Series, name: str, ratio: float, share: float) -> Seen | None:
    values = loss.values
    positive = bool((values > 0).all())
    logs = np.log(values) if positive else values
    rest, sd, down = outliers_up(logs)
    base = np.exp(logs - rest) if positive else values - rest
    course = progress(values)
    least = np.maximum((ratio - 1.0) * np.abs(base), share * (course.start - course.best))
    high = (rest > max(_SDS * sd, _TIMES_DOWN * down)) & (values - base > least)
    high[: max(1, values.size // 20)] = False  # the first descent is no spike
    high[-1] = False  # it may not come back: that is lr-too-high
    if not high.any():
        return None
    steps, tops = loss.steps[high], values[high]
    worst = int(tops.argmax())
    return Seen(
        summary=f"{_count(high)} in the {name} loss, the highest {figure(float(tops[worst]))} at"
        f" step {steps[worst]:g} where its neighbours are at {figure(float(base[high][worst]))}",
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
    f" the largest dip, {_RATIO:g} times its neighbours, a fifth of the descent (assumed)",
    remedy="clip gradients (max_grad_norm=1.0), look at the batches of those steps, and take a"
    " third of the rate",
    source="article: too high a rate is unstable; Lightning SpikeDetection"
    " (fabric/utilities/spike.py); https://github.com/stas00/ml-engineering/issues/32",
    look=_look,
    statistical=True,
    weight=0.05,
    shows="train_loss",
)
