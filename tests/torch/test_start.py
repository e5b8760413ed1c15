"""What is read off a live optimizer before a run starts."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from lrpilot.control.types import Budget
from lrpilot.facts import Recommendation, RunFacts
from lrpilot.integrations._reference import best_step, reference_rate
from lrpilot.integrations._start import starting_point, towards
from lrpilot.recommend import recommend

STEP = best_step(1e6)


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


def _rate(parameters: Any, kind: Any = torch.optim.AdamW, **facts: Any) -> float | None:
    return reference_rate(kind(parameters, lr=1e-3), RunFacts(**{"params": 1e6, **facts}))


def test_larger_models_take_smaller_steps_as_far_as_was_measured() -> None:
    assert best_step(1e7) == pytest.approx(0.176)
    assert best_step(1e8) == pytest.approx(0.176 * 10**-0.28)
    assert best_step(7e9) == best_step(1.4e8)
    assert best_step(10) == best_step(2.4e4)
    rates = [_rate(torch.nn.Linear(16, 16).parameters(), params=params) for params in (1e6, 1e8)]
    assert rates == [pytest.approx(best_step(1e6) / 16), pytest.approx(best_step(1e8) / 16)]


def test_the_reference_follows_from_the_median_matrix() -> None:
    small, middle, large = (torch.nn.Linear(n, n) for n in (4, 16, 64))
    rate = _rate([*small.parameters(), *middle.parameters(), *large.parameters()])
    assert rate == pytest.approx(STEP / 16)
    middle.weight.requires_grad_(False)
    rate = _rate([*small.parameters(), *middle.parameters(), *large.parameters()])
    assert rate == pytest.approx(STEP / ((4 * 4 + 64 * 64) / 2) ** 0.5)


def test_a_head_with_a_rate_of_its_own_does_not_count() -> None:
    body, head = torch.nn.Linear(16, 16), torch.nn.Linear(16, 2)
    groups = [{"params": head.parameters(), "lr": 1.0}, {"params": body.parameters()}]
    assert _rate(groups) == pytest.approx(STEP / 16)


@pytest.mark.parametrize(
    ("optimizer", "facts", "known"),
    [
        (torch.optim.Adam, {}, True),
        (torch.optim.RAdam, {"method": "lora"}, True),
        (torch.optim.SGD, {}, False),  # its steps are as large as the gradient
        (torch.optim.Rprop, {}, False),
        (torch.optim.Rprop, {"optimizer": "rmsprop"}, False),
        (torch.optim.AdamW, {"method": "prompt"}, False),
        (torch.optim.AdamW, {"method": "linear-probe"}, False),
        (torch.optim.AdamW, {"task": "dpo"}, False),
        (torch.optim.AdamW, {"params": None}, False),
    ],
)
def test_not_every_optimizer_nor_method_has_a_reference(
    optimizer: Any, facts: dict[str, Any], known: bool
) -> None:
    assert (_rate(torch.nn.Linear(8, 8).parameters(), optimizer, **facts) is not None) is known


def test_each_optimizer_moves_a_matrix_its_own_way() -> None:
    weights = torch.full((8, 32), 0.5)
    [matrix] = parameters = [torch.nn.Parameter(weights)]
    adam = STEP / 16
    assert _rate(parameters, torch.optim.Adafactor, optimizer="adafactor") == pytest.approx(adam)
    lion = _rate(parameters, torch.optim.SGD, optimizer="lion")  # torch has no Lion
    assert lion == pytest.approx(0.4 * adam)
    relative = {"optimizer": "adafactor-relative"}
    found = _rate(parameters, torch.optim.Adafactor, **relative)
    assert found == pytest.approx(1.1 * adam / 0.5)
    before = matrix.detach().clone()
    adafactor = torch.optim.Adafactor(parameters, lr=found, weight_decay=0.0)
    matrix.grad = torch.full((8, 32), 1e-3)
    adafactor.step()
    assert float((matrix.detach() - before).norm()) == pytest.approx(1.1 * STEP, rel=0.01)
    with torch.no_grad():
        matrix.zero_()  # as LoRA's begin: Adafactor takes none for smaller than 1e-3
    assert _rate(parameters, torch.optim.Adafactor, **relative) == pytest.approx(1.1 * adam / 1e-3)


def test_vectors_alone_have_none() -> None:
    assert _rate([torch.nn.Parameter(torch.zeros(8))]) is None


def test_a_number_of_the_users_comes_with_the_reference() -> None:
    model = torch.nn.Linear(8, 8)
    optimizer, budget = torch.optim.AdamW(model.parameters()), Budget(steps=10)
    facts = RunFacts(family="bert")
    _, start = starting_point(model, optimizer, facts=facts, start_lr=1e-5, budget=budget)
    assert (start.peak_lr, start.reference_lr) == (1e-5, pytest.approx(best_step(72) / 8))
    _, start = starting_point(model, optimizer, facts=facts, start_lr=None, budget=budget)
    assert start.reference_lr is None


@pytest.mark.parametrize(
    ("facts", "steps", "half_way"),
    [
        ({}, 100, True),
        ({}, 300, False),  # trials can tell
        ({"family": "bert"}, 100, False),  # published
    ],
)
def test_a_model_that_nobody_published_starts_half_way_to_the_reference(
    facts: dict[str, Any], steps: int, half_way: bool
) -> None:
    model = torch.nn.Linear(100, 100)
    seen, start = starting_point(
        model, torch.optim.AdamW(model.parameters()), facts=RunFacts(**facts), start_lr=None,
        budget=Budget(steps=steps),
    )  # fmt: skip
    alone = recommend(seen).peak_lr
    live = best_step(10_100) / 100
    between = math.sqrt(alone * live) if half_way else alone
    assert start.peak_lr == pytest.approx(between, rel=0.05)
    assert start.peak_lr != alone or not half_way
    assert ("weights" in [reason.rule for reason in start.reasons]) is half_way


def test_a_large_share_goes_most_of_the_way_and_the_band_with_it() -> None:
    start = Recommendation(peak_lr=1e-4, low=1e-5, high=1e-3)
    up = towards(start, 1.0, 0.5)
    assert (up.peak_lr, up.low, up.high) == (0.01, 1e-5, 0.01)
    down = towards(start, 1e-9, 0.8)
    assert (down.peak_lr, down.low, down.high) == (1e-8, 1e-8, 1e-3)
