"""The bench's own policies, by name."""

from __future__ import annotations

import re
from typing import Protocol

from lrpilot.bench.lab import Lab, Result
from lrpilot.bench.policies import autopilot, constant, finders, parameter_free, schedulers, search
from lrpilot.bench.task import Task
from lrpilot.errors import InputError


class Policy(Protocol):
    """Turns a lab into a fine-tuned model."""

    @property
    def name(self) -> str:
        """As the results call it."""

    def run(self, lab: Lab) -> Result:
        """Train, however often.

        Raises:
            DivergedError: No finite model came of it.
        """


POLICIES: dict[str, Policy] = {
    policy.name: policy
    for policy in (
        *constant.POLICIES,
        *autopilot.POLICIES,
        *finders.POLICIES,
        *schedulers.POLICIES,
        *parameter_free.POLICIES,
        *search.POLICIES,
    )
}
ORACLE = "oracle"  # stands for a constant peak at each of the task's rates


def find_policies(names: str | None, task: Task) -> list[Policy]:
    """The policies of a comma-separated list, for one task; all of them and the grid without one.

    Raises:
        InputError: There is no such policy.
    """
    found: list[Policy] = []
    for name in [ORACLE, *POLICIES] if names is None else names.split(","):
        rate = re.fullmatch(r"constant-(.+)", name)
        if name == ORACLE:
            found += [constant.Constant(rate) for rate in task.rates]
        elif name in POLICIES:
            found.append(POLICIES[name])
        elif rate:
            found.append(constant.Constant(_number(rate[1])))
        else:
            allowed = ", ".join([ORACLE, "constant-RATE", *POLICIES])
            raise InputError(f"there is no policy {name!r}: give {allowed}")
    return found


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        raise InputError(f"constant-{text}: give a positive rate, such as constant-1e-4")
    return value
