"""How much of what training learns of its own examples holds on others."""

from __future__ import annotations

import math
from typing import Any

from lrpilot.control.trial_settings import TrialSettings
from lrpilot.control.trial_state import TrialState
from lrpilot.metric import Evaluation

_FIRST = 3  # steps, assumed: whose mean training loss is compared with the first validation
_ALIKE = 1.5  # assumed: times; further apart they are not the same loss


def learning(state: TrialState, step: int, loss: float | None) -> dict[str, Any]:
    """What a step's loss changes of a state: the mean of about the last epoch, while it compares.

    Args:
        state: Before the step.
        step: The step that was taken.
        loss: Its training loss; None or not finite changes nothing.
    """
    epoch, first = state.budget.steps_per_epoch, state.first
    if epoch is None or first is None or loss is None or not math.isfinite(loss):
        return {}
    if not state.comparable or first.mode != "min":
        return {}
    mean = loss if state.trained is None else state.trained
    mean += max(1 / epoch, 1 / max(1, step)) * (loss - mean)
    if step == _FIRST and not 1 / _ALIKE < mean / max(first.mean, 1e-300) < _ALIKE:
        return {"comparable": False}
    return {"trained": mean}


def outburst(state: TrialState, loss: float | None, times: float) -> dict[str, Any]:
    """What a step's loss changes of a state: how many in a row were far above the beginning's.

    Args:
        state: Before the step.
        loss: Its training loss; None or not finite changes nothing.
        times: The multiple of the first loss that is far above.
    """
    if loss is None or not math.isfinite(loss):
        return {}
    if state.usual is None:
        first = state.first
        untouched = first.mean if first is not None and first.mode == "min" else loss
        return {"usual": max(loss, untouched)}
    if loss > state.usual + (times - 1.0) * abs(state.usual):
        return {"high": state.high + 1}
    return {"high": 0} if state.high else {}


def on_new_batches(state: TrialState, settings: TrialSettings) -> bool:
    """Whether the batches of a phase that may roll back are new: then they are validation, too.

    After the warm-up nearly new ones will do, since they can only speak against a roll-back.
    """
    epoch = state.budget.steps_per_epoch
    if state.phase == "warmup":
        return epoch is None or state.step <= epoch
    if epoch is None or state.phase not in ("rest", "settle"):
        return False
    return state.comparable and settings.nearly_new(state.budget, state.step)


def halves(
    state: TrialState, settings: TrialSettings
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The training losses since the last validation, early and late; none if not all were new."""
    losses = state.losses if on_new_batches(state, settings) else ()
    return losses[: len(losses) // 2], losses[len(losses) // 2 :]


def shortfall(state: TrialState, new: Evaluation, settings: TrialSettings) -> str:
    """In words, that training learns its examples by heart; empty where it does not.

    It does where validation gained less than a share of what training did, while data are not
    nearly new any more.

    Args:
        state: Its first validation and its mean training loss are what counts.
        new: The validation now.
        settings: The share, and how long data are nearly new.
    """
    first, trained = state.first, state.trained
    if first is None or trained is None or not state.comparable:
        return ""
    if settings.nearly_new(state.budget, state.step):
        return ""
    gained, learnt = first.mean - new.mean, first.mean - trained
    if gained >= settings.heart_held * learnt:
        return ""
    return f"since the start it gained {gained:.3g}, and the training examples {learnt:.3g}"
