"""Optimizers that promise to need no rate, with their published defaults."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lrpilot.bench.lab import Lab, Result
from lrpilot.errors import MissingExtraError


@dataclass(frozen=True, slots=True)
class ParameterFree:
    """One such optimizer.

    Attributes:
        name: As the results call it.
        module, attribute: Where the optimizer's class is.
        options: Its arguments. (paper)
        decay: Whether its multiplier decays linearly to zero, as its authors advise a schedule.
    """

    name: str
    module: str
    attribute: str
    options: dict[str, Any] = field(default_factory=dict)
    decay: bool = True

    def run(self, lab: Lab) -> Result:
        """One run."""
        try:
            make: Callable[..., Any] = getattr(importlib.import_module(self.module), self.attribute)
        except ImportError:
            raise MissingExtraError(
                f"{self.name} needs {self.module}: pip install 'lrpilot[bench]'"
            ) from None
        training = lab.start()
        optimizer = make(
            [p for p in training.model.parameters() if p.requires_grad], **self.options
        )
        training.use(optimizer)
        steps = lab.task.steps
        base = optimizer.param_groups[0]["lr"]
        switch = hasattr(optimizer, "train") and hasattr(optimizer, "eval")
        if switch:
            optimizer.train()
        for step in range(steps):
            training.step(base * (1 - step / steps) if self.decay else base)
        if switch:
            optimizer.eval()
        return Result(model=training.model)


POLICIES = (
    ParameterFree("prodigy", "prodigyopt", "Prodigy", {"lr": 1.0}),
    ParameterFree("d-adaptation", "dadaptation", "DAdaptAdam", {"lr": 1.0}),
    ParameterFree(
        "schedule-free", "schedulefree", "AdamWScheduleFree", {"lr": 0.0025}, decay=False
    ),
)
