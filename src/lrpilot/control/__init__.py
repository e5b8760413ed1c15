"""Controllers: pure policies that turn observations into decisions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lrpilot.control.constant import ConstantController, ConstantState
from lrpilot.control.trial import TrialController
from lrpilot.control.trial_state import TrialState
from lrpilot.control.types import Action, Budget, Controller, Decision, Observation
from lrpilot.control.validation import ValidationController
from lrpilot.control.validation_state import ValidationState
from lrpilot.errors import InputError

__all__ = [
    "POLICIES",
    "Action",
    "Budget",
    "ConstantController",
    "ConstantState",
    "Controller",
    "Decision",
    "Observation",
    "TrialController",
    "TrialState",
    "ValidationController",
    "ValidationState",
    "controller",
]

POLICIES: dict[str, Callable[[], Controller[Any]]] = {
    "validation": ValidationController,
    "trial": TrialController,
    "constant": ConstantController,
}


def controller(name: str) -> Controller[Any]:
    """The policy of that name, with its default constants.

    Raises:
        InputError: No such policy.
    """
    if name not in POLICIES:
        raise InputError(f"no policy {name!r}: choose one of {', '.join(sorted(POLICIES))}")
    return POLICIES[name]()
