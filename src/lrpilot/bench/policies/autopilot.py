"""lrpilot's own: one run, steered from validation, as released."""

from __future__ import annotations

from dataclasses import dataclass

from lrpilot.bench.lab import Lab, Result
from lrpilot.torch import Autopilot

_EXAMPLES = 96  # as `AutopilotCallback` reads at least
_LEAST, _VALIDATIONS = 8, 12  # assumed: about seven in the climb and five after it


@dataclass(frozen=True, slots=True)
class Pilot:
    """`lrpilot.torch.Autopilot` with its defaults.

    Attributes:
        off_by: Factor on the recommendation, to see what a wrong start costs.
        policy: Its policy.
        share: Validate as many examples as keep all validations within this share of the run's
            passes; None: 96 examples each time.
    """

    name: str = "autopilot"
    off_by: float = 1.0
    policy: str = "validation"
    share: float | None = None

    def run(self, lab: Lab) -> Result:
        """One run."""
        from lrpilot.recommend import recommend

        training = lab.start()
        start_lr = None
        if self.off_by != 1.0:
            start_lr = recommend(lab.facts).low * self.off_by
        examples = _EXAMPLES
        if self.share is not None:
            passes = 3 * lab.task.steps * lab.task.batch_size
            examples = min(_EXAMPLES, max(_LEAST, int(self.share * passes / _VALIDATIONS)))
        pilot = Autopilot(
            training.model,
            training.optimizer,
            total_steps=lab.task.steps,
            evaluate=lambda: training.validate(examples),
            policy=self.policy,
            steps_per_epoch=training.steps_per_epoch,
            facts=lab.facts,
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
    Pilot("autopilot-30x-low", off_by=1 / 30),
    Pilot("autopilot-30x-high", off_by=30.0),
    Pilot("ramp", policy="ramp", share=0.1),
    Pilot("ramp-30x-low", policy="ramp", share=0.1, off_by=1 / 30),
    Pilot("ramp-30x-high", policy="ramp", share=0.1, off_by=30.0),
)
