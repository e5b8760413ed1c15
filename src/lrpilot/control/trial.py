"""Warm up to the recommendation, and leave it only where validation says so.

- *Warm-up*: the rate rises linearly to the recommended peak. If validation is then worse than
  before training, the start was too high: it begins anew, lower.
- *Trial*, of a rate that nothing vouches for but the user: from one point the training goes on
  twice, over the same batches, for a few steps that are annealed to zero: at a multiple of the
  rate, and at the rate. Annealed, because a higher rate leaves more noise in the weights and would
  look worse than it is. If the higher branch is better on enough validation examples, the rate is
  raised and the next trial follows at once. Either way the training goes on from the end of the
  lower branch, whose steps are not lost. A recommendation knows as much, and is not tried.
- Training losses far above the first ask for a validation at once; if it is worse, back at once.
- *Rest*: the rate is annealed to zero. A validation that is worse is asked again after a few steps
  annealed to zero; if it is worse still, the run goes back to the best state, at half the rate.
  A recommendation is left for a sure worsening alone. While data are nearly new training's batches
  must bear it out; later a state is the best only if it is surely better. One that is not
  surely better, while training learns its examples by heart, is asked again; if it still falls
  short, it is back to the best state at a third of the rate, or on at that if surely better now.
- At the end the annealed state is kept, unless an earlier one is truly better.
- *Stretch*: the kept weights are moved along the line from where training began to where
  validation is best, further or back: a rate that was too low stopped short, one that was too high
  went too far.

A user's number is compared with what the sizes of the weights suggest. Far above that, or further
below it in a short run, training begins there instead, as from a recommendation; if a start above
the number does harm, the number is next. Near it, in a short run, it is not tried either.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from lrpilot.control.evidence import Change, change, figures_of, relieved
from lrpilot.control.learning import halves, learning, on_new_batches, outburst, shortfall
from lrpilot.control.line import Place, following
from lrpilot.control.trial_settings import TrialSettings
from lrpilot.control.trial_state import TrialState
from lrpilot.control.types import Action, Budget, Decision, Observation, say
from lrpilot.facts import Recommendation
from lrpilot.metric import Evaluation, compare

_DIVERGED = Change(math.inf, math.nan)  # worse than anything, by nothing that could be tested


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialController(TrialSettings):
    """Warm-up to the recommendation, paired trials of a higher rate, roll-back on harm.

    Source:
        The line through the pretrained and the fine-tuned weights: Wortsman et al., "Robust
        fine-tuning of zero-shot models", CVPR 2022; a step along it that validation chooses:
        Ilharco et al., "Editing models with task arithmetic", ICLR 2023.
    """

    name: str = "trial"

    def init(self, recommendation: Recommendation, budget: Budget) -> TrialState:
        """The state before the first step."""
        founded, start = self.starting(recommendation, budget)
        return TrialState(
            budget=budget,
            founded=founded,
            factor=self.first_factor,
            start=start,
            level=start,
            check=self.warm_steps(budget),
        )

    def update(self, state: TrialState, observation: Observation) -> tuple[Decision, TrialState]:
        """Decide on a training step or on a validation."""
        loss = observation.train_loss
        learnt = learning(state, observation.step, loss) | outburst(state, loss, self.early_times)
        state = replace(state, step=observation.step, **learnt)  # once: it is made at every step
        if observation.budget is not None:
            state = state.within(observation.budget)
        if observation.validation is not None:
            return self._on_validation(state, observation.validation)
        if loss is not None and not math.isfinite(loss):
            if state.phase == "higher":
                return self._go_back(replace(state, higher=None), "the training loss is not finite")
            return self._roll_back(state, "divergence", "the training loss is not finite", {})
        apart = max(1, self.warm_steps(state.budget) // self.most_losses)
        if loss is not None and not state.step % apart and on_new_batches(state, self):
            state = replace(state, losses=(*state.losses, loss))
        spare = state.budget.evaluations - state.validations
        if not state.step or state.step < min(state.check, state.budget.steps):
            early = state.high == self.early_run and state.phase in ("warmup", "rest")
            if early and spare >= 2 + self.stretch_reserve:
                return self._say(state, "hold", "spike", evaluate=True)
            return self._say(state, "hold", "anneal")
        if spare > (state.step < state.budget.steps):  # one is for the end
            return self._say(state, "hold", "planned-validation", evaluate=True)
        if state.phase == "warmup":
            state = replace(state, phase="rest", begun=state.step, check=state.budget.steps)
        return self._say(state, "hold", "anneal")

    def _on_validation(self, state: TrialState, new: Evaluation) -> tuple[Decision, TrialState]:
        first, best = state.first, state.best
        if first is None or best is None:
            if not new.finite:
                reason = "validation is not finite before any rate could do harm"
                return self._say(state, "stop", "divergence", reason)
            state = replace(state, first=new, best=new)
            reason = state.opening(new)
            said, state = self._say(state, "hold", "start", reason, {"value": new.mean}, keep=True)
            return replace(said, origin=True), state
        state = replace(state, validations=state.validations + 1)
        if state.phase in ("stretch", "place"):
            return self._stretched(state, new, best, first)
        if state.step >= state.budget.steps:
            return self._last(state, new, best)
        if state.step < state.check and state.phase in ("warmup", "rest"):
            return self._early(state, new, first if state.phase == "warmup" else best)
        if state.phase == "warmup":
            return self._warmed(state, new, first)
        if state.phase == "higher":
            return self._go_back(replace(state, higher=new), f"validation reached {new.mean:.4g}")
        if state.phase == "same":
            return self._judge(state, new, best)
        return self._watch(state, new, best)

    # -- the phases -------------------------------------------------------------------------

    def _early(
        self, state: TrialState, new: Evaluation, reference: Evaluation
    ) -> tuple[Decision, TrialState]:
        """Training's losses are far above the first: back at once if validation is harmed."""
        seen = change(new, reference)
        figures = figures_of(new, reference, seen)
        reason = f"training losses far above the first; validation {seen.sentence()}"
        warming = state.phase == "warmup"
        spared = not warming or relieved(new, state.failed, reference, share=self.relief)
        if spared and (not new.finite or self._worse(state, seen, reference)):
            state = replace(state, failed=new if warming else state.failed)
            return self._roll_back(state, "too-high", reason, figures)
        state = replace(state, usual=math.inf)  # losses of this kind say nothing: not again
        return self._say(state, "hold", "spike", f"{reason}: no harm", figures)

    def _warmed(
        self, state: TrialState, new: Evaluation, first: Evaluation
    ) -> tuple[Decision, TrialState]:
        early, late = halves(state, self)
        seen = change(new, first, late, early)
        figures = figures_of(new, first, seen)
        if self._worse(state, seen, first):
            reason = f"after the warm-up validation is worse by {seen.sentence()}"
            if relieved(new, state.failed, first, share=self.relief):
                state = replace(state, failed=new)
                return self._roll_back(state, "too-high", reason, figures)
            state = replace(state, ceiling=None)
        better = change(new, first).difference < 0.0
        state = self._mark(state, new) if better else replace(state, losses=(), before=early)
        reason = f"warmed up: {seen.sentence()}"
        if state.failed is not None:
            reason = f"{reason}, against {state.failed.mean:.4g} at a higher rate"
        if state.founded:
            return self._rest(state, "hold", "warm", reason, figures, keep=better)
        return self._fork(state, "hold", reason, figures, keep=better)

    def _fork(
        self,
        state: TrialState,
        action: Action,
        reason: str,
        figures: dict[str, float],
        *,
        keep: bool,
    ) -> tuple[Decision, TrialState]:
        """Begin a trial here; rest where none can be had."""
        budget, length = state.budget, self.branch_steps(state.budget)
        end = state.step + 2 * length
        rest = math.ceil((1 - end / budget.steps) / self.rest_frac)  # validations
        paired = state.first is not None and state.first.n > 1
        if (
            not paired
            or length < self.least_steps
            or end > self.until * budget.steps
            or state.validations + 2 + rest > budget.evaluations
            or (state.ceiling is not None and state.level * state.factor >= state.ceiling)
        ):
            return self._rest(state, action, "stable", reason, figures, keep=keep)
        state = replace(state, phase="higher", begun=state.step, check=state.step + length,
                        best_step=state.step)  # fmt: skip
        trial = f"a trial: {length} steps at {state.factor:g} times the rate, then at the rate"
        return self._say(state, action, "trial", f"{reason}; {trial}", figures, keep=True)

    def _go_back(self, state: TrialState, reason: str) -> tuple[Decision, TrialState]:
        """The higher branch is over, the other one begins."""
        check = state.step + self.branch_steps(state.budget)
        state = replace(state, phase="same", begun=state.step, check=check)
        reason = f"{reason} at {state.factor:g} times the rate; back to step {state.best_step}"
        return self._say(state, "rollback", "trial", f"{reason}, the same steps at the rate")

    def _judge(
        self, state: TrialState, new: Evaluation, before: Evaluation
    ) -> tuple[Decision, TrialState]:
        if not new.finite:
            return self._roll_back(state, "divergence", "validation is not finite", {})
        state = self._mark(state, new)
        higher, times = state.higher, f"{state.factor:g} times the rate"
        seen, figures, told = _DIVERGED, {}, f"{times} diverges"
        if higher is not None and higher.finite:
            seen = change(higher, new)
            figures = figures_of(higher, new, seen)
            told = f"{times} changes validation by {seen.sentence()}"
        since = change(new, before)
        if seen.difference >= 0.0 and self._worse(state, since, before):
            state = replace(state, level=state.level * self.cut_factor)
            reason = f"worse than before the trial by {since.sentence()}; {told}; the rate is cut"
            return self._rest(state, "cut", "stale", reason, figures, keep=True)
        spread = seen.standard_error * math.sqrt(new.n)
        if seen.better(doubt=self.doubt) and -seen.difference >= self.agreement * spread:
            state = replace(state, level=state.level * state.factor)
            return self._fork(state, "raise", f"{told}: the rate is raised", figures, keep=True)
        if state.factor > self.factor:
            state = replace(state, factor=self.factor)
            return self._fork(state, "hold", f"{told}: the rate stays", figures, keep=True)
        return self._rest(state, "hold", "stable", f"{told}: the rate stays", figures, keep=True)

    def _watch(
        self, state: TrialState, new: Evaluation, best: Evaluation
    ) -> tuple[Decision, TrialState]:
        seen = change(new, best)
        figures, told = figures_of(new, best, seen), seen.sentence()
        worse, late = self._worse(state, seen, best), halves(state, self)[1]
        sure = seen.better(doubt=self.late_harm)
        better = sure or (seen.difference < 0.0 and self.nearly_new(state.budget, state.step))
        by_heart = shortfall(state, new, self)
        if sure and state.phase == "rest":  # annealed, it would be better for that alone
            by_heart = ""
        if worse and not self._worse(state, change(new, best, late, state.before), best):
            worse, reason = False, f"worse, {told}, but not on training's batches, nearly new"
        elif worse:
            reason = f"worse than step {state.best_step}: {told}"
        elif better:
            reason = f"the best so far: {told}"
        else:
            how = "not surely" if seen.difference < 0.0 else "no"
            reason = f"{how} better than step {state.best_step}: {told}"
        reason = f"{reason}; {by_heart}" if by_heart else reason
        if (worse or by_heart) and self._may_settle(state):
            length = self.branch_steps(state.budget)
            reason = f"{reason}; again after {length} annealed steps, without the rate's noise"
            state = replace(state, phase="settle", begun=state.step, check=state.step + length,
                            losses=())  # fmt: skip
            return self._say(state, "hold", "settle", reason, figures)
        overfits = bool(by_heart) and state.phase == "settle"
        if overfits and not sure:
            return self._roll_back(state, "overfitting", reason, figures)
        if worse:
            return self._roll_back(state, "too-high", reason, figures)
        action: Action = "hold"
        rule = "stable" if better else "stale"
        state = self._mark(state, new) if better else replace(state, losses=())
        if overfits:
            action, rule = "cut", "overfitting"
            reason = f"{reason}; on at {self.heart_factor:.2g} of the rate"
            state = replace(state, level=state.level * self.heart_factor)
        return self._rest(state, action, rule, reason, figures, keep=better)

    def _may_settle(self, state: TrialState) -> bool:
        """Whether a doubt in the rest can be looked at without the noise of the rate."""
        budget, length = state.budget, self.branch_steps(state.budget)
        spare = budget.evaluations - state.validations
        return (
            self.second_look
            and state.phase == "rest"
            and length >= self.least_settle
            and state.step + length < budget.steps
            and spare >= 2 + self.stretch_reserve
        )

    def _rest(
        self,
        state: TrialState,
        action: Action,
        rule: str,
        reason: str,
        figures: dict[str, float],
        *,
        keep: bool,
    ) -> tuple[Decision, TrialState]:
        """Anneal until the next validation; the first comes early where data are seen again."""
        check = state.step + max(1, round(self.rest_frac * state.budget.steps))
        early = state.step + max(1, round(self.look_frac * state.budget.steps))
        if state.phase == "warmup" and not self.nearly_new(state.budget, early):
            check = early
        watched_less = state.founded and self.nearly_new(state.budget, state.step)
        kept = self.stretch_reserve if watched_less else 0
        if state.budget.evaluations - state.validations < 2 + kept:
            check = state.budget.steps
        state = replace(state, phase="rest", begun=state.step, check=check)
        return self._say(state, action, rule, reason, figures, keep=keep)

    def _last(
        self, state: TrialState, new: Evaluation, best: Evaluation
    ) -> tuple[Decision, TrialState]:
        result = compare(new, best, alpha=self.keep_level)
        figures = {"value": new.mean, "best": best.mean}
        if result.verdict == "worse" or not new.finite:
            reason = f"the budget is spent; step {state.best_step} validated better"
            reason = f"{reason} ({result.sentence()}), so its state is what is kept"
            said, state = self._say(state, "rollback", "keep-best", reason, figures)
        else:
            state = self._mark(state, new)
            reason = f"the budget is spent and the last state, {new.mean:.4g}, is kept"
            said, state = self._say(state, "hold", "end", reason, figures, keep=True)
        if new.n < 2 or self._stretches_left(state) < self.stretch_reserve:
            return said, state
        middle = Place(1.0, state.best or new)
        state = replace(state, phase="stretch", line=(middle,), tried=self.stretch_factor)
        return replace(said, stretch=state.tried, evaluate=True), state

    def _stretched(
        self, state: TrialState, new: Evaluation, best: Evaluation, first: Evaluation
    ) -> tuple[Decision, TrialState]:
        """Look on both sides, on where it falls further, and then at the lowest point."""
        state = replace(state, stretches=state.stretches + 1)
        seen = change(new, best)
        figures, better = figures_of(new, best, seen), False
        told = f"{state.tried:.3g} times the change since the start: {seen.sentence()}"
        if state.phase == "place":
            more, better = False, seen.difference < 0.0
            state = replace(self._mark(state, new), stretch=state.tried) if better else state
        else:
            left, gain = self._stretches_left(state), -change(best, first).difference
            looked = (*state.line, Place(state.tried, new))
            line, at, final = following(looked, self, more=left > 1, gain=gain)
            state = replace(state, line=line, tried=at, phase="place" if final else "stretch")
            more = left > 0 and not (final and at == 1.0)
        told = told if more else f"{told}; {state.stretch:.3g} times it is what is kept"
        said, state = self._say(state, "hold", "stretch", told, figures, keep=better)
        return replace(said, stretch=state.tried if more else 1.0, evaluate=more), state

    def _stretches_left(self, state: TrialState) -> int:
        spare = state.budget.evaluations - state.validations
        return min(spare, self.most_stretches - state.stretches)

    def _roll_back(
        self, state: TrialState, rule: str, reason: str, figures: dict[str, float]
    ) -> tuple[Decision, TrialState]:
        if state.best is None:
            return self._say(state, "stop", rule, f"{reason}; nothing to roll back to", figures)
        if state.rollbacks >= self.max_rollbacks:
            action: Action = "stop" if rule == "divergence" else "hold"
            reason = f"{reason}; no roll-back is left"
            return self._rest(state, action, rule, reason, figures, keep=False)
        state = replace(state, rollbacks=state.rollbacks + 1, losses=(), high=0)
        reason = f"{reason}; back to step {state.best_step}"
        if not state.best_step:
            level, ceiling = state.level * self.restart_factor, state.level
            state = replace(state, phase="warmup", begun=state.step, level=level, ceiling=ceiling,
                            check=state.step + self.warm_steps(state.budget))  # fmt: skip
            told = f"{self.restart_factor:g} of the rate"
            if ceiling == state.start > 1.0:
                told = "the number that was given"
                state = replace(state, founded=False, level=1.0)
            return self._say(state, "rollback", rule, f"{reason}, a new warm-up to {told}", figures)
        factor = self.heart_factor if rule == "overfitting" else self.cut_factor
        state = replace(state, level=state.level * factor)
        reason = f"{reason}, on at {factor:.2g} of the rate"
        return self._rest(state, "rollback", rule, reason, figures, keep=False)

    # -- small pieces -----------------------------------------------------------------------

    def _worse(self, state: TrialState, seen: Change, reference: Evaluation) -> bool:
        margin, doubt = self.late_margin, self.late_harm
        if state.phase == "warmup":
            margin, doubt = self.margin, self.harm
        far = seen.difference > margin * abs(reference.mean)
        return far and seen.worse(doubt=self.sure_harm if state.founded else doubt)

    def _mark(self, state: TrialState, new: Evaluation) -> TrialState:
        before = halves(state, self)[1]
        return replace(state, best=new, best_step=state.step, losses=(), before=before)

    def _say(
        self,
        state: TrialState,
        action: Action,
        rule: str,
        reason: str = "",
        figures: dict[str, float] | None = None,
        *,
        keep: bool = False,
        evaluate: bool = False,
    ) -> tuple[Decision, TrialState]:
        """What to do, at the level, in the shape of the phase."""
        decision, state = say(state, action, rule, reason, figures, keep=keep, evaluate=evaluate)
        shape = self.shape(state.budget, state.phase, state.step - state.begun, state.factor)
        return replace(decision, lr_scale=decision.lr_scale * shape), state

    def dump(self, state: TrialState) -> dict[str, Any]:
        """The state as JSON types."""
        return state.dump()

    def load(self, data: dict[str, Any]) -> TrialState:
        """The inverse of `dump`."""
        return TrialState.load(data)
