"""What the ramp remembers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from lrpilot.control.types import Budget
from lrpilot.control.validation_state import dump_evaluation, load_evaluation
from lrpilot.metric import Evaluation


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Probe:
    """A validation, and the training losses of the steps that led to it."""

    evaluation: Evaluation
    step: int
    losses: tuple[float, ...] = ()

    def dump(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "evaluation": dump_evaluation(self.evaluation),
            "step": self.step,
            "losses": list(self.losses),
        }

    @classmethod
    def load(cls, data: dict[str, Any]) -> Probe:
        """The inverse of `dump`."""
        evaluation = load_evaluation(data["evaluation"])
        assert evaluation is not None
        return cls(evaluation=evaluation, step=data["step"], losses=tuple(data["losses"]))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RampState:
    """Everything the controller remembers; replaced, never changed.

    Attributes:
        budget: What the run may spend.
        prior_sd: How far the recommendation may be off, in powers of ten; infinite where it says
            nothing.
        step: Optimizer steps done.
        climbing: Whether the rate still rises.
        base, begun: Level and step at which the present climb began.
        level: Multiplier of the recommended peak, without the anneal.
        check: Step of the next validation; None where none is wanted.
        best, best_level: The best point, and the level that it was reached at.
        last: The probe before this one, in the climb.
        first: Mean of the validation before training.
        sound: Whether a validation was better than that one.
        progress: Whether a probe of the present climb was the best.
        useful: The highest level that clearly helped; None before there is one.
        gain, fastest: The largest fall of the loss a step in this climb, and its level.
        losses: Training losses since the last probe, in the climb; the latest of them.
        rollbacks: Roll-backs so far.
    """

    budget: Budget
    prior_sd: float
    step: int = 0
    climbing: bool = True
    base: float
    begun: int = 0
    level: float
    check: int | None = None
    best: Probe | None = None
    best_level: float = 1.0
    last: Probe | None = None
    first: float = 0.0
    sound: bool = False
    progress: bool = False
    useful: float | None = None
    gain: float = 0.0
    fastest: float | None = None
    losses: tuple[float, ...] = ()
    rollbacks: int = 0

    def dump(self) -> dict[str, Any]:
        """The state as JSON types."""
        data = {name: getattr(self, name) for name in RampState.__slots__}
        data |= {name: data[name] and data[name].dump() for name in ("best", "last")}
        prior = None if self.prior_sd == float("inf") else self.prior_sd
        budget = asdict(self.budget)
        return data | {"budget": budget, "losses": list(self.losses), "prior_sd": prior}

    @classmethod
    def load(cls, data: dict[str, Any]) -> RampState:
        """The inverse of `dump`."""
        data = dict(data, budget=Budget(**data["budget"]), losses=tuple(data["losses"]))
        data |= {name: data[name] and Probe.load(data[name]) for name in ("best", "last")}
        if data["prior_sd"] is None:
            data["prior_sd"] = float("inf")
        return cls(**data)
