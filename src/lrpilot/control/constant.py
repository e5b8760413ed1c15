"""The baseline policy: the recommended peak, annealed to zero, never touched."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from lrpilot.control.types import Budget, Decision, Observation
from lrpilot.facts import Recommendation


@dataclass(frozen=True, slots=True)
class ConstantState:
    """The budget, and how far it is spent."""

    budget: Budget
    step: int = 0


@dataclass(frozen=True, slots=True)
class ConstantController:
    """A constant peak with linear decay to zero: what most people do without thinking."""

    name: str = "constant"

    def init(self, recommendation: Recommendation, budget: Budget) -> ConstantState:
        """The state before the first step."""
        return ConstantState(budget)

    def update(
        self, state: ConstantState, observation: Observation
    ) -> tuple[Decision, ConstantState]:
        """Follow the anneal, whatever was observed."""
        state = ConstantState(observation.budget or state.budget, observation.step)
        scale = state.budget.shape(observation.step)
        return Decision(action="hold", lr_scale=scale, rule="constant"), state

    def dump(self, state: ConstantState) -> dict[str, Any]:
        """The state as JSON types."""
        return asdict(state)

    def load(self, data: dict[str, Any]) -> ConstantState:
        """The inverse of `dump`."""
        return ConstantState(Budget(**data["budget"]), data["step"])
