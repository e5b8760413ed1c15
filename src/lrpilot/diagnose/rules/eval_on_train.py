"""Validation on the training data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lrpilot.diagnose.history import History
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.trend import moving_mean
from lrpilot.diagnose.view import figure, finite, is_partial, last_step

_LEAST = 4
_LEARNED = 0.1  # assumed: a training loss at a tenth of its start has been memorised
_BELOW = 0.4  # measured: the bench's tasks come to 0.36 there, healthy ones to 0.46 and more
_EPOCHS = 3.0  # assumed: so many passes memorise; held-out loss stays behind


def _look(run: History, alpha: float) -> Seen | str | None:
    if run.plan.eval_on_train is not None:
        return (
            _seen(run, "the validation set is the training set") if run.plan.eval_on_train else None
        )
    train, held = finite(run.train_loss, least=2 * _LEAST), finite(run.eval_loss, least=_LEAST)
    epoch = finite(run.epoch)
    if train is None or held is None or epoch is None or is_partial(run):
        return "what the validation set is, or both losses and the epochs to the end"
    level = np.interp(held.steps, train.steps, _smooth(train.values))
    last = max(2, len(held) // 3)
    memorised = level[-last:].mean() < _LEARNED * train.values[0]
    below = held.values[-last:].mean() <= _BELOW * level[-last:].mean()
    if not memorised or float(epoch.values[-1]) < _EPOCHS or not below:
        return None
    said = (
        f"the validation loss ({figure(float(held.values[-last:].mean()))}) is below a training"
        f" loss of {figure(float(level[-last:].mean()))} after {epoch.values[-1]:.3g} epochs"
    )
    return replace(_seen(run, said), severity="info")


def _smooth(values: np.ndarray) -> np.ndarray:
    n = max(1, values.size // 20)
    padded = np.pad(values, (n // 2, n - 1 - n // 2), mode="edge")
    return moving_mean(padded, n)


def _seen(run: History, said: str) -> Seen:
    return Seen(summary=f"{said}: overfitting cannot be seen", last_step=last_step(run))


RULE = BasicRule(
    id="eval-on-train",
    title="validation on training data",
    severity="warning",
    needs="what the validation set is, or both losses and the epochs",
    threshold="said by the plan (exact); or, a remark, a validation loss at 40% of the training"
    " loss after three epochs and a fall to a tenth (assumed)",
    remedy="hold out data that no epoch sees, split by document or by patient rather than by row",
    source="UMLAUT (validation accuracy above training accuracy); article: evaluate on validation"
    " data",
    look=_look,
    shows="eval_loss",
)
