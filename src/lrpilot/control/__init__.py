"""Controllers: pure policies that turn observations into decisions."""

from __future__ import annotations

from typing import Any

from lrpilot.control.constant import ConstantController, ConstantState
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
    "ValidationController",
    "ValidationState",
    "controller",
]

POLICIES: dict[str, type[ValidationController] | type[ConstantController]] = {
    "validation": ValidationController,
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
