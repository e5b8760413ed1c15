"""A loss that never changes, no gradient, or a rate of zero: nothing trains."""

from __future__ import annotations

from lrpilot.diagnose.history import History
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.view import finite, last_step
from lrpilot.diagnose.worsening import STILL, stands_still


def _look(run: History, alpha: float) -> Seen | str | None:
    watched = (run.train_loss, run.eval_loss, run.grad_norm, run.lr)
    if all(finite(series, least=STILL) is None for series in watched):
        return f"{STILL} logged losses, gradient norms or rates"
    said = stands_still(run)
    return (
        None if said is None else Seen(summary=f"{said}: nothing trains", last_step=last_step(run))
    )


RULE = BasicRule(
    id="nothing-trains",
    title="nothing trains",
    severity="error",
    needs="losses, gradient norms or rates, five or more",
    threshold="no change within one millionth, or exactly zero (exact)",
    remedy="check that parameters require gradients, that the optimizer holds them, that"
    " optimizer.step() is called, and that labels are not all masked (-100)",
    source="NeuraLint (optimizer not called); SageMaker Debugger (UnchangedTensor, AllZero)",
    look=_look,
    shows="train_loss",
)
