"""The ramp: a warm-up that is the range test. Experimental; `docs/log.md` has its figures.

- *Climb*: from the low end of the recommended band the rate doubles every few steps, until harm
  shows. Whenever it has doubled, a few validation examples are probed.
- *Settle*: a probe that is clearly worse than the best one ends the climb: weights and all go back
  to the best state, and training goes on at half of the rate that it was reached with, annealed to
  zero. If the first probes are worse already, the start was too high and the climb begins anew, far
  lower; but where the training loss falls meanwhile, batch norm's statistics may lag, and the rate
  waits for them.
- *Watch*: a later validation that is worse rolls back and halves the rate.
- At the end the annealed state is kept, unless an earlier one is truly better.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from lrpilot.control.types import Action, Budget, Decision, Observation, say
from lrpilot.control.validation_state import dump_evaluation, load_evaluation
from lrpilot.facts import Recommendation
from lrpilot.metric import Comparison, Evaluation, compare


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RampState:
    """Everything the controller remembers; replaced, never changed.

    Attributes:
        budget: What the run may spend.
        step: Optimizer steps done.
        climbing: Whether the rate still rises.
        base, begun: Level and step at which the present climb began.
        level: Multiplier of the recommended peak, without the anneal.
        check: Step of the next validation; None where none is wanted.
        best, best_step, best_level: The best validation, where it was and at which level.
        progress: Whether a validation of the present climb was the best.
        losses: The training losses of the latest two doublings, in the climb.
        waited: Probes in a row that were worse while the training loss fell.
        rollbacks: Roll-backs so far.
    """

    budget: Budget
    step: int = 0
    climbing: bool = True
    base: float
    begun: int = 0
    level: float
    check: int | None = None
    best: Evaluation | None = None
    best_step: int = 0
    best_level: float = 1.0
    progress: bool = False
    losses: tuple[float, ...] = ()
    waited: int = 0
    rollbacks: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RampController:
    """The warm-up as range test.

    Attributes:
        double_steps, double_frac: The rate doubles in so many steps, or in this share of the budget
            where that is longer.
        climb_until: Share of the budget after which the rate rises no more.
        margin, doubt: A probe ends the climb when it is worse than the best by this share, at this
            one-sided p-value.
        lag_probes: Before any progress, so many worse probes in a row are waited for while the
            training loss falls.
        settle_factor: Level after the climb, as a share of that of the best state.
        restart_factor: Level of a new climb, as a share of one whose first probe was worse.
        late_margin, late_doubt: The same as `margin` and `doubt`, after the climb.
        cut_factor: Level after a later roll-back, as a share of the one before.
        late: Validations after the climb, as a share of those that are planned.
        keep_level: Level of the test by which an earlier state is kept at the end.
        max_level: No climb goes beyond this multiple of the recommended peak.
        max_rollbacks: Roll-backs after which a worse validation changes nothing any more.
    """

    double_steps: int = 4  # measured: docs/log.md, one step outruns Adam's momentum
    double_frac: float = 0.02  # assumed: three powers of ten in a fifth of a long run
    climb_until: float = 0.5  # assumed: half of the run is left to profit from it
    margin: float = 0.02  # measured: docs/log.md, finds harm on six tasks
    doubt: float = 0.1  # assumed
    lag_probes: int = 4  # measured: docs/log.md, a ResNet-50's statistics need 16 steps
    settle_factor: float = 0.5  # measured: docs/log.md, 1 breaks tiny data, a third decoders
    restart_factor: float = 1 / 32  # assumed: as far as a start may well be off
    late_margin: float = 0.01  # measured: docs/log.md, .02 loses with noisy labels
    late_doubt: float = 0.05  # measured: docs/log.md, .01 loses with noisy labels
    cut_factor: float = 0.5  # assumed
    late: float = 1 / 3  # assumed
    keep_level: float = 0.005  # assumed: .05 shared over ten validations
    max_level: float = 1e5  # assumed: rounding aside, no bound
    max_rollbacks: int = 8  # assumed
    name: str = "ramp"

    def init(self, recommendation: Recommendation, budget: Budget) -> RampState:
        """The state before the first step: the low end of the band."""
        level = recommendation.low / recommendation.peak_lr
        state = RampState(budget=budget, base=level, level=level, best_level=level)
        return self._plan(state)

    def update(self, state: RampState, observation: Observation) -> tuple[Decision, RampState]:
        """Decide on a training step or on a validation."""
        state = replace(state, step=observation.step)
        if observation.validation is not None:
            return self._on_validation(state, observation.validation)
        loss = observation.train_loss
        if loss is not None and not math.isfinite(loss):
            return self._roll_back(state, "divergence", "the training loss is not finite", {})
        if state.climbing and loss is not None:
            state = replace(state, losses=(*state.losses, loss)[-2 * self._doubling(state) :])
        if state.climbing and state.step and not state.waited:
            most = self.max_level if state.budget.evaluations else 1.0
            doublings = (state.step - state.begun) / self._doubling(state)
            state = replace(state, level=min(most, state.base * 2.0**doublings))
        due = state.check is not None and state.step >= min(state.check, state.budget.steps)
        if due and state.step:
            return say(state, "hold", "planned-validation", evaluate=True)
        return say(state, "hold", "climb" if state.climbing else "anneal")

    def _on_validation(self, state: RampState, new: Evaluation) -> tuple[Decision, RampState]:
        best = state.best
        if best is None:
            if not new.finite:
                reason = "validation is not finite before any rate could do harm"
                return say(state, "stop", "divergence", reason)
            state = replace(state, best=new, best_step=state.step, best_level=state.level)
            reason = f"the first validation, {new.mean:.4g}, is what later ones are compared with"
            return say(state, "hold", "start", reason, {"value": new.mean}, keep=True)
        result = compare(new, best, alpha=self.keep_level)
        figures = {
            "value": new.mean,
            "best": best.mean,
            "difference": result.difference,
            "standard_error": result.standard_error,
            "p_worse": result.p_worse,
        }
        if state.step >= state.budget.steps:
            return self._last(state, new, result, figures)
        if self._harmful(state, result, best):
            if self._lags(state):
                state = replace(state, waited=state.waited + 1)
                reason = (
                    f"validation got worse by {result.sentence()}, but the training loss fell: wait"
                )
                return say(self._plan(state), "hold", "lag", reason, figures)
            reason = f"validation got worse by {result.sentence()}"
            return self._roll_back(state, "too-high", reason, figures)
        return self._go_on(state, new, result, figures)

    def _harmful(self, state: RampState, result: Comparison, best: Evaluation) -> bool:
        margin, doubt = self.margin, self.doubt
        if not state.climbing:
            margin, doubt = self.late_margin, self.late_doubt
        clear = math.isnan(result.p_worse) or result.p_worse < doubt
        return clear and result.difference > margin * abs(best.mean)

    def _lags(self, state: RampState) -> bool:
        """Whether a worse probe may be batch norm's statistics, which lag behind the weights."""
        if not state.climbing or state.progress or state.waited >= self.lag_probes:
            return False
        half = len(state.losses) // 2
        early, late = state.losses[:half], state.losses[half:]
        return half > 0 and sum(late) / len(late) < sum(early) / half

    def _go_on(
        self, state: RampState, new: Evaluation, result: Comparison, figures: dict[str, float]
    ) -> tuple[Decision, RampState]:
        better = result.difference < 0.0
        if better:
            state = replace(
                state, best=new, best_step=state.step, best_level=state.level, progress=True
            )
        if state.waited:
            state = replace(state, waited=0, base=state.level, begun=state.step)
        seen = f"validation {'is the best so far' if better else 'is not clearly worse'}"
        seen = f"{seen} ({result.sentence()})"
        if not state.climbing:
            return say(self._plan(state), "hold", "stable", seen, figures, keep=better)
        if state.step > self.climb_until * state.budget.steps:
            state = self._plan(replace(state, climbing=False, level=state.best_level))
            reason = f"{seen}; what is left of the budget is for annealing"
            return say(state, "hold", "stable", reason, figures, keep=better)
        reason = f"{seen}: the rate goes on rising"
        return say(self._plan(state), "raise", "climb", reason, figures, keep=better)

    def _last(
        self, state: RampState, new: Evaluation, result: Comparison, figures: dict[str, float]
    ) -> tuple[Decision, RampState]:
        if result.verdict == "worse":
            reason = (
                f"the budget is spent; step {state.best_step} validated better"
                f" ({result.sentence()}), so its state is what is kept"
            )
            return say(state, "rollback", "keep-best", reason, figures)
        reason = f"the budget is spent and the last state, {new.mean:.4g}, is kept"
        return say(state, "hold", "end", reason, figures, keep=True)

    def _roll_back(
        self, state: RampState, rule: str, reason: str, figures: dict[str, float]
    ) -> tuple[Decision, RampState]:
        if state.best is None:
            return say(state, "stop", rule, f"{reason}; nothing to roll back to", figures)
        if state.rollbacks >= self.max_rollbacks:
            action: Action = "stop" if rule == "divergence" else "hold"
            reason = f"{reason}; no roll-back is left"
            return say(self._plan(state), action, rule, reason, figures)
        state = replace(state, rollbacks=state.rollbacks + 1, losses=(), waited=0)
        if state.climbing and not state.progress:
            level = state.base * self.restart_factor
            state = replace(state, base=level, level=level, begun=state.step)
            told = "the start was too high, the climb begins anew far lower"
        elif state.climbing:
            state = replace(state, climbing=False, level=state.best_level * self.settle_factor)
            told = f"the climb ends, on at {self.settle_factor:g} of the best state's rate"
        else:
            state = replace(state, level=min(state.level, state.best_level) * self.cut_factor)
            told = f"on at {self.cut_factor:g} of the rate"
        reason = f"{reason}; back to step {state.best_step}; {told}"
        return say(self._plan(state), "rollback", rule, reason, figures)

    def _doubling(self, state: RampState) -> int:
        return max(self.double_steps, round(self.double_frac * state.budget.steps))

    def _plan(self, state: RampState) -> RampState:
        """Set the step of the next validation."""
        budget = state.budget
        if budget.evaluations == 0:
            return replace(state, check=None)
        late = max(1, round(self.late * budget.evaluations))
        gap = self._doubling(state) if state.climbing else math.ceil(budget.steps / late)
        return replace(state, check=state.step + gap)

    def dump(self, state: RampState) -> dict[str, Any]:
        """The state as JSON types."""
        data = {name: getattr(state, name) for name in RampState.__slots__}
        return data | {
            "budget": asdict(state.budget),
            "best": dump_evaluation(state.best),
            "losses": list(state.losses),
        }

    def load(self, data: dict[str, Any]) -> RampState:
        """The inverse of `dump`."""
        budget, best = Budget(**data["budget"]), load_evaluation(data["best"])
        return RampState(**dict(data, budget=budget, best=best, losses=tuple(data["losses"])))
