"""Validation gets worse after its best while training goes on: overfitting, and since when."""

from __future__ import annotations

from lrpilot.diagnose.history import History, Series
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.statistics import LEAST, find_rise
from lrpilot.diagnose.view import figure, finite

_LEAST_RISE = 0.01  # assumed: less than 1% of the loss is not worth an alarm
_ERROR = 0.2  # assumed: a fifth above the best is a lost run


def _look(run: History, alpha: float) -> Seen | str | None:
    series, name, sign = _watched(run)
    if series is None:
        return f"at least {LEAST} validations"
    rise = find_rise(sign * series.values)
    if rise is None or rise.p > alpha or rise.relative < _LEAST_RISE or _diverged(run, alpha):
        return None
    best, end = sign * rise.low, sign * rise.high
    step = float(series.steps[rise.best])
    return Seen(
        summary=f"{name} is worse since step {step:g}: {figure(best)} became {figure(end)}"
        f" ({100 * rise.relative:.1f}%, noise {figure(rise.sd)}, p {rise.p:.2g})",
        first_step=step,
        last_step=float(series.steps[-1]),
        figures={"best": best, "end": end, "noise": rise.sd, "p": rise.p, "rise": rise.relative},
        severity="error" if rise.relative >= _ERROR else None,
        remedy=f"keep the checkpoint of step {step:g} (load_best_model_at_end=True); next time end"
        f" there, i.e. train {step / series.steps[-1]:.0%} as long, or halve the rate there",
    )


def _watched(run: History) -> tuple[Series | None, str, float]:
    """The validation series that is tested, its name, and the sign that makes worse higher."""
    loss = finite(run.eval_loss, least=LEAST)
    if loss is not None:
        return loss, "validation loss", 1.0
    score = finite(run.score, least=LEAST)
    return score, run.score_name or "the score", 1.0 if run.score_mode == "min" else -1.0


def _diverged(run: History, alpha: float) -> bool:
    """Whether the training loss rose as well: then it is the rate, not the data."""
    loss = finite(run.train_loss, least=LEAST)
    rise = None if loss is None else find_rise(loss.values)
    return rise is not None and rise.p <= alpha and rise.relative >= _ERROR


RULE = BasicRule(
    id="overfitting",
    title="overfitting",
    severity="warning",
    needs="validation losses or scores, four or more",
    threshold="1% of the loss (assumed), and a rise that noise alone explains with less than the"
    " rule's share of 5%, wherever the best is (simulated null of the largest of all contrasts)",
    remedy="keep the best checkpoint, train for less long, or at a lower rate",
    source="article: reduce the rate on overfitting; complaints"
    " https://github.com/huggingface/transformers/issues/22934",
    look=_look,
    shows="eval_loss",
    statistical=True,
    weight=6.0,
)
