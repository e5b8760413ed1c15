"""A loss that never changes, no gradient, or a rate of zero: nothing trains."""

from __future__ import annotations

import numpy as np

from lrpilot.diagnose.history import History
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.view import figure, finite, last_step

_LEAST = 5
_SAME = 1e-6  # assumed: logs round to four to seven digits


def _look(run: History, alpha: float) -> Seen | str | None:
    loss, norm = finite(run.train_loss, least=_LEAST), finite(run.grad_norm, least=_LEAST)
    lr, evals = finite(run.lr, least=_LEAST), finite(run.eval_loss, least=_LEAST)
    if loss is None and norm is None and lr is None and evals is None:
        return f"{_LEAST} logged losses, gradient norms or rates"
    said = None
    if lr is not None and not (lr.values > 0).any():
        said = "the rate is zero from start to end"
    elif norm is not None and not (norm.values != 0).any():
        said = "the gradient is zero from start to end"
    elif evals is not None and _constant(evals.values):
        said = f"the validation loss is {figure(float(evals.values[0]))} at every validation"
    elif loss is not None and _constant(loss.values):
        said = f"the training loss is {figure(float(loss.values[0]))} at every step"
    return (
        None if said is None else Seen(summary=f"{said}: nothing trains", last_step=last_step(run))
    )


def _constant(values: np.ndarray) -> bool:
    return float(np.ptp(values)) <= _SAME * max(1e-12, float(np.abs(values).max()))


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
