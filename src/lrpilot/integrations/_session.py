"""The one state machine between a controller and a host.

The host reports optimizer steps; the session asks the controller, carries its decisions out
through the host, and writes everything down. It knows no framework.
"""

from __future__ import annotations

import datetime
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import lrpilot
from lrpilot.control import Budget, Controller, Decision, Observation
from lrpilot.diagnose.finding import Finding
from lrpilot.facts import Recommendation, RunFacts
from lrpilot.integrations._doctor import LiveDoctor, as_event
from lrpilot.integrations._host import Host
from lrpilot.metric import Evaluation
from lrpilot.outcome import Outcome
from lrpilot.record import STRETCH, VERSION, RecordWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a live display shows after a step."""

    step: int
    steps: int
    train_loss: float | None
    lr: float
    validation: Evaluation | None
    decision: Decision | None
    wall_s: float
    findings: tuple[Finding, ...] = ()  # of the doctor, new since the last call


@dataclass(slots=True)
class Spent:
    """Seconds spent by the autopilot: deciding and recording, validating, copying, diagnosing."""

    own_s: float = 0.0
    evaluate_s: float = 0.0
    snapshot_s: float = 0.0
    evaluations: int = 0
    snapshots: int = 0
    doctor_s: float = 0.0


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
    ) -> None:
        self.controller = controller
        self.recommendation = recommendation
        self.budget = budget
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
        self.writer.write("run", **self._header())
        decision, self.state = self.controller.update(self.state, Observation(step=0))
        self.lr = self.host.set_lr_scale(decision.lr_scale)
        if self.budget.evaluations:
            self.validate("start")

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
        start = time.perf_counter()
        before = self._elsewhere_s
        self.step_count += 1
        self.writer.write(
            "step",
            step=self.step_count,
            loss=loss,
            lr=self.lr if lr is None else lr,
            grad_norm=grad_norm,
            wall_s=self._wall_s(),
        )
        if self.doctor is not None:
            used = self.lr if lr is None else lr
            self.doctor.step(self.step_count, loss=loss, lr=used, grad_norm=grad_norm)
        self._observe(Observation(step=self.step_count, train_loss=loss, grad_norm=grad_norm))
        self.spent.own_s += time.perf_counter() - start - (self._elsewhere_s - before)
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
        self._observe(Observation(step=self.step_count, validation=evaluation))
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
        self.writer.write(
            "decision",
            step=self.step_count,
            action="hold",
            rule="head",
            lr_scale=self.lr / recommendation.peak_lr,
            lr=self.lr,
            reason=f"{reason}: its inputs add up to {inputs:.3g}",
            figures={"inputs": inputs},
        )

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
                cause=cause or f"all {self.step_count} steps were taken",
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
        if decision.stretch is not None and self.origin is not None:
            factor = decision.stretch
            self._timed_snapshot(lambda: self.host.stretch(self.origin, self.kept, factor))
        if decision.reason:
            self._last_decision = decision
            self.writer.write(
                "decision",
                step=observation.step,
                action=decision.action,
                rule=decision.rule,
                lr_scale=decision.lr_scale,
                lr=self.lr,
                reason=decision.reason,
                figures=dict(decision.figures),
                **({"back_to": self.kept_step} if decision.action == "rollback" else {}),
            )
        if decision.evaluate and self.budget.evaluations:
            self.validate(_cause(decision, last=last))

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
        if self.doctor is not None and data.get("doctor") is not None:
            self.doctor.load(data["doctor"])
        self._wall_before_s = data["wall_s"]
        self._started = time.perf_counter()
        self.writer.write("resume", step=self.step_count)

    # -- small pieces -----------------------------------------------------------------------

    def _wall_s(self) -> float:
        return round(self._wall_before_s + time.perf_counter() - self._started, 4)

    @property
    def _elsewhere_s(self) -> float:
        return self.spent.evaluate_s + self.spent.snapshot_s + self.spent.doctor_s

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

    def _header(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "lrpilot": lrpilot.__version__,
            "policy": self.controller.name,
            "title": self.title,
            "facts": self.facts.known(),
            "recommendation": self.recommendation.to_json(),
            "budget": asdict(self.budget),
            "metric": self.metric,
            "environment": {"python": platform.python_version(), "machine": platform.machine()},
        }


def _cause(decision: Decision, *, last: bool) -> str:
    """Why a validation is wanted, for the record."""
    if decision.stretch is not None:
        return STRETCH
    return "spike" if decision.rule == "spike" else "end" if last else "planned"
