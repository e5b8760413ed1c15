"""The doctor during training: it watches what a session sees and asks its rules at validations."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from lrpilot.control import Budget
from lrpilot.diagnose import Finding, History, Plan, Rule, Series, diagnose
from lrpilot.facts import Recommendation, RunFacts
from lrpilot.metric import Evaluation

_MOST = 2_000  # assumed: values kept of a series; the doctor's tests average to fewer
# What the autopilot decides itself: the shape of the rate, how often and on what it validates,
# and which checkpoint stays.
STEERED = frozenset({
    "no-schedule", "no-warmup", "warmup-too-long", "schedule-mismatch", "lr-restarted",
    "first-step-wasted", "lr-below-band", "lr-above-band", "best-not-kept", "eval-too-rare",
    "eval-too-small", "no-validation", "metric-direction", "optimizer-rate",
})  # fmt: skip
# What only the end of a run can show, or its middle at the soonest.
AT_END = frozenset({
    "budget-too-short", "plateau", "underfitting", "no-schedule", "schedule-mismatch",
    "no-validation", "eval-too-rare", "best-not-kept", "warmup-too-long",
})  # fmt: skip
# What the autopilot rolls back itself: told of at the end, if it is still there then.
ROLLED_BACK = frozenset({"lr-too-high", "loss-spikes", "loss-oscillates", "overfitting"})
FROM_MIDDLE = frozenset({"lr-too-low", "nothing-trains"})


@dataclass(slots=True)
class Thinned:
    """A series of bounded length: when it is full, neighbours are averaged.

    Attributes:
        width: Steps that one value stands for.
        sum, count: What the next value is made of so far.
    """

    steps: array[float] = field(default_factory=lambda: array("d"))
    values: array[float] = field(default_factory=lambda: array("d"))
    width: int = 1
    sum: float = 0.0
    count: int = 0

    def add(self, step: float, value: float) -> None:
        """Take one value in; NaN and infinity come through."""
        self.sum += value
        self.count += 1
        if self.count < self.width:
            return
        self.steps.append(step)
        self.values.append(self.sum / self.count)
        self.sum, self.count = 0.0, 0
        if len(self.values) >= _MOST:
            self.values = array(
                "d", [(a + b) / 2 for a, b in zip(self.values[::2], self.values[1::2], strict=True)]
            )
            self.steps = self.steps[1::2]
            self.width *= 2

    def undo(self, step: float) -> None:
        """Forget what came after a step."""
        while self.steps and self.steps[-1] > step:
            self.steps.pop()
            self.values.pop()
        self.sum, self.count = 0.0, 0

    def series(self) -> Series | None:
        """What is there; None for nothing."""
        return Series.of(self.steps, self.values) if self.values else None

    def dump(self) -> dict[str, Any]:
        """As JSON types; what is not finite as text."""
        return {"steps": list(self.steps), "values": [_text(v) for v in self.values],
                "width": self.width, "sum": _text(self.sum), "count": self.count}  # fmt: skip

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> Thinned:
        """The inverse of `dump`."""
        steps, values = (array("d", [float(v) for v in data[n]]) for n in ("steps", "values"))
        return cls(steps, values, data["width"], float(data["sum"]), data["count"])


def _text(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


class LiveDoctor:
    """Grows a history of the run and asks every rule that fits, at validations only.

    Each rule speaks once in a run. The chance of a false alarm, `alpha` for the whole run, is
    shared by all its looks (Bonferroni), so a look is stricter than the doctor on the finished
    log. Steps that were rolled back are forgotten: what they showed was acted on.

    Args:
        plan: What is known of the run.
        looks: How many validations are to come.
        steered: Whether the autopilot sets the rate; then rules on schedules are left out.
        alpha: The chance that a run in which nothing is wrong gets any finding made by noise.
        rules: Which rules look; all when left out.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        looks: int,
        steered: bool = True,
        alpha: float = 0.05,
        rules: Sequence[Rule] | None = None,
    ) -> None:
        if rules is None:
            from lrpilot.diagnose.rules import RULES

            rules = RULES
        self.plan = plan
        self.findings: list[Finding] = []
        self._alpha = alpha / max(1, looks + 1)
        self._rules = [r for r in rules if not (steered and r.id in STEERED)]
        self._at_end = AT_END | (ROLLED_BACK if steered else frozenset())
        self._told: list[str] = []
        self._seen = {name: Thinned() for name in ("train", "eval", "errors", "lr", "norm")}
        self._step = 0
        self._mode = "min"

    @classmethod
    def of(cls, facts: RunFacts, recommendation: Recommendation, budget: Budget) -> LiveDoctor:
        """For a run that the autopilot steers."""
        facts = replace(facts, steps=budget.steps, planned_lr=recommendation.peak_lr)
        plan = Plan(facts=facts, evaluates=budget.evaluations > 0, stated=frozenset(facts.known()))
        return cls(plan, looks=budget.evaluations)

    def step(self, step: int, *, loss: float | None, lr: float, grad_norm: float | None) -> None:
        """Note one optimizer step."""
        self._step = step
        for name, value in (("train", loss), ("lr", lr), ("norm", grad_norm)):
            if value is not None:
                self._seen[name].add(step, value)

    def validation(self, step: int, evaluation: Evaluation) -> None:
        """Note a validation."""
        self._mode = evaluation.mode
        self._seen["eval"].add(step, evaluation.mean)
        error = evaluation.standard_error
        self._seen["errors"].add(step, math.nan if error is None else error)

    def look(self) -> tuple[Finding, ...]:
        """Ask the rules; what is new comes back."""
        return self._look(finished=False)

    def finish(self) -> tuple[Finding, ...]:
        """Look for the last time, with what only the end shows."""
        return self._look(finished=True)

    def undo(self, step: int) -> None:
        """Forget the steps after this one: they were rolled back."""
        for seen in self._seen.values():
            seen.undo(step)

    def history(self, *, finished: bool) -> History:
        """What was seen so far."""
        validated, errors = self._seen["eval"].series(), self._seen["errors"].values
        if validated is not None and all(math.isfinite(e) for e in errors):
            validated = Series.of(validated.steps, validated.values, errors=errors)
        is_loss = self._mode == "min"
        return History(
            where="this run",
            format="live",
            plan=self.plan,
            train_loss=self._seen["train"].series(),
            eval_loss=validated if is_loss else None,
            score=None if is_loss else validated,
            lr=self._seen["lr"].series(),
            grad_norm=self._seen["norm"].series(),
            finished=True if finished else None,
        )

    def _look(self, *, finished: bool) -> tuple[Finding, ...]:
        total = self.plan.facts.planned_steps
        late = finished or (total is not None and 2 * self._step >= total)
        waiting = [
            r
            for r in self._rules
            if r.id not in self._told
            and (finished or r.id not in self._at_end)
            and (late or r.id not in FROM_MIDDLE)
        ]
        if not waiting or not self._seen["train"].values:
            return ()
        found = diagnose(self.history(finished=finished), alpha=self._alpha, rules=waiting).findings
        self._told += [f.rule for f in found]
        self.findings += found
        return found

    def dump(self) -> dict[str, Any]:
        """What a resumed run needs, as JSON types."""
        return {
            "told": list(self._told),
            "seen": {name: seen.dump() for name, seen in self._seen.items()},
            "step": self._step,
            "mode": self._mode,
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Go on from `dump`; what was told before is not told again."""
        self._told = list(data["told"])
        self._seen = {name: Thinned.load(seen) for name, seen in data["seen"].items()}
        self._step, self._mode = data["step"], data["mode"]


def as_event(finding: Finding) -> dict[str, Any]:
    """The fields of a record's `finding` event."""
    names = ("rule", "severity", "summary", "first_step", "last_step", "remedy", "source")
    return {
        **{name: getattr(finding, name) for name in names},
        "figures": dict(finding.figures),
        "advice": None if finding.advice is None else asdict(finding.advice),
    }


def sentence(finding: Finding) -> str:
    """A finding as one line of a log."""
    return f"{finding.severity}: {finding.summary}. {finding.remedy}".rstrip(". ") + "."
