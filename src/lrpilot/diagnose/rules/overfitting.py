"""Validation gets worse after its best while training goes on: overfitting, and since when."""

from __future__ import annotations

from lrpilot.diagnose.finding import Severity
from lrpilot.diagnose.history import History
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.statistics import LEAST
from lrpilot.diagnose.view import figure
from lrpilot.diagnose.worsening import LEAST_RISE, train_rose, watched, worsening

_ERROR = 0.2  # assumed: a fifth above the best is a lost run
_REMARK = 0.01  # assumed: below 1% it is a remark; peers' floor (finetune-doctor, trainspotter)


def _look(run: History, alpha: float) -> Seen | str | None:
    if watched(run)[0] is None:
        return f"at least {LEAST} validations"
    worse = worsening(run, alpha)
    if worse is None or train_rose(run, alpha):
        return None
    rise, steps = worse.rise, worse.series.steps
    best, end, step = worse.sign * rise.low, worse.sign * rise.high, float(steps[rise.best])
    return Seen(
        summary=f"{worse.name} is worse since step {step:g}: {figure(best)} became {figure(end)}"
        f" ({100 * rise.relative:.1f}%, noise {figure(rise.sd)}, p {rise.p:.2g})",
        first_step=step,
        last_step=float(steps[-1]),
        figures={"best": best, "end": end, "noise": rise.sd, "p": rise.p, "rise": rise.relative},
        severity=_severity(rise.relative),
        remedy=f"keep the checkpoint of step {step:g} (load_best_model_at_end=True); next time end"
        f" there, i.e. train {step / steps[-1]:.0%} as long, or halve the rate there",
    )


def _severity(rise: float) -> Severity | None:
    if rise >= _ERROR:
        return "error"
    return "info" if rise < _REMARK else None


RULE = BasicRule(
    id="overfitting",
    title="overfitting",
    severity="warning",
    needs=f"validation losses or scores, {LEAST} or more",
    threshold=f"{LEAST_RISE:.1%} of the loss (assumed), and a rise that noise alone explains with"
    " less than the rule's share of 5%, wherever the best is (simulated null of the largest of all"
    " contrasts)",
    remedy="keep the best checkpoint, train for less long, or at a lower rate",
    source="article: reduce the rate on overfitting; complaint"
    " https://github.com/huggingface/transformers/issues/22934",
    look=_look,
    statistical=True,
    weight=8.0,
    shows="eval_loss",
)
