"""torch's ReduceLROnPlateau with its defaults, stepped after each pass over the data."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from lrpilot.bench.lab import Lab, Result

_START = 1e-3  # paper: torch's own default of Adam and AdamW
_EVALUATIONS = 16  # as often as the autopilot plans; its patience of 10 is counted in these


@dataclass(frozen=True, slots=True)
class Plateau:
    """Constant until validation has not improved for ten evaluations, then a tenth."""

    name: str = "reduce-on-plateau"

    def run(self, lab: Lab) -> Result:
        """One run."""
        training = lab.start()
        for group in training.optimizer.param_groups:
            group["lr"] = _START
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(training.optimizer)
        every = max(1, lab.task.steps // _EVALUATIONS)
        for step in range(1, lab.task.steps + 1):
            training.step()
            if step % every == 0:
                schedule.step(float(training.validate(96).mean()))
        return Result(model=training.model, peak_lr=_START)


POLICIES = (Plateau(),)
