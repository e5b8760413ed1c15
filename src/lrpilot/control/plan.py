"""When to validate: often while the rate may climb, evenly afterwards, always at the end."""

from __future__ import annotations

from lrpilot.control.types import Budget


def evaluation_steps(budget: Budget, *, climb_frac: float) -> tuple[int, ...]:
    """The steps after which to validate, in increasing order, without repetition.

    Half of the budget's evaluations are spread evenly over the first `climb_frac` of the steps,
    the other half over what is left; the last step is always among them unless no evaluation is
    wanted. Fewer come out where two would fall on one step.

    Args:
        budget: Steps and number of evaluations.
        climb_frac: Share of the steps in which the rate may climb, in (0, 1).
    """
    count = budget.evaluations
    if count == 0:
        return ()
    climbing = count // 2
    climb_end = climb_frac * budget.steps
    early = [round(climb_end * (i + 1) / climbing) for i in range(climbing)]
    rest = count - climbing
    late = [round(climb_end + (budget.steps - climb_end) * (i + 1) / rest) for i in range(rest)]
    return tuple(sorted({max(1, step) for step in early + late}))
