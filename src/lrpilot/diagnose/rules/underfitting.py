"""Training itself ends badly: the model learned little of its own training data."""

from __future__ import annotations

from lrpilot.diagnose.advice import band, higher
from lrpilot.diagnose.history import History
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.storm import find_storm
from lrpilot.diagnose.trend import progress
from lrpilot.diagnose.view import figure, finite, is_classification, is_partial

_MUCH = 0.85  # assumed: and one that keeps 85% has learned next to nothing
_LEFT = 0.7  # assumed: a classifier that keeps 70% of its starting loss has hardly learned
_STORM = 0.005  # assumed: at such doubt of a storm it is left to lr-too-high
_LEAST = 5


def _look(run: History, alpha: float) -> Seen | str | None:
    loss = finite(run.train_loss, least=_LEAST)
    if loss is None:
        return f"at least {_LEAST} training losses"
    if not is_classification(run):
        return "a classification task (--task), or its accuracy in the log"
    if is_partial(run):
        return "the end of the run"
    course = progress(loss.values)
    if course.start <= 0 or course.end - 2.0 * course.error < _LEFT * course.start:
        return None
    if find_storm(run, _STORM) is not None:
        return None
    evals = finite(run.eval_loss)
    beside = "" if evals is None else f" (validation {figure(float(evals.values[-1]))})"
    return Seen(
        summary=f"the training loss ends at {figure(course.end)}{beside},"
        f" {course.end / course.start:.0%} of its start: the training data are not learned",
        last_step=float(loss.steps[-1]),
        severity="warning" if course.end > _MUCH * course.start else None,
        figures={"start": course.start, "end": course.end},
        advice=None if band(run) is None else higher(run),
    )


RULE = BasicRule(
    id="underfitting",
    title="underfitting",
    severity="info",
    needs="training losses of a classification to the end of the run",
    threshold=f"{_LEFT:.0%} of the starting loss is left (assumed), by two standard errors; a"
    f" warning where {_MUCH:.0%} is left",
    remedy="a higher rate, more epochs, or more trainable parameters (unfreeze, a larger"
    " LoRA rank)",
    source="article: a lower rate is slower; TheDeepChecker (overfit one batch first)",
    look=_look,
    statistical=True,
    weight=0.05,
    shows="train_loss",
)
