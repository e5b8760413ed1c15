"""The values that a report shows: frozen, and nothing of them is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lrpilot.diagnose.finding import Advice
from lrpilot.facts import Recommendation
from lrpilot.report.series import Series

Axis = Literal["linear", "log"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """One validation: after which step, its mean with standard error, over how many examples."""

    step: int
    mean: float
    standard_error: float | None
    n: int
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRow:
    """One decision, with the rate before it and the rate that follows (both absolute).

    The return from a trial's higher branch is the action "trial", not a roll-back; `back_to` is
    the step that either went back to, None where the record does not say.
    """

    step: int
    action: str
    rule: str
    lr_before: float | None
    lr_after: float | None
    reason: str
    figures: tuple[tuple[str, float], ...] = ()
    back_to: int | None = None

    @property
    def keeps_best(self) -> bool:
        """Whether this is the end's return to the best state, which undoes no choice of rate."""
        return self.action == "rollback" and self.rule == "keep-best"


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingRow:
    """What the doctor said at a step, and where in the run it saw it (None: in the plan)."""

    step: int
    severity: str
    rule: str
    summary: str
    first_step: int | None = None
    last_step: int | None = None
    remedy: str = ""
    advice: Advice | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Steps whose effect a roll-back or a trial undid: those after `start` up to `end`."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRow:
    """One score of a finished model on data that steered nothing."""

    name: str
    split: str
    metric: str
    unit: str
    value: float
    standard_error: float | None
    n: int | None
    steps: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One optimizer step, for the table; None where the value is missing or not finite."""

    step: int
    lr: float | None
    train_loss: float | None
    smoothed: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """What the validations measure, and which way is better."""

    name: str = "validation loss"
    unit: str = "nats"
    mode: str = "min"

    @property
    def beside_training(self) -> bool:
        """Whether it can share an axis with the training loss."""
        return self.mode == "min" and self.unit == "nats"


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How the run ended; the status is "unfinished" where the record just stops."""

    status: str
    cause: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData:
    """Everything that a report shows.

    Attributes:
        title, policy, created, version: Of the header.
        steps: Optimizer steps recorded, and `budget_steps` those that were planned.
        wall_s: Seconds from the start to the last event, pauses between resumes left out.
        end: How it ended.
        metric: What the validations measure.
        lr, train_loss, smoothed: Thinned series, finite values only.
        samples: A few steps spread evenly over the run, of the full series.
        not_finite: Steps whose training loss was NaN or infinite.
        lr_start, lr_peak, lr_peak_step: The first rate, and the highest one with its step, those
            that a trial only tried left out.
        loss_axis: Scale on which the losses can all be seen.
        validations: All of them, in order; `best` the best one that is finite.
        decisions: All of them, in order.
        findings: What the doctor said during the run, in order.
        undone: Spans that roll-backs and trials undid.
        scores: Of the finished model and of what it is compared with.
        recommendation: Where the run started; None where the header holds none.
        facts, budget, environment: Of the header, as recorded.
    """

    title: str
    policy: str
    created: str
    version: str
    steps: int
    budget_steps: int | None
    wall_s: float | None
    end: End
    metric: Metric
    lr: Series
    train_loss: Series
    smoothed: Series
    samples: tuple[Sample, ...]
    not_finite: tuple[int, ...]
    lr_start: float | None
    lr_peak: float | None
    lr_peak_step: int | None
    loss_axis: Axis
    validations: tuple[Validation, ...]
    best: Validation | None
    decisions: tuple[DecisionRow, ...]
    findings: tuple[FindingRow, ...]
    undone: tuple[Span, ...]
    scores: tuple[ScoreRow, ...]
    recommendation: Recommendation | None
    facts: Mapping[str, Any]
    budget: Mapping[str, Any]
    environment: Mapping[str, Any]

    def count(self, action: str) -> int:
        """How many decisions took this action; the end's return to the best state is none."""
        return len(self.taken(action))

    def taken(self, action: str) -> tuple[DecisionRow, ...]:
        """The decisions that took this action, without the end's return to the best state."""
        return tuple(d for d in self.decisions if d.action == action and not d.keeps_best)
