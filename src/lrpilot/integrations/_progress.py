"""What a run tells of itself: how far it is, and what the autopilot has spent."""

from __future__ import annotations

import datetime
import platform
from dataclasses import asdict, dataclass
from typing import Any

import lrpilot
from lrpilot.control import Budget, Decision
from lrpilot.diagnose.finding import Finding
from lrpilot.facts import Recommendation, RunFacts
from lrpilot.metric import Evaluation
from lrpilot.record import VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a live display shows after a step."""

    step: int
    steps: int
    train_loss: float | None
    lr: float
    validation: Evaluation | None
    decision: Decision | None
    wall_s: float
    findings: tuple[Finding, ...] = ()  # of the doctor, new since the last call


@dataclass(slots=True)
class Spent:
    """Seconds spent by the autopilot: deciding and recording, validating, copying, diagnosing."""

    own_s: float = 0.0
    evaluate_s: float = 0.0
    snapshot_s: float = 0.0
    evaluations: int = 0
    snapshots: int = 0
    doctor_s: float = 0.0

    @property
    def elsewhere_s(self) -> float:
        """What was neither training nor deciding."""
        return self.evaluate_s + self.snapshot_s + self.doctor_s


def header(
    policy: str, facts: RunFacts, recommendation: Recommendation, budget: Budget
) -> dict[str, Any]:
    """What the record of a run begins with, but its title and metric."""
    return {
        "version": VERSION,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "lrpilot": lrpilot.__version__,
        "policy": policy,
        "facts": facts.known(),
        "recommendation": recommendation.to_json(),
        "budget": asdict(budget),
        "environment": {"python": platform.python_version(), "machine": platform.machine()},
    }
