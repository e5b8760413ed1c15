"""When validations are planned, by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrpilot.control import Budget
from lrpilot.control.plan import affordable, evaluation_steps


@pytest.mark.parametrize(
    ("steps", "batch", "least", "plan"),
    [
        (100, 16, 8, (32, 14)),  # 4,800 passes, a tenth over 15
        (60, 16, 32, (32, 8)),  # 288 passes are nine times 32
        (24, 4, 4, (4, 6)),
        (24, 4, 8, (8, 6)),  # never fewer
    ],
)
def test_validation_costs_a_tenth_of_the_run(
    steps: int, batch: int, least: int, plan: tuple[int, int]
) -> None:
    assert affordable(steps, batch, evaluations=14, least=least) == plan


def test_fewer_validations_than_six_are_left_as_they_are() -> None:
    assert affordable(24, 4, evaluations=2, least=8) == (9, 2)
    assert affordable(10, 4, evaluations=2, least=8) == (8, 2)


def test_half_of_them_lie_in_the_climb() -> None:
    plan = evaluation_steps(Budget(steps=100, evaluations=8), climb_frac=0.2)
    assert plan == (5, 10, 15, 20, 40, 60, 80, 100)


@pytest.mark.parametrize(
    ("steps", "evaluations", "plan"),
    [(100, 0, ()), (100, 1, (100,)), (1, 1, (1,)), (100, 2, (20, 100)), (3, 3, (1, 2, 3))],
)
def test_short_plans(steps: int, evaluations: int, plan: tuple[int, ...]) -> None:
    assert evaluation_steps(Budget(steps=steps, evaluations=evaluations), climb_frac=0.2) == plan


@given(steps=st.integers(1, 5000), evaluations=st.integers(1, 64))
def test_it_never_exceeds_the_budget_and_always_ends_with_a_validation(
    steps: int, evaluations: int
) -> None:
    evaluations = min(evaluations, steps)
    plan = evaluation_steps(Budget(steps=steps, evaluations=evaluations), climb_frac=0.2)
    assert plan[-1] == steps
    assert len(plan) <= evaluations
    assert list(plan) == sorted(set(plan))
    assert plan[0] >= 1
