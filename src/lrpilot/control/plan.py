"""How much to validate, and when: a tenth of the run; always at the end."""

from __future__ import annotations

from lrpilot.control.types import Budget

SHARE = 0.1  # assumed: what validation may cost, as a share of the run
FORWARD = 1 / 3  # assumed: a forward pass, as a share of a training one (scaling literature)
_FEWEST = 6  # assumed: after the warm-up, half-way, at the end, and three to stretch


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
