"""What is read off a live optimizer before a run starts."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lrpilot.control.types import Budget
from lrpilot.facts import RunFacts
from lrpilot.integrations._start import starting_point


class Adafactor(torch.optim.SGD):
    """Stands for transformers' and timm's, which say in their groups how they scale."""

    def __init__(self, params: Any, **scale: bool) -> None:
        super().__init__([{"params": list(params), **scale}], lr=1e-3)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (torch.optim.AdamW, "adamw"),
        (lambda p: torch.optim.SGD(p, lr=0.1), "sgd"),
        (torch.optim.Adafactor, "adafactor-relative"),  # torch's always scales by the tensor's size
        (lambda p: Adafactor(p, scale_parameter=True), "adafactor-relative"),
        (lambda p: Adafactor(p, scale_parameter=False), "adafactor"),
        (Adafactor, "adafactor"),
    ],
)
def test_the_optimizer_and_its_scale_are_read_off(make: Any, name: str) -> None:
    model = torch.nn.Linear(2, 2)
    facts = RunFacts(model="t5-base")
    optimizer, budget = make(model.parameters()), Budget(steps=10)
    seen, _ = starting_point(model, optimizer, facts=facts, start_lr=1e-3, budget=budget)
    assert seen.optimizer == name


@pytest.mark.parametrize(
    ("facts", "per_epoch", "epochs"),
    [
        ({}, 4, 2.5),
        ({}, None, None),
        ({"train_examples": 160, "batch_size": 32}, 4, 2.0),  # what the user says goes before
        ({"epochs": 3.0}, 4, 3.0),
    ],
)
def test_the_epochs_follow_from_the_budget(
    facts: dict[str, Any], per_epoch: int | None, epochs: float | None
) -> None:
    model = torch.nn.Linear(2, 2)
    seen, _ = starting_point(
        model, torch.optim.AdamW(model.parameters()), facts=RunFacts(**facts), start_lr=1e-3,
        budget=Budget(steps=10, steps_per_epoch=per_epoch),
    )  # fmt: skip
    assert (seen.steps, seen.planned_epochs) == (10, epochs)
