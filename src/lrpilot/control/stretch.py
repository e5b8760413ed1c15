"""After the last step: along the line from where training began, by the head, then by all weights.

The head alone, which batch norm's statistics do not follow, only goes back: fine-tuned, it tends to
be surer than it is right, and few examples, of which all may be solved, would always have it surer.
Measured: docs/log.md, "The head alone".
"""

from __future__ import annotations

from dataclasses import replace

from lrpilot.control.line import Place, following
from lrpilot.control.trial_settings import TrialSettings
from lrpilot.control.trial_state import TrialState
from lrpilot.control.types import Part
from lrpilot.metric import Evaluation


def next_line(state: TrialState, settings: TrialSettings) -> TrialState | None:
    """The state in which the next part of the weights is moved.

    Returns:
        None where there is no other part, or where too few validations are left for it.
    """
    if state.best is None or (state.stretching and state.part == "all"):
        return None
    part: Part = "head" if state.budget.head and not state.stretching else "all"
    tried = settings.stretch_factor if part == "all" else 1.0 / settings.stretch_factor
    middle = Place(1.0, state.best)
    state = replace(state, phase="stretch", part=part, line=(middle,), tried=tried, stretch=1.0,
                    stretches=0)  # fmt: skip
    return state if _left(state, settings) >= settings.stretch_reserve else None


def walked(
    state: TrialState, settings: TrialSettings, new: Evaluation, *, difference: float, gain: float
) -> tuple[TrialState, bool, bool]:
    """Look beside the last place, on where it falls further, and then at the lowest point.

    Args:
        state: Of a line.
        settings: How far and how often.
        new: The validation of what is being tried.
        difference: By how much it is worse than the best one.
        gain: See `lrpilot.control.line.lowest`.

    Returns:
        What comes next, whether the place just seen is to be kept, and whether there is another.
    """
    state = replace(state, stretches=state.stretches + 1)
    if state.phase == "place":
        better = difference < 0.0
        return (replace(state, stretch=state.tried) if better else state), better, False
    left = _left(state, settings)
    looked = (*state.line, Place(state.tried, new))
    back = state.part == "head"
    line, at, final = following(looked, settings, back=back, more=left > 1, gain=gain)
    state = replace(state, line=line, tried=at, phase="place" if final else "stretch")
    return state, False, left > 0 and not (final and at == 1.0)


def _left(state: TrialState, settings: TrialSettings) -> int:
    spare = state.budget.evaluations - state.validations
    return min(spare, settings.most_stretches - state.stretches)
