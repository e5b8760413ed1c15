"""Too few validations to see overfitting, or to choose a checkpoint."""

from __future__ import annotations

from lrpilot.diagnose.history import History
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.view import finite, is_partial, last_step, planned_steps

_FEW, _HARDLY = 5, 3  # assumed: below five no test has power (docs/doctor.md), below three none


def _look(run: History, alpha: float) -> Seen | str | None:
    plan, total = run.plan, planned_steps(run)
    evals = finite(run.eval_loss) or finite(run.score)
    count: float
    if evals is not None and not is_partial(run):
        count = float(len(evals))
    elif plan.eval_every_steps and total:
        count = float(total // plan.eval_every_steps)
    elif evals is not None:
        return "the end of the run"
    else:
        return "validations, or their interval and the length of the run"
    if count >= _FEW:
        return None
    steps = total or last_step(run) or 0.0
    every = max(1, round(steps / 10))
    return Seen(
        summary=f"{count:g} validations in {steps:g} steps: when it began to overfit, and which"
        " checkpoint is best, cannot be seen",
        figures={"validations": count, "steps": steps},
        severity=None if count < _HARDLY else "info",
        remedy=f'eval_strategy="steps", eval_steps={every} (ten times in the run)',
    )


RULE = BasicRule(
    id="eval-too-rare",
    title="too few validations",
    severity="warning",
    needs="validations, or their interval and the length of the run",
    threshold=f"fewer than {_FEW} (info), fewer than {_HARDLY} (warning); assumed from the test's"
    " power (docs/doctor.md)",
    remedy="validate about ten times in the run",
    source="finetune-doctor 0.2.2: 23 of 89 public runs have fewer than five validations",
    look=_look,
)
