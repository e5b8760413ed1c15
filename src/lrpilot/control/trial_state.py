"""What the controller of paired trials remembers."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from lrpilot.control.line import Place
from lrpilot.control.types import Budget
from lrpilot.control.validation_state import dump_evaluation, load_evaluation
from lrpilot.metric import Evaluation

Phase = Literal["warmup", "higher", "same", "rest", "settle", "stretch", "place"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TrialState:
    """Everything the controller remembers; replaced, never changed.

    Attributes:
        budget: What the run may spend.
        founded: Whether it began at a rate that something vouches for, not at a bare number.
        factor: Rate of the higher branch, as a multiple.
        phase: "warmup"; "higher" and "same", the branches of a trial; "rest"; "settle", annealed
            steps before a worse validation is believed; after the last step "stretch", in which
            validation is asked along the line, and "place", where it seems best.
        step: Optimizer steps done.
        begun: Step at which the phase began.
        level: Multiplier of the recommended peak, without warm-up, branch and anneal.
        start: The level that the first warm-up goes to.
        ceiling: A level that failed, which no trial may reach again.
        check: Step at which the phase has something to do.
        validations: Validations so far, without the one before training.
        first: The validation before training.
        best, best_step: The point that a roll-back returns to, and the latest validation of it or
            on the way to it.
        higher: The validation that ended the higher branch; None if it diverged.
        failed: The validation after the last warm-up that failed.
        losses: Training losses since the last validation, on new batches.
        before: The later half of those that led to the best point.
        trained: Mean training loss of about the last epoch.
        comparable: Whether validation seems to be the same loss as training's.
        usual: The loss that training began with: of the first step, or validation's if higher.
        high: Training losses in a row, up to now, that are far above it.
        rollbacks: Roll-backs so far, without those that belong to a trial.
        stretch: The change of the kept weights since the start, as a multiple of what training
            left.
        line: Up to three places that were validated, by their multiples.
        tried: The multiple of that which is being validated.
        stretches: Validations of stretched weights so far.
    """

    budget: Budget
    founded: bool
    factor: float
    phase: Phase = "warmup"
    step: int = 0
    begun: int = 0
    level: float = 1.0
    start: float = 1.0
    ceiling: float | None = None
    check: int
    validations: int = 0
    first: Evaluation | None = None
    best: Evaluation | None = None
    best_step: int = 0
    higher: Evaluation | None = None
    failed: Evaluation | None = None
    losses: tuple[float, ...] = ()
    before: tuple[float, ...] = ()
    trained: float | None = None
    comparable: bool = True
    usual: float | None = None
    high: int = 0
    rollbacks: int = 0
    stretch: float = 1.0
    line: tuple[Place, ...] = ()
    tried: float = 1.0
    stretches: int = 0

    def opening(self, new: Evaluation) -> str:
        """What is said of the first validation, and of where training begins."""
        reason = f"the first validation, {new.mean:.4g}, is what later ones are compared with"
        if self.start == 1.0:
            return reason
        side = "below" if self.start > 1.0 else "above"
        times = max(self.start, 1 / self.start)
        told = f"the rate is {times:,.0f} times {side} what the sizes of the weights suggest"
        return f"{reason}; {told}, and training begins there"

    def within(self, budget: Budget) -> TrialState:
        """The state with another budget: what is ahead comes as much sooner or later.

        A branch of a trial, and a second look, keep their length, unless the budget ends there.
        """
        branch = self.phase in ("higher", "same", "settle") and self.step < budget.steps
        if budget == self.budget or branch:
            return self
        ahead = (budget.steps - self.step) / max(1, self.budget.steps - self.step)
        check = self.step + math.ceil((self.check - self.step) * ahead)
        return replace(self, budget=budget, check=check)

    def dump(self) -> dict[str, Any]:
        """The state as JSON types."""
        data = {name: getattr(self, name) for name in TrialState.__slots__}
        data |= {name: dump_evaluation(data[name]) for name in _EVALUATIONS}
        line = [place.dump() for place in self.line]
        data |= {"losses": list(self.losses), "before": list(self.before)}
        return data | {"budget": asdict(self.budget), "line": line}

    @classmethod
    def load(cls, data: dict[str, Any]) -> TrialState:
        """The inverse of `dump`."""
        data = dict(data, budget=Budget(**data["budget"]))
        data |= {name: tuple(data[name]) for name in ("losses", "before")}
        data |= {name: load_evaluation(data[name]) for name in _EVALUATIONS}
        return cls(**data | {"line": tuple(Place.load(place) for place in data["line"])})


_EVALUATIONS = ("first", "best", "higher", "failed")
