"""What the validation-driven controller remembers, and how that is stored."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from lrpilot.control.types import Budget
from lrpilot.metric import Evaluation

_TUPLES = ("plan", "before", "recent", "means")
_EVALUATIONS = ("best", "reference")


@dataclass(frozen=True, slots=True, eq=False)
class ValidationState:
    """Everything the controller remembers; replaced, never changed.

    Attributes:
        budget: What the run may spend.
        plan: Steps after which a validation is due.
        step: Optimizer steps done.
        level: Multiplier of the recommended peak, without the anneal.
        ceiling: A level that failed; raises stay below it. None while none has.
        overfitted: Whether overfitting was seen; raises are over then.
        raised: Whether the rate was raised and no validation has been the best since.
        since: Step at which the present level began.
        proven: The latest level that was held for `proof_frac` of the budget without failing.
        check: Step of the validation that checks a raise, if it is not planned anyway.
        resting: Validations still to come without a raise.
        bad: Validations in a row that looked worse at the milder level.
        best, best_step, best_level: The best validation, where it was and at which level.
        reference: What the next validation is compared with.
        before: Training losses leading up to `reference`.
        recent: The latest training losses.
        means: The means of the latest validations, whose jitter is noise to a comparison.
        spikes: Validations that a loss spike asked for so far.
        rollbacks: Roll-backs so far.
    """

    budget: Budget
    plan: tuple[int, ...]
    step: int = 0
    level: float = 1.0
    ceiling: float | None = None
    overfitted: bool = False
    raised: bool = False
    since: int = 0
    proven: float | None = None
    check: int | None = None
    resting: int = 0
    bad: int = 0
    best: Evaluation | None = None
    best_step: int = 0
    best_level: float = 1.0
    reference: Evaluation | None = None
    before: tuple[float, ...] = ()
    recent: tuple[float, ...] = ()
    means: tuple[float, ...] = ()
    spikes: int = 0
    rollbacks: int = 0

    def dump(self) -> dict[str, Any]:
        """The state as JSON types."""
        data = {name: getattr(self, name) for name in ValidationState.__slots__}
        data["budget"] = asdict(self.budget)
        data |= {name: list(data[name]) for name in _TUPLES}
        return data | {name: dump_evaluation(data[name]) for name in _EVALUATIONS}

    @classmethod
    def load(cls, data: dict[str, Any]) -> ValidationState:
        """The inverse of `dump`."""
        data = dict(data, budget=Budget(**data["budget"]))
        data |= {name: tuple(data[name]) for name in _TUPLES}
        data |= {name: load_evaluation(data[name]) for name in _EVALUATIONS}
        return cls(**data)


def dump_evaluation(evaluation: Evaluation | None) -> dict[str, Any] | None:
    """An evaluation as JSON types."""
    if evaluation is None:
        return None
    weights = evaluation.weights
    return {
        "values": evaluation.values.tolist(),
        "weights": None if weights is None else weights.tolist(),
        "mode": evaluation.mode,
    }


def load_evaluation(data: dict[str, Any] | None) -> Evaluation | None:
    """The inverse of `dump_evaluation`."""
    return None if data is None else Evaluation.of(**data)
