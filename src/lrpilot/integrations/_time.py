"""A limit on a run's wall time: how many steps fit into what is left of it."""

from __future__ import annotations

import math
from collections import deque

from lrpilot.control import Budget
from lrpilot.control.plan import Pace, within
from lrpilot.errors import InputError
from lrpilot.integrations._progress import Spent

_RECENT = 16  # assumed: steps; fewer take a slow batch for a slow machine
_AHEAD = 0.05  # assumed: of the limit, at most, is kept for a step as slow as the slowest
_FEW = 3  # assumed: steps; fewer say nothing, unless half of the time is over


class TimeLimit:
    """Fits a budget into wall time.

    The pace is that of all steps or of the last ones, whichever is slower, and a validation takes
    as long as the mean one or the last. The first step of a process, which may compile, counts only
    while it is the only one.

    Args:
        minutes: Of the run, its validations included; a resumed run's earlier ones count.

    Raises:
        InputError: Not a positive number.
    """

    def __init__(self, minutes: float) -> None:
        if not 0.0 < minutes < math.inf:
            raise InputError(f"max_minutes is {minutes!r}: give a positive number, such as 30")
        self.limit_s = 60.0 * minutes
        self._first = 0.0
        self._total = 0.0
        self._slowest = 0.0
        self._count = 0
        self._recent: deque[float] = deque(maxlen=_RECENT)
        self._clock: float | None = None
        self._seen = (0, 0.0)  # validations, and the seconds that they took
        self._last_s = 0.0

    def start(self, wall_s: float, spent: Spent) -> None:
        """The next step begins now."""
        self._clock = wall_s - spent.elsewhere_s

    def stepped(self, wall_s: float, spent: Spent) -> None:
        """Note a step that is over."""
        now = wall_s - spent.elsewhere_s
        took = now - (now if self._clock is None else self._clock)
        self._clock = now
        if self._count == 0:
            self._first = took
        else:
            self._total += took
            self._slowest = max(self._slowest, took)
            self._recent.append(took)
        self._count += 1

    def fit(
        self, budget: Budget, planned: Budget, step: int, wall_s: float, spent: Spent
    ) -> tuple[Budget, str]:
        """The budget that fits, and why, in words; none where it is as it was.

        Args:
            budget: As it is.
            planned: As the user gave it.
            step: Optimizer steps done.
            wall_s: Seconds since the run began.
            spent: What of them was not training.
        """
        if len(self._recent) < _FEW and wall_s < self.limit_s / 2:
            return budget, ""
        pace = Pace(
            limit_s=self.limit_s,
            left_s=self.limit_s - wall_s - self._kept_s,
            step_s=self._step_s,
            evaluation_s=self._evaluation_s(spent),
        )
        done = max(0, spent.evaluations - 1)
        fitted = within(budget, planned, step=step, evaluations=done, pace=pace)
        if fitted == budget:
            return budget, ""
        told = (
            f"{max(0.0, self.limit_s - wall_s):,.0f} s of {self.limit_s:,.0f} are left, for steps"
            f" of {pace.step_s:.2g} s and up to {max(0, fitted.evaluations - done)} validations of"
            f" {pace.evaluation_s:.2g} s: training ends at step {fitted.steps:,} of"
            f" {planned.steps:,}"
        )
        return fitted, told

    def allows(self, wall_s: float, spent: Spent) -> bool:
        """Whether there is time for one more validation."""
        return wall_s + self._evaluation_s(spent) + self._kept_s <= self.limit_s

    @property
    def _kept_s(self) -> float:
        """What is kept for a step as slow as the slowest, or for what the host does at the end."""
        return max(0.0, min(self._slowest - self._step_s, _AHEAD * self.limit_s))

    def _evaluation_s(self, spent: Spent) -> float:
        """Of the mean validation or the last one, whichever is slower."""
        count, took = spent.evaluations, spent.elsewhere_s
        if count > self._seen[0]:
            self._last_s = (took - self._seen[1]) / (count - self._seen[0])
            self._seen = (count, took)
        return max(took / max(1, count), self._last_s)

    @property
    def _step_s(self) -> float:
        if not self._recent:
            return self._first
        return max(self._total / (self._count - 1), sum(self._recent) / len(self._recent))
