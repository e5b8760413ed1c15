"""The words of control: a budget, what was observed, what was decided, and who decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, Protocol, TypeVar

from lrpilot.errors import InputError
from lrpilot.facts import Recommendation
from lrpilot.metric import Evaluation

Action = Literal["hold", "raise", "cut", "rollback", "stop"]
State = TypeVar("State")
SHORT_RUN = 240  # steps, assumed: fewer make branches of a trial too short to tell (docs/log.md)
NO_FIGURES: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a run may spend.

    Attributes:
        steps: Optimizer steps of the whole run; steps that a roll-back repeats count too.
        steps_per_epoch: Optimizer steps until an example is seen again; None if unknown.
        evaluations: Validations to plan, without the one before training and those that a loss
            spike asks for.
        anneal: Whether the controller brings the rate to zero. False where a schedule of the
            user's already does.
        scheduled: Steps in which that schedule does, where the run became shorter for lack of time:
            then the rate is brought to zero at the run's end. None: it ends with the run.

    Raises:
        InputError: A count below 1 (or below 0 for evaluations).
    """

    steps: int
    steps_per_epoch: int | None = None
    evaluations: int = 16
    anneal: bool = True
    scheduled: int | None = None

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise InputError(f"a budget of {self.steps} steps: give at least 1")
        if self.steps_per_epoch is not None and self.steps_per_epoch < 1:
            raise InputError(f"steps_per_epoch is {self.steps_per_epoch}: give at least 1")
        if self.evaluations < 0:
            raise InputError(f"evaluations is {self.evaluations}: give 0 or more")

    @property
    def short(self) -> bool:
        """Whether the sizes of the weights say more of the rate than a trial would."""
        return self.steps < SHORT_RUN

    def shape(self, step: int) -> float:
        """The anneal's factor for the step that follows `step` done ones: 1 at 0, 0 at the end."""
        if self.anneal:
            return max(0.0, 1.0 - step / self.steps)
        if self.scheduled is None or step >= self.scheduled:
            return 1.0
        return max(0.0, 1.0 - step / self.steps) / (1.0 - step / self.scheduled)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one optimizer step, or one validation after it, showed.

    Attributes:
        step: Optimizer steps that really happened so far (0 before training).
        train_loss: Mean training loss of the step; None on a validation.
        grad_norm: Norm of the step's gradient where the host knows it.
        validation: The validation; None on a training step.
        budget: What the run may spend, where its time changed that; None: as it was told. A
            controller may heed it later, or not at all: training ends with it in any case.
    """

    step: int
    train_loss: float | None = None
    grad_norm: float | None = None
    validation: Evaluation | None = None
    budget: Budget | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What follows from an observation.

    Attributes:
        action: "hold", "raise", "cut", "rollback" (return to the kept state) or "stop".
        lr_scale: Multiplier of the recommended peak for the next step, the anneal included.
        rule: Name of the rule that decided.
        reason: Why, in a sentence.
        figures: The numbers that it rests on.
        keep: Whether this point is the best so far: keep its state, roll-backs return to it.
        evaluate: Whether a validation is wanted now.
        origin: Whether the state kept now is what `stretch` measures from.
        stretch: Where to put the weights between the origin (0) and the kept state (1), or beyond
            it; None leaves them. Comes after `keep` and before the validation.
    """

    action: Action
    lr_scale: float
    rule: str
    reason: str = ""
    figures: Mapping[str, float] = field(default_factory=lambda: NO_FIGURES)
    keep: bool = False
    evaluate: bool = False
    origin: bool = False
    stretch: float | None = None


class _Level(Protocol):
    """What a rate follows from."""

    @property
    def budget(self) -> Budget:
        """What the run may spend."""

    @property
    def step(self) -> int:
        """Optimizer steps done."""

    @property
    def level(self) -> float:
        """Multiplier of the recommended peak, without the anneal."""


Levelled = TypeVar("Levelled", bound=_Level)


def say(
    state: Levelled,
    action: Action,
    rule: str,
    reason: str = "",
    figures: Mapping[str, float] | None = None,
    *,
    keep: bool = False,
    evaluate: bool = False,
) -> tuple[Decision, Levelled]:
    """A decision at the state's level, annealed, and the state."""
    decision = Decision(
        action=action,
        lr_scale=state.level * state.budget.shape(state.step),
        rule=rule,
        reason=reason,
        figures=figures or {},
        keep=keep,
        evaluate=evaluate,
    )
    return decision, state


class Controller(Protocol[State]):
    """A policy: pure, with visible state. No clock, no input or output, no torch.

    The state is a frozen dataclass; `dump` and `load` turn it into JSON types and back, exactly.
    """

    @property
    def name(self) -> str:
        """The policy's name."""
        ...

    def init(self, recommendation: Recommendation, budget: Budget) -> State:
        """The state before the first step."""
        ...

    def update(self, state: State, observation: Observation) -> tuple[Decision, State]:
        """Decide on one observation."""
        ...

    def dump(self, state: State) -> dict[str, Any]:
        """The state as JSON types."""
        ...

    def load(self, data: dict[str, Any]) -> State:
        """The inverse of `dump`."""
        ...
