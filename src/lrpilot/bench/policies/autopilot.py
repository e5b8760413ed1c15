"""lrpilot's own: one run, steered from validation, as released."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lrpilot.bench.lab import Lab, Result
from lrpilot.control import Controller
from lrpilot.control.plan import affordable
from lrpilot.torch import Autopilot

_EVALUATIONS = 14  # as `AutopilotCallback`
_LEAST, _MOST = 4, 96  # assumed: examples; fewer decide nothing, more tell little more


@dataclass(frozen=True, slots=True)
class Pilot:
    """`lrpilot.torch.Autopilot` with its defaults.

    Attributes:
        off_by: Factor on the recommendation, to see what a wrong start costs.
        told: Whether it is told what is known of the task, or sees the live model alone.
        policy: Its policy.
        examples: Validation examples; None: as many as keep all validations within a tenth of the
            run's passes, 96 at most.
        evaluations: Its validations, at most.
    """

    name: str = "autopilot"
    off_by: float = 1.0
    told: bool = True
    policy: str | Controller[Any] = "trial"
    examples: int | None = None
    evaluations: int = _EVALUATIONS

    def run(self, lab: Lab) -> Result:
        """One run."""
        from lrpilot.recommend import recommend

        training = lab.start()
        start_lr = None
        if self.off_by != 1.0:
            recommended = recommend(lab.facts)
            start = recommended.low if self.policy == "validation" else recommended.peak_lr
            start_lr = start * self.off_by
        examples, evaluations = self.examples, self.evaluations
        if examples is None:
            examples, evaluations = affordable(
                lab.task.steps, lab.task.batch_size, evaluations=evaluations, least=_LEAST
            )
            examples = min(examples, _MOST)
        pilot = Autopilot(
            training.model,
            training.optimizer,
            total_steps=lab.task.steps,
            evaluate=lambda: training.validate(examples),
            policy=self.policy,
            evaluations=evaluations,
            steps_per_epoch=training.steps_per_epoch,
            facts=lab.facts if self.told else None,
            start_lr=start_lr,
            doctor=False,  # it decides nothing, and would cost time
        )
        highest = 0.0
        for indices in pilot.batches(training.loader):
            loss = training.loss(indices)
            loss.backward()  # type: ignore[no-untyped-call]
            highest = max(highest, pilot.lr)
            training.optimizer.step()
            training.optimizer.zero_grad()
            pilot.step(loss)
        decision = pilot.last_decision
        return Result(
            model=training.model, peak_lr=highest, note="" if decision is None else decision.reason
        )


POLICIES = (
    Pilot(),
    Pilot("autopilot-untold", told=False),
    Pilot("autopilot-30x-low", off_by=1 / 30),
    Pilot("autopilot-30x-high", off_by=30.0),
    Pilot("validation", policy="validation", examples=96, evaluations=16),
    Pilot("validation-30x-low", policy="validation", examples=96, evaluations=16, off_by=1 / 30),
    Pilot("validation-30x-high", policy="validation", examples=96, evaluations=16, off_by=30.0),
)
