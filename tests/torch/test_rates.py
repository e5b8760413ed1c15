"""The rates are multiplied, whatever schedule runs: shapes and ratios stay."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch.optim import lr_scheduler as lrs  # noqa: E402

from lrpilot.errors import InputError  # noqa: E402
from lrpilot.integrations._rates import Rates  # noqa: E402
from lrpilot.integrations._torch_state import TorchState  # noqa: E402

SCHEDULES: dict[str, Callable[[Any], Any]] = {
    "lambda": lambda o: lrs.LambdaLR(o, lambda s: 1 / (1 + s)),
    "multiplicative": lambda o: lrs.MultiplicativeLR(o, lambda s: 0.9),
    "step": lambda o: lrs.StepLR(o, 3, 0.5),
    "multistep": lambda o: lrs.MultiStepLR(o, [2, 5], 0.1),
    "cosine": lambda o: lrs.CosineAnnealingLR(o, 12),
    "cosine-floor": lambda o: lrs.CosineAnnealingLR(o, 12, eta_min=1e-3),
    "linear": lambda o: lrs.LinearLR(o, 0.1, total_iters=6),
    "exponential": lambda o: lrs.ExponentialLR(o, 0.8),
    "polynomial": lambda o: lrs.PolynomialLR(o, 12, 2.0),
    "constant": lambda o: lrs.ConstantLR(o, 0.3, 4),
    "restarts": lambda o: lrs.CosineAnnealingWarmRestarts(o, 4),
    "onecycle": lambda o: lrs.OneCycleLR(o, [0.1, 1.0], total_steps=14, cycle_momentum=False),
    "sequential": lambda o: lrs.SequentialLR(
        o, [lrs.LinearLR(o, 0.1, total_iters=4), lrs.ExponentialLR(o, 0.8)], [4]
    ),
    "chained": lambda o: lrs.ChainedScheduler([lrs.StepLR(o, 3, 0.5), lrs.ExponentialLR(o, 0.9)]),
}
SCALES = {2: 4.0, 5: 0.5, 6: 8.0, 9: 1.0}  # set after these steps


def twin(make: Callable[[Any], Any]) -> tuple[Any, Any, Any]:
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 1))
    optimizer = torch.optim.SGD(
        [{"params": model[0].parameters(), "lr": 0.1}, {"params": model[1].parameters(), "lr": 1.0}]
    )
    return model, optimizer, make(optimizer)


def step(model: Any, optimizer: Any, schedule: Any) -> list[float]:
    """One training step; returns the rates that it used."""
    used = [float(g["lr"]) for g in optimizer.param_groups]
    model(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SequentialLR's own epoch argument
        schedule.step()
    return used


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_scaled_schedule_is_its_twin_times_the_scale(name: str) -> None:
    plain, piloted = twin(SCHEDULES[name]), twin(SCHEDULES[name])
    rates = Rates(piloted[1], scheduler=piloted[2])
    scale = 1.0
    for done in range(1, 13):
        expected = [scale * lr for lr in step(*plain)]
        assert step(*piloted) == pytest.approx(expected, rel=1e-9), f"step {done}"
        if done in SCALES:
            scale = SCALES[done]
            rates.set_scale(scale)


@pytest.mark.parametrize("name", [n for n in SCHEDULES if n not in ("sequential", "chained")])
def test_a_roll_back_neither_rewinds_nor_corrupts_the_schedule(name: str) -> None:
    plain, piloted = twin(SCHEDULES[name]), twin(SCHEDULES[name])
    rates = Rates(piloted[1], scheduler=piloted[2])
    state = TorchState(piloted[0], rates)
    for done in range(1, 12):
        expected = step(*plain)
        used = step(*piloted)
        if done > 6:
            assert used == pytest.approx([0.5 * lr for lr in expected], rel=1e-9), f"step {done}"
        if done == 3:
            snapshot = state.snapshot()
        if done == 4:
            rates.set_scale(16.0)
        if done == 6:
            state.restore(snapshot)
            rates.set_scale(0.5)


def test_a_plateau_schedule_keeps_its_counters_and_is_scaled() -> None:
    _, optimizer, _ = twin(lambda o: lrs.StepLR(o, 99))
    schedule = lrs.ReduceLROnPlateau(optimizer, factor=0.1, patience=1)
    rates = Rates(optimizer, scheduler=schedule)
    rates.set_scale(4.0)
    for value in (1.0, 1.0, 1.0):
        schedule.step(value)
    assert [g["lr"] for g in optimizer.param_groups] == pytest.approx([0.04, 0.4])


def test_the_peak_is_that_of_the_group_with_the_most_parameters() -> None:
    _, optimizer, _ = twin(lambda o: None)
    rates = Rates(optimizer, peak_lr=2e-5)
    assert [g["lr"] for g in optimizer.param_groups] == pytest.approx([2e-5, 2e-4])
    assert rates.set_scale(0.5) == pytest.approx(1e-5)
    assert rates.current == pytest.approx(1e-5)


def test_a_tensor_rate_is_scaled_in_place() -> None:
    model = torch.nn.Linear(2, 1)
    lr = torch.tensor(0.1)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, foreach=False, capturable=True)
    Rates(optimizer, peak_lr=0.2).set_scale(2.0)
    assert float(optimizer.param_groups[0]["lr"]) == pytest.approx(0.4)


def test_a_rate_of_zero_is_refused() -> None:
    optimizer = torch.optim.SGD(torch.nn.Linear(2, 1).parameters(), lr=0.0)
    with pytest.raises(InputError, match="positive lr"):
        Rates(optimizer, peak_lr=0.1)


def test_a_rate_that_the_optimizer_sets_itself_is_refused_in_one_line() -> None:
    optimizer = torch.optim.SGD(torch.nn.Linear(2, 2).parameters(), lr=0.1)
    optimizer.param_groups[0]["lr"] = None  # as transformers' Adafactor with relative steps
    with pytest.raises(InputError, match="SGD was created with lr=None"):
        Rates(optimizer, peak_lr=1e-3)
