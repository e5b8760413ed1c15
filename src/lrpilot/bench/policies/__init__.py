"""The bench's own policies, by name."""

from __future__ import annotations

import re
from typing import Protocol

from lrpilot.bench import plugins
from lrpilot.bench.lab import Lab, Result
from lrpilot.bench.policies import (
    autopilot,
    constant,
    finders,
    parameter_free,
    schedulers,
    scratch,
    search,
)
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
        *scratch.POLICIES,
    )
}
ORACLE = "oracle"  # stands for a constant peak at each of the task's rates


def find_policies(spec: str, task: Task) -> list[Policy]:
    """The policy of that name for a task, or those of `path/to/file.py:NAME` or an entry point.

    Raises:
        InputError: There is no such policy, or what was found is none.
    """
    if spec == ORACLE:
        return [constant.Constant(rate) for rate in task.rates]
    if spec in POLICIES:
        return [POLICIES[spec]]
    rate = re.fullmatch(r"constant-([^:]+)", spec)
    if rate:
        return [constant.Constant(_number(rate[1]))]
    found = plugins.load(spec, group="lrpilot.bench.policies")
    if found is None:
        allowed = ", ".join([ORACLE, "constant-RATE", *POLICIES, "path/to/file.py:NAME"])
        raise InputError(f"there is no policy {spec!r}: give {allowed}")
    for policy in found:
        if not isinstance(getattr(policy, "name", None), str) or not callable(
            getattr(policy, "run", None)
        ):
            raise InputError(
                f"{spec} holds a {type(policy).__name__}: give an object with a name and run(lab)"
            )
        if policy.name in POLICIES:
            raise InputError(f"{spec}: the name {policy.name!r} is taken: give it another")
    return found


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        raise InputError(f"constant-{text}: give a positive rate, such as constant-1e-4")
    return value
