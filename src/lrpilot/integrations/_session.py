"""The one state machine between a controller and a host.

The host reports optimizer steps; the session asks the controller, carries its decisions out
through the host, and writes everything down. It knows no framework.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from lrpilot.control import Budget, Controller, Decision, Observation
from lrpilot.diagnose.finding import Finding
from lrpilot.facts import Recommendation, RunFacts
from lrpilot.integrations._doctor import LiveDoctor, as_event
from lrpilot.integrations._host import Host
from lrpilot.integrations._progress import Progress, Spent, header
from lrpilot.integrations._time import TimeLimit
from lrpilot.metric import Evaluation
from lrpilot.outcome import Outcome
from lrpilot.record import STRETCH, RecordWriter

_EARLY, _EARLY_FRAC = 4, 0.1  # assumed: steps, and their share, after which the peak is settled


class Session:
    """Feeds a controller and carries out its decisions.

    Args:
        controller: The policy.
        recommendation: Where to start.
        budget: What the run may spend.
        host: The training loop.
        facts: What is known of the run, for the record.
        writer: Where events go.
        title: A name for the run, for the record.
        metric: Name and unit of the validation values, for the record.
        on_progress: Called after each step and validation.
        doctor: Watches the run and speaks at validations; None for none.
        max_minutes: Wall time of the run: fewer steps are taken where not all fit, and the budget
            becomes what does. None: no limit.
    """

    def __init__(
        self,
        controller: Controller[Any],
        recommendation: Recommendation,
        budget: Budget,
        host: Host,
        *,
        facts: RunFacts | None = None,
        writer: RecordWriter | None = None,
        title: str | None = None,
        metric: Mapping[str, str] | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        doctor: LiveDoctor | None = None,
        max_minutes: float | None = None,
    ) -> None:
        self.controller = controller
        self.recommendation = recommendation
        self.planned = self.budget = budget
        self.limit = None if max_minutes is None else TimeLimit(max_minutes)
        self.host = host
        self.facts = facts or RunFacts()
        self.writer = writer or RecordWriter(None)
        self.title = title
        self.metric = dict(metric or {"name": "validation loss", "unit": "nats", "mode": "min"})
        self.on_progress = on_progress
        self.doctor = doctor
        self.state: Any = controller.init(recommendation, budget)
        self.step_count = 0
        self.kept: Any = None
        self.origin: Any = None
        self.kept_step: int | None = None
        self.kept_value: float | None = None
        self.awaiting: str | None = None  # cause of a validation that the host owes
        self.stopped = False
        self.outcome: Outcome | None = None
        self.spent = Spent()
        self.lr = 0.0
        self._wall_before_s = 0.0
        self._started = time.perf_counter()
        self._last_validation: Evaluation | None = None
        self._last_decision: Decision | None = None
        self._news: tuple[Finding, ...] = ()

    # -- what hosts call --------------------------------------------------------------------

    def begin(self) -> None:
        """Write the header, set the first rate, and validate the untouched model."""
        self._started = time.perf_counter()
        facts = header(self.controller.name, self.facts, self.recommendation, self.budget)
        limit = {} if self.limit is None else {"max_minutes": self.limit.limit_s / 60.0}
        self.writer.write("run", title=self.title, metric=self.metric, **facts, **limit)
        decision, self.state = self.controller.update(self.state, Observation(step=0))
        self.lr = self.host.set_lr_scale(decision.lr_scale)
        if self.budget.evaluations:
            self.validate("start")
        if self.limit is not None:
            self.limit.start(self._wall_s(), self.spent)

    def step(
        self, loss: float | None, *, grad_norm: float | None = None, lr: float | None = None
    ) -> None:
        """Report one optimizer step that really happened.

        Args:
            loss: Mean training loss of the step; None if the host cannot know it.
            grad_norm: Norm of its gradient, if known.
            lr: The absolute rate that it used; the session's own if None.
        """
        if self.stopped or self.step_count >= self.budget.steps:
            return
        start, before = time.perf_counter(), self.spent.elsewhere_s
        used = self.lr if lr is None else lr
        self.step_count += 1
        self.writer.write(
            "step",
            step=self.step_count,
            loss=loss,
            lr=used,
            grad_norm=grad_norm,
            wall_s=self._wall_s(),
        )
        if self.doctor is not None:
            self.doctor.step(self.step_count, loss=loss, lr=used, grad_norm=grad_norm)
        if self.limit is not None:
            self._fit(self.limit)
        self._observe(Observation(step=self.step_count, train_loss=loss, grad_norm=grad_norm,
                                  budget=self._fitted))  # fmt: skip
        self.spent.own_s += time.perf_counter() - start - (self.spent.elsewhere_s - before)
        self._show(loss)

    def validate(self, cause: str) -> None:
        """Validate now, or remember that a validation is owed if the host cannot yet."""
        start = time.perf_counter()
        evaluation = self.host.evaluate()
        self.spent.evaluate_s += time.perf_counter() - start
        self.awaiting = cause if evaluation is None else None
        if evaluation is None:
            return
        self.spent.evaluations += 1
        self._last_validation = evaluation
        self.writer.write(
            "evaluation",
            step=self.step_count,
            mean=evaluation.mean,
            standard_error=evaluation.standard_error,
            n=evaluation.n,
            values=evaluation.values.tolist(),
            weights=None if evaluation.weights is None else evaluation.weights.tolist(),
            cause=cause,
            wall_s=self._wall_s(),
        )
        doctor = None if cause == STRETCH else self.doctor  # no step led to those weights
        if doctor is not None:
            doctor.validation(self.step_count, evaluation)
        self._observe(Observation(step=self.step_count, validation=evaluation, budget=self._fitted))
        if doctor is not None:  # what was rolled back is settled, and no finding
            self._tell(doctor.look)
        self._show(None)

    def head_seen(
        self, recommendation: Recommendation, inputs: float, reason: str, *, lr: float | None = None
    ) -> None:
        """Take over what the inputs of a new head, once seen, make of the recommendation.

        Args:
            recommendation: The recommendation from here on.
            inputs: The sum of their sizes, of the mean example.
            reason: What follows, in words.
            lr: The absolute rate now, if it changed.
        """
        self.lr = self.lr if lr is None else lr
        self.recommendation = recommendation
        reason = f"{reason}: its inputs add up to {inputs:.3g}"
        self._note("head", reason, {"inputs": inputs})

    @property
    def saw_model(self) -> bool:
        """Whether anything went forward through the model, in this run or before a resume."""
        return self.step_count > 0 or self.spent.evaluations > 0

    def finish(self, status: str | None = None, cause: str = "") -> Outcome:
        """Close the story: the outcome is decided, written and returned.

        Args:
            status: "interrupted" when the host was asked to stop early; found otherwise.
            cause: What happened, in words.
        """
        if self.outcome is None:
            if self.stopped:
                status, cause = (
                    "diverged",
                    self._last_decision.reason if self._last_decision else "",
                )
            elif status is None and self.step_count < self.budget.steps:
                status, cause = "interrupted", cause or "training ended before its budget"
            self.outcome = Outcome(
                status=status or "finished",  # type: ignore[arg-type]
                cause=cause or self._all_taken,
                step=self.step_count,
                best_step=self.kept_step,
                best_value=self.kept_value,
            )
            if self.doctor is not None and self.outcome.status != "interrupted":
                self._tell(self.doctor.finish)
                if self._news:
                    self._show(None)
            self.writer.write(
                "end",
                **asdict(self.outcome),
                remedy=self.outcome.remedy,
                wall_s=self._wall_s(),
                spent=asdict(self.spent),
            )
            self.writer.close()
        return self.outcome

    # -- carrying decisions out -------------------------------------------------------------

    def _observe(self, observation: Observation) -> None:
        decision, self.state = self.controller.update(self.state, observation)
        last = self.step_count >= self.budget.steps
        if decision.action == "rollback" or (decision.action == "stop" and self.kept is not None):
            self._timed_snapshot(lambda: self.host.restore(self.kept))
            if self.doctor is not None and self.kept_step is not None:
                self.doctor.undo(self.kept_step)
        if decision.action == "stop":
            self.stopped = True
            self.host.stop()
        elif not last:
            self.lr = self.host.set_lr_scale(decision.lr_scale)
        if decision.keep:
            self._keep(observation)
        if decision.origin:
            self.origin = self.kept
        look = decision.evaluate and self.budget.evaluations > 0
        if look and self.limit is not None:
            look = self.limit.allows(self._wall_s(), self.spent)
        if decision.stretch is not None and self.origin is not None:
            blind = decision.evaluate and not look  # then what is kept is what stays
            factor = 1.0 if blind else decision.stretch
            self._timed_snapshot(lambda: self.host.stretch(self.origin, self.kept, factor))
        if decision.reason:
            self._tell_decision(observation.step, decision)
        if look:
            self.validate(_cause(decision, last=last))

    def _fit(self, limit: TimeLimit) -> None:
        """Make the budget what fits into the time that is left."""
        now, planned, step = self._wall_s(), self._fitted is None, self.step_count
        limit.stepped(now, self.spent)
        budget, reason = limit.fit(self.budget, self.planned, step, now, self.spent)
        if not reason:
            return
        self.budget = budget
        if planned and step <= max(_EARLY, _EARLY_FRAC * budget.steps):
            before, self.recommendation = self.recommendation, self.host.shorten(budget)
            if self.recommendation != before:
                peak = self.recommendation.peak_lr
                reason = f"{reason}; for so many {peak:.2g} is recommended"
        self._note("time", reason, {"steps": budget.steps, "evaluations": budget.evaluations})

    @property
    def _fitted(self) -> Budget | None:
        return None if self.budget is self.planned else self.budget

    @property
    def _all_taken(self) -> str:
        if self.step_count == self.planned.steps:
            return f"all {self.step_count} steps were taken"
        return f"{self.step_count} of {self.planned.steps} steps were taken in the time given"

    def _keep(self, observation: Observation) -> None:
        self.kept = None  # let the old copy go before the new one is made
        self.kept = self._timed_snapshot(self.host.snapshot)
        self.kept_step = observation.step
        self.kept_value = observation.validation.mean if observation.validation else None
        self.spent.snapshots += 1

    def _tell(self, look: Callable[[], tuple[Finding, ...]]) -> None:
        """Let the doctor look, and write down what is new."""
        start = time.perf_counter()
        found = look()
        self.spent.doctor_s += time.perf_counter() - start
        self._news += found
        for finding in found:
            self.writer.write("finding", step=self.step_count, **as_event(finding))

    def _timed_snapshot(self, action: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        try:
            return action()
        finally:
            self.spent.snapshot_s += time.perf_counter() - start

    # -- resuming ---------------------------------------------------------------------------

    @property
    def held(self) -> dict[str, Any]:
        """The snapshots that a checkpoint must hold, by name."""
        held = {"kept": self.kept, "origin": self.origin}
        return {name: state for name, state in held.items() if state is not None}

    def state_dict(self) -> dict[str, Any]:
        """What a resumed session needs, as JSON types; `held` is stored by the host."""
        return {
            "policy": self.controller.name,
            "controller": self.controller.dump(self.state),
            "recommendation": self.recommendation.to_json(),
            "step": self.step_count,
            "kept_step": self.kept_step,
            "kept_value": self.kept_value,
            "awaiting": self.awaiting,
            "budget": None if self._fitted is None else asdict(self._fitted),
            "lr": self.lr,
            "wall_s": self._wall_s(),
            "spent": asdict(self.spent),
            "doctor": None if self.doctor is None else self.doctor.dump(),
        }

    def resume(self, data: Mapping[str, Any], held: Mapping[str, Any]) -> None:
        """Go on from `state_dict`; the host has restored its own state already.

        Args:
            data: What `state_dict` returned.
            held: What `held` was. Where the kept state was lost the present one stands in; where
                the origin was, nothing is stretched.
        """
        self.state = self.controller.load(data["controller"])
        self.recommendation = Recommendation.from_json(data["recommendation"])
        self.step_count = data["step"]
        self.kept = held["kept"] if "kept" in held else self.host.snapshot()
        self.origin = held.get("origin")
        self.kept_step, self.kept_value = data["kept_step"], data["kept_value"]
        self.awaiting, self.lr = data["awaiting"], data["lr"]
        self.spent = Spent(**data["spent"])
        if data.get("budget") is not None:  # "get": a checkpoint of an older release
            self.budget = Budget(**data["budget"])
        if self.doctor is not None and data.get("doctor") is not None:
            self.doctor.load(data["doctor"])
        self._wall_before_s = data["wall_s"]
        self._started = time.perf_counter()
        if self.limit is not None:
            self.limit.start(self._wall_s(), self.spent)
        self.writer.write("resume", step=self.step_count)

    # -- small pieces -----------------------------------------------------------------------

    def _note(self, rule: str, reason: str, figures: Mapping[str, float]) -> None:
        """Tell what follows from something else than an observation."""
        scale = self.lr / self.recommendation.peak_lr
        self._tell_decision(self.step_count, Decision(action="hold", rule=rule, lr_scale=scale,
                                                      reason=reason, figures=figures))  # fmt: skip

    def _tell_decision(self, step: int, decision: Decision) -> None:
        self._last_decision = decision
        self.writer.write(
            "decision",
            step=step,
            action=decision.action,
            rule=decision.rule,
            lr_scale=decision.lr_scale,
            lr=self.lr,
            reason=decision.reason,
            figures=dict(decision.figures),
            **({"back_to": self.kept_step} if decision.action == "rollback" else {}),
        )

    def _wall_s(self) -> float:
        return round(self._wall_before_s + time.perf_counter() - self._started, 4)

    def _show(self, loss: float | None) -> None:
        news, self._news = self._news, ()
        if self.on_progress is not None:
            self.on_progress(
                Progress(
                    step=self.step_count,
                    steps=self.budget.steps,
                    train_loss=loss,
                    lr=self.lr,
                    validation=self._last_validation,
                    decision=self._last_decision,
                    wall_s=self._wall_s(),
                    findings=news,
                )
            )


def _cause(decision: Decision, *, last: bool) -> str:
    """Why a validation is wanted, for the record."""
    if decision.stretch is not None:
        return STRETCH
    return "spike" if decision.rule == "spike" else "end" if last else "planned"
