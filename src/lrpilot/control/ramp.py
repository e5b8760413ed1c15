"""The ramp: a warm-up that is the range test.

- *Climb*: the rate doubles every few steps, at a pace that passes the recommended rate after a
  tenth of the run, until harm shows. Whenever it has doubled, a few validation examples are probed;
  while data are new, the training batches count as validation too (`evidence.py`).
- *Settle*: a probe that is clearly worse than the best one ends the climb: weights and all go back
  to the best state. The rate to go on with is the geometric mean of the one at which a step gained
  most and the highest one that clearly helped, drawn towards the recommendation as far as that is
  known better than the climb; it is annealed to zero. If the first probe is worse already, the
  start was too high and the climb begins anew, lower.
- *Watch*: a later validation that is no better halves the rate; one that is worse goes back, too.
- At the end the annealed state is kept, unless an earlier one is truly better.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from lrpilot.control.evidence import Change, change
from lrpilot.control.ramp_state import Probe, RampState
from lrpilot.control.types import Action, Budget, Decision, Observation, say
from lrpilot.facts import Recommendation
from lrpilot.metric import Evaluation, compare

_TO_SD = 1 / 1.2816  # closed form: half of a normal's 80% interval in standard deviations


@dataclass(frozen=True, slots=True, kw_only=True)
class RampController:
    """The warm-up as range test.

    Attributes:
        double_steps, double_frac: The rate doubles in so many steps, or in this share of the budget
            where that is longer.
        warm_frac: Share of the budget after which the climb passes the recommended rate.
        climb_until: Share of the budget after which the rate rises no more.
        margin, doubt: A probe ends the climb when it is worse than the best by this share, at this
            one-sided p-value.
        veto: In the climb, validation alone ends it at this p-value, whatever training shows, once
            it was better than before training (batch norm's statistics have caught up then).
        clear: A probe is clearly better when it is so many standard errors better.
        climb_sd: How far the climb's own answer is off, in powers of ten.
        restart_factor: Level of a new climb, as a share of one whose first probe was worse.
        late_margin, late_doubt: The same as `margin` and `doubt`, after the climb.
        cut_factor: Level after a later validation that is no better, as a share of the one before.
        late: Validations after the climb, as a share of those that are planned.
        keep_level: Level of the test by which an earlier state is kept at the end.
        max_level: No climb goes beyond this multiple of the recommended peak.
        max_rollbacks: Roll-backs after which a worse validation changes nothing any more.
    """

    double_steps: int = 4  # measured: docs/log.md, one step outruns Adam's momentum
    double_frac: float = 0.02  # assumed: three powers of ten in a fifth of a long run
    warm_frac: float = 0.1  # measured: docs/log.md, .15 is worse
    climb_until: float = 0.5  # assumed: half of the run is left to profit from it
    margin: float = 0.02  # measured: docs/log.md, finds harm on six tasks
    doubt: float = 0.1  # assumed
    veto: float = 0.01  # measured: docs/log.md, without it EfficientNet climbs too far
    clear: float = 0.5  # assumed
    climb_sd: float = 0.45  # measured: docs/log.md, root mean square over ten tasks
    restart_factor: float = 1 / 8  # assumed: a band's half-width
    late_margin: float = 0.01  # measured: docs/log.md, .02 loses with noisy labels
    late_doubt: float = 0.1  # measured: docs/log.md, without roll-backs noisy labels lose
    cut_factor: float = 0.5  # measured: docs/log.md, a third is no better
    late: float = 1 / 3  # measured: docs/log.md, a half is worse with few examples
    keep_level: float = 0.005  # assumed: .05 shared over ten validations
    max_level: float = 1e5  # assumed: rounding aside, no bound
    max_rollbacks: int = 8  # assumed
    name: str = "ramp"

    def init(self, recommendation: Recommendation, budget: Budget) -> RampState:
        """The state before the first step."""
        low, high = recommendation.low, recommendation.high
        level, prior_sd = 1.0, math.inf  # a rate that the user gave
        if high > low:
            level = 2.0 ** (-self.warm_frac * budget.steps / self._doubling(budget))
            prior_sd = math.log10(high / low) / 2 * _TO_SD
        state = RampState(
            budget=budget, prior_sd=prior_sd, base=level, level=level, best_level=level
        )
        return self._plan(state)

    def update(self, state: RampState, observation: Observation) -> tuple[Decision, RampState]:
        """Decide on a training step or on a validation."""
        state = replace(state, step=observation.step)
        if observation.validation is not None:
            return self._on_validation(state, observation.validation)
        loss = observation.train_loss
        if loss is not None and not math.isfinite(loss):
            return self._roll_back(state, "divergence", "the training loss is not finite", {})
        if state.climbing:
            doubling = self._doubling(state.budget)
            if loss is not None:
                state = replace(state, losses=(*state.losses, loss)[-doubling:])
            most = self.max_level if state.budget.evaluations else 1.0
            level = state.base * 2.0 ** ((state.step - state.begun) / doubling)
            state = replace(state, level=min(most, level))
        due = state.check is not None and state.step >= min(state.check, state.budget.steps)
        if due and state.step:
            return say(state, "hold", "planned-validation", evaluate=True)
        return say(state, "hold", "climb" if state.climbing else "anneal")

    def _on_validation(self, state: RampState, new: Evaluation) -> tuple[Decision, RampState]:
        if state.best is None:
            if not new.finite:
                reason = "validation is not finite before any rate could do harm"
                return say(state, "stop", "divergence", reason)
            probe = Probe(evaluation=new, step=state.step)
            state = replace(state, first=new.mean, best=probe, last=probe, best_level=state.level)
            reason = f"the first validation, {new.mean:.4g}, is what later ones are compared with"
            return say(state, "hold", "start", reason, {"value": new.mean}, keep=True)
        if state.step >= state.budget.steps:
            return self._last(state, new, state.best)
        seen = self._since(state, new, state.best)
        figures = {
            "value": new.mean,
            "best": state.best.evaluation.mean,
            "difference": seen.difference,
            "standard_error": seen.standard_error,
        }
        margin, doubt = self.margin, self.doubt
        if not state.climbing:
            margin, doubt = self.late_margin, self.late_doubt
        alone, least = change(new, state.best.evaluation), margin * abs(state.best.evaluation.mean)
        state = replace(state, sound=state.sound or new.mean < state.first)
        for found, level in ((seen, doubt), (alone, self.veto if state.sound else 0.0)):
            far = found.difference > least
            if far and found.worse(doubt=level):
                return self._roll_back(state, "too-high", f"worse by {found.sentence()}", figures)
        if state.climbing:
            return self._climb(state, new, seen, figures)
        return self._watch(state, new, seen, figures)

    def _since(self, state: RampState, new: Evaluation, reference: Probe) -> Change:
        """How things changed since an earlier probe; training counts while its data are new."""
        epoch = state.budget.steps_per_epoch
        if not state.climbing or (epoch is not None and state.step > epoch):
            return change(new, reference.evaluation)
        losses, before = state.losses, reference.losses
        if not before and not state.begun:  # the start: the first half stands for what was before
            half = len(losses) // 2
            losses, before = losses[half:], losses[:half]
        return change(new, reference.evaluation, losses, before)

    def _climb(
        self, state: RampState, new: Evaluation, seen: Change, figures: dict[str, float]
    ) -> tuple[Decision, RampState]:
        assert state.last is not None
        probe = Probe(evaluation=new, step=state.step, losses=state.losses)
        gained = self._since(state, new, state.last).difference / (state.step - state.last.step)
        if gained < state.gain:
            state = replace(state, gain=gained, fastest=state.level)
        better = seen.difference < 0.0
        if better:
            clearly = not -seen.difference <= self.clear * seen.standard_error
            useful = state.level if clearly or state.useful is None else state.useful
            state = replace(state, best=probe, best_level=state.level, progress=True, useful=useful)
        state = replace(state, last=probe, losses=())
        told = f"{'the best so far' if better else 'not clearly worse'}: {seen.sentence()}"
        if state.step > self.climb_until * state.budget.steps:
            state = self._plan(replace(state, climbing=False, level=self._settled(state)))
            reason = f"{told}; what is left of the budget is for annealing"
            return say(state, "hold", "stable", reason, figures, keep=better)
        reason = f"{told}; the rate goes on rising"
        return say(self._plan(state), "raise", "climb", reason, figures, keep=better)

    def _watch(
        self, state: RampState, new: Evaluation, seen: Change, figures: dict[str, float]
    ) -> tuple[Decision, RampState]:
        if seen.difference < 0.0:
            best = Probe(evaluation=new, step=state.step)
            state = self._plan(replace(state, best=best, best_level=state.level))
            reason = f"the best so far: {seen.sentence()}"
            return say(state, "hold", "stable", reason, figures, keep=True)
        state = self._plan(replace(state, level=state.level * self.cut_factor))
        reason = f"no better than step {state.best.step if state.best else 0}: {seen.sentence()}"
        return say(state, "cut", "stale", f"{reason}; the rate is cut", figures)

    def _settled(self, state: RampState) -> float:
        """The level to go on with, from the climb and the recommendation."""
        useful = state.useful or state.best_level
        climbed = math.sqrt(useful * (state.fastest or useful))
        weight = self.climb_sd**2 / (self.climb_sd**2 + state.prior_sd**2)
        return float(climbed ** (1.0 - weight))

    def _last(self, state: RampState, new: Evaluation, best: Probe) -> tuple[Decision, RampState]:
        result = compare(new, best.evaluation, alpha=self.keep_level)
        figures = {
            "value": new.mean,
            "best": best.evaluation.mean,
            "difference": result.difference,
            "standard_error": result.standard_error,
            "p_worse": result.p_worse,
        }
        if result.verdict == "worse":
            reason = (
                f"the budget is spent; step {best.step} validated better"
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
        state = replace(state, rollbacks=state.rollbacks + 1, losses=())
        if state.climbing and not state.progress:
            level = state.base * self.restart_factor
            state = replace(state, base=level, level=level, begun=state.step, last=state.best,
                            prior_sd=math.inf)  # fmt: skip
            told = f"the start was too high, the climb begins anew at {self.restart_factor:g} of it"
        elif state.climbing:
            state = replace(state, climbing=False, level=self._settled(state))
            told = (
                f"the climb ends, on at {state.level:.3g} times the recommended rate: between the"
                f" one that gained most, {state.fastest or state.best_level:.3g} times, and the"
                f" highest that clearly helped, {state.useful or state.best_level:.3g} times"
            )
        else:
            state = replace(state, level=min(state.level, state.best_level) * self.cut_factor)
            told = f"on at {self.cut_factor:g} of the rate"
        reason = f"{reason}; back to step {state.best.step if state.best else 0}; {told}"
        return say(self._plan(state), "rollback", rule, reason, figures)

    def _doubling(self, budget: Budget) -> int:
        return max(self.double_steps, round(self.double_frac * budget.steps))

    def _plan(self, state: RampState) -> RampState:
        """Set the step of the next validation."""
        budget = state.budget
        if budget.evaluations == 0:
            return replace(state, check=None)
        late = max(1, round(self.late * budget.evaluations))
        gap = self._doubling(budget) if state.climbing else math.ceil(budget.steps / late)
        return replace(state, check=state.step + gap)

    def dump(self, state: RampState) -> dict[str, Any]:
        """The state as JSON types."""
        return state.dump()

    def load(self, data: dict[str, Any]) -> RampState:
        """The inverse of `dump`."""
        return RampState.load(data)
