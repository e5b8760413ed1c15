"""No validation data: nothing says whether the run helps or overfits."""

from __future__ import annotations

from lrpilot.diagnose.history import History
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.view import last_step, planned_steps, trained

_TOO_SOON = 0.5  # assumed: before half of the plan a validation may still come


def _look(run: History, alpha: float) -> Seen | str | None:
    if run.eval_loss is not None or run.score is not None:
        return None
    if run.plan.evaluates and not trained(run):
        return None
    if run.plan.evaluates is None and not trained(run):
        return "a log, or a plan that says whether it validates"
    end, planned = last_step(run), planned_steps(run)
    waits = run.plan.evaluates and run.finished is not True
    if waits and end and planned and end < _TOO_SOON * planned:
        return "more of the run: it plans to validate and has not yet"
    return Seen(
        summary="the run has no validation: overfitting, and a better checkpoint, cannot be seen"
        if trained(run)
        else "the plan has no validation: overfitting will not be seen",
        last_step=end,
    )


RULE = BasicRule(
    id="no-validation",
    title="no validation data",
    severity="warning",
    needs="a log, or a plan that says whether it validates",
    threshold="no validation at all (exact)",
    remedy='hold out data and validate about ten times: eval_strategy="steps", eval_steps = a'
    " tenth of the run",
    source="article: no validation data is a common mistake; 47% of 89 public runs log none"
    " (finetune-doctor 0.2.2)",
    look=_look,
)
