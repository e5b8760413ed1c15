"""How much to validate, and when, and what fits into a time: a tenth of the run validates."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lrpilot.control.types import Budget

SHARE = 0.1  # assumed: what validation may cost, as a share of the run
FORWARD = 1 / 3  # assumed: a forward pass, as a share of a training one (scaling literature)
_FEWEST = 6  # assumed: after the warm-up, half-way, at the end, and three to stretch
_SLACK = 1.05  # assumed: steps are planned as if they were so many times slower
_FASTER = 1.2  # assumed: so many times the steps that are left must fit before more are planned


def affordable(steps: int, batch_size: int, *, evaluations: int, least: int) -> tuple[int, int]:
    """Examples of a validation, and how many validations, that cost a tenth of the run.

    A run so short that its tenth does not pay for so many validations of `least` examples gets
    fewer validations, down to six.

    Args:
        steps: Optimizer steps of the run.
        batch_size: Examples a step.
        evaluations: Validations to spend at most, beside the one before the first step.
        least: Examples without which a validation decides nothing.
    """
    forward = SHARE * steps * batch_size / FORWARD
    examples = int(forward / (evaluations + 1))
    if examples >= least:
        return examples, evaluations
    return least, min(evaluations, max(_FEWEST, int(forward / least) - 1))


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast a run goes, and how long it may.

    Attributes:
        limit_s: Seconds of the whole run.
        left_s: Seconds that are left.
        step_s: Seconds of an optimizer step, whatever belongs to it included.
        evaluation_s: Seconds of a validation, and of keeping the state after it.
    """

    limit_s: float
    left_s: float
    step_s: float
    evaluation_s: float


def within(budget: Budget, planned: Budget, *, step: int, evaluations: int, pace: Pace) -> Budget:
    """The budget that fits into the time that is left.

    It is left alone while it fits. Where it does not, a tenth of the whole time is for validations
    (six at least, but never more than half of the time), and as many steps as fit beside those that
    are still to come are planned, with a little slack. Where far more would fit again, there are
    more again, up to what was planned.

    Args:
        budget: As it is.
        planned: As the user gave it.
        step: Optimizer steps done.
        evaluations: Validations done, without the one before training.
        pace: Of the run.
    """

    def reserve_s(allowed: int) -> float:
        return max(0, allowed - evaluations) * pace.evaluation_s

    def fitting(allowed: int) -> int:
        spare = max(0.0, pace.left_s - reserve_s(allowed))
        return min(step + int(spare / max(_SLACK * pace.step_s, 1e-9)), planned.steps)

    ahead = max(0, budget.steps - step)
    if ahead * pace.step_s + reserve_s(budget.evaluations) <= pace.left_s:
        steps = fitting(budget.evaluations)
        faster = budget.steps < planned.steps and steps - step > _FASTER * ahead + 1
        return replace(budget, steps=steps) if faster else budget
    fits = pace.limit_s / max(pace.evaluation_s, 1e-9)
    most = min(max(_FEWEST, int(SHARE * fits)), int(fits / 2))
    allowed = min(budget.evaluations, most)
    scheduled = None if budget.anneal else planned.steps
    return replace(budget, steps=fitting(allowed), evaluations=allowed, scheduled=scheduled)
