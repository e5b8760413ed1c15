"""When validations are planned, by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrpilot.control import Budget
from lrpilot.control.plan import Pace, affordable, evaluation_steps, within


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


PLANNED = Budget(steps=1000, evaluations=14)
SHORTER = Budget(steps=300, evaluations=6)


@pytest.mark.parametrize(
    ("budget", "step", "evaluations", "limit_s", "left_s", "evaluation_s", "fitted"),
    [
        (PLANNED, 10, 0, 1200.0, 1200.0, 5.0, (1000, 14)),  # 990 + 70 s fit
        (PLANNED, 10, 0, 650.0, 600.0, 5.0, (519, 13)),  # a tenth of 650 s for 13 of them
        (PLANNED, 10, 0, 650.0, 600.0, 50.0, (295, 6)),  # six at least: 300 s are left
        (PLANNED, 10, 0, 650.0, 600.0, 200.0, (390, 1)),  # but not for more than half of the time
        (PLANNED, 10, 0, 650.0, 600.0, 0.0, (581, 14)),
        (SHORTER, 200, 4, 650.0, 100.0, 10.0, (276, 6)),  # slower: the last two are still to come
        (PLANNED, 500, 9, 650.0, 0.5, 5.0, (500, 13)),  # over
        (PLANNED, 500, 9, 650.0, -9.0, 5.0, (500, 13)),
        (SHORTER, 200, 4, 2000.0, 900.0, 10.0, (1000, 6)),  # more fit again
        (SHORTER, 200, 4, 650.0, 140.0, 10.0, (300, 6)),  # hardly more
    ],
)
def test_the_budget_is_what_fits_into_the_time(
    budget: Budget,
    step: int,
    evaluations: int,
    limit_s: float,
    left_s: float,
    evaluation_s: float,
    fitted: tuple[int, int],
) -> None:
    pace = Pace(limit_s=limit_s, left_s=left_s, step_s=1.0, evaluation_s=evaluation_s)
    found = within(budget, PLANNED, step=step, evaluations=evaluations, pace=pace)
    assert (found.steps, found.evaluations) == fitted


@given(
    step=st.integers(1, 1000),
    done=st.integers(0, 14),
    limit_s=st.floats(1.0, 1e5),
    left=st.floats(-0.1, 1.0),
    step_s=st.floats(0.0, 1e3),
    evaluation_s=st.floats(0.0, 1e3),
)
def test_what_is_planned_fits(
    step: int, done: int, limit_s: float, left: float, step_s: float, evaluation_s: float
) -> None:
    left_s = left * limit_s
    pace = Pace(limit_s=limit_s, left_s=left_s, step_s=step_s, evaluation_s=evaluation_s)
    found = within(PLANNED, PLANNED, step=step, evaluations=done, pace=pace)
    assert step <= found.steps <= PLANNED.steps
    assert found.evaluations <= PLANNED.evaluations
    still = max(0, found.evaluations - done) * evaluation_s
    takes = (found.steps - step) * step_s + still
    assert takes <= max(still, left_s) * (1 + 1e-9)
    if found is not PLANNED:
        assert found.evaluations * evaluation_s <= limit_s / 2


def test_a_schedule_of_the_users_reaches_zero_where_the_time_ends() -> None:
    planned = Budget(steps=1000, evaluations=0, anneal=False)
    pace = Pace(limit_s=320.0, left_s=210.0, step_s=1.0, evaluation_s=0.0)
    found = within(planned, planned, step=100, evaluations=0, pace=pace)
    assert found.steps == 300
    linear = [(1 - step / 1000) * found.shape(step) for step in (100, 200, 300)]
    assert linear == pytest.approx([1 - 1 / 3, 1 / 3, 0.0])
    assert [planned.shape(step) for step in (100, 999)] == [1.0, 1.0]
