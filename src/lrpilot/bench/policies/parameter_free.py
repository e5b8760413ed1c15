"""Optimizers that promise to need no rate, from their authors' packages, with their defaults."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from lrpilot.bench.lab import Lab, Result, Training
from lrpilot.errors import MissingExtraError


def _load(module: str, attribute: str) -> Any:
    try:
        return getattr(importlib.import_module(module), attribute)
    except ImportError:
        raise MissingExtraError(
            f"this policy needs the package of {attribute}: pip install 'lrpilot[bench]'"
        ) from None


def _optimizer(training: Training, module: str, attribute: str, **options: Any) -> Any:
    trained = [p for p in training.model.parameters() if p.requires_grad]
    return _load(module, attribute)(trained, **options)


@dataclass(frozen=True, slots=True)
class ParameterFree:
    """One such optimizer.

    Attributes:
        name: As the results call it.
        module, attribute: Where the optimizer's class is.
        options: Its arguments. (paper)
        decay: Whether its multiplier decays linearly to zero, as its authors advise a schedule.
        takes_loss: Whether its step wants the training loss.
    """

    name: str
    module: str
    attribute: str
    options: Mapping[str, Any] = field(default_factory=dict)
    decay: bool = True
    takes_loss: bool = False

    def run(self, lab: Lab) -> Result:
        """One run."""
        training = lab.start()
        optimizer = _optimizer(training, self.module, self.attribute, **self.options)
        training.use(optimizer, takes_loss=self.takes_loss)
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


@dataclass(frozen=True, slots=True)
class Dog:
    """Distance over gradients, with the weight average that its authors ask for.

    Attributes:
        name: As the results call it.
        attribute: "DoG", or "LDoG" for one step size a tensor.
        first: First movement, relative to the weights' norm. (paper)
        first_with_batch_norm: The same where the model has batch norm. (paper)
    """

    name: str
    attribute: str
    first: float = 1e-6
    first_with_batch_norm: float = 1e-4

    def run(self, lab: Lab) -> Result:
        """One run; the averaged model is what is handed back."""
        training = lab.start()
        model = training.model
        normed = any(isinstance(m, torch.nn.BatchNorm2d) for m in model.modules())
        first = self.first_with_batch_norm if normed else self.first
        training.use(_optimizer(training, "dog", self.attribute, reps_rel=first))
        averager = _load("dog", "PolynomialDecayAverager")(model)
        for _ in range(lab.task.steps):
            training.step()
            averager.step()
        return Result(model=averager.averaged_model)


POLICIES = (
    ParameterFree("prodigy", "prodigyopt", "Prodigy", {"lr": 1.0}),
    ParameterFree("d-adaptation", "dadaptation", "DAdaptAdam", {"lr": 1.0}),
    ParameterFree(
        "schedule-free", "schedulefree", "AdamWScheduleFree", {"lr": 0.0025}, decay=False
    ),
    ParameterFree("momo-adam", "momo", "MomoAdam", {"lr": 1e-2}, decay=False, takes_loss=True),
    Dog("dog", "DoG"),
    Dog("l-dog", "LDoG"),
)
