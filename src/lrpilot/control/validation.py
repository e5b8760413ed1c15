"""The validation-driven controller: start small, raise while stable, cut on overfitting.

This is the article's procedure with its words made exact. Two validations of the same examples
are compared pairwise (`lrpilot.metric.compare`), against the noise over examples and the jitter
from one validation to the next; "worse" means worse at a level that keeps the chance of even one
false alarm in the whole run at `error_rate`. Then:

- *stable* (as good as ever, but for a fraction of the noise): the rate is raised, until half of
  the budget is spent and below any rate that failed. A raise is a proposal: it is checked soon,
  accepted by a new best, and undone by the first validation in doubt before one, weights and all;
- *worse* (at once, or twice in a row at a milder level) after a raise, before any example was
  seen twice, or with a training loss that rose too: the rate was too high; roll back to the best
  state and go on lower;
- *worse* on data seen before, with a training loss that did not rise: overfitting; cut;
- a loss that is not finite: roll back at once. A spike of the training loss only asks for a
  validation, which decides;
- the rate anneals to zero by the end of the budget, and the best state is what is kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from lrpilot.control.evidence import figures_of
from lrpilot.control.losses import is_spike, jitter, rose
from lrpilot.control.plan import evaluation_steps
from lrpilot.control.types import Action, Budget, Decision, Observation, say
from lrpilot.control.validation_state import ValidationState
from lrpilot.errors import InputError
from lrpilot.facts import Recommendation
from lrpilot.metric import Comparison, Evaluation, Noise, compare


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationController:
    """The article's procedure, with stated error rates.

    Attributes:
        error_rate: Chance of one false "worse" or more in a whole run.
        sustained: Level at which two worse validations in a row are worse as well.
        calm: A raise needs a one-sided p-value of "not worse" of at least this.
        doubt: A raise is undone when a validation is worse at this level before one is the best.
        rest: Validations without a raise after a roll-back.
        raise_factor: Factor of a raise.
        max_level: No raise goes beyond this multiple of the recommended peak.
        climb_frac: Share of the budget in which half of the validations are made.
        check_frac: A raise is checked after this share of the budget, or as planned.
        raise_until: Share of the budget after which the rate is not raised any more.
        cut_factor: Factor of a cut on overfitting.
        rollback_factor: Level after a roll-back, as a share of the level that failed; a raise that
            was not confirmed returns to the proven level where there is one.
        proof_frac: A level is proven when it was held for this share of the budget.
        least_jitter, most_jitter: Second differences of validations that it takes to know their
            jitter, and how many are looked at.
        early_jitter: Before that, "worse" is judged against a jitter with this standard deviation,
            as a share of the reference.
        window: Training losses, and means of validations, remembered.
        spike_run, spike_z: A spike is so many losses in a row, so many robust standard
            deviations above the median.
        max_spikes: Validations that spikes may ask for.
        max_rollbacks: Roll-backs after which a worse validation changes nothing any more, and a
            loss that is not finite stops the run.
    """

    error_rate: float = 0.05  # assumed: the usual level
    sustained: float = 0.008  # measured: scripts/calibrate_control.py, keeps `error_rate`
    calm: float = 0.4  # assumed: at most a quarter of a standard error above the best
    doubt: float = 0.2  # assumed: about one standard error
    rest: int = 2  # assumed
    raise_factor: float = 2.0  # assumed: half a grid step of the usual sweeps
    max_level: float = 1000.0  # measured: docs/log.md, small models in short runs want up to that
    climb_frac: float = 0.2  # assumed
    check_frac: float = 0.025  # assumed: the spacing of 8 validations in the climb
    raise_until: float = 0.5  # assumed: half of the run is left to profit from a raise
    cut_factor: float = 0.5  # assumed
    rollback_factor: float = 0.125  # measured: docs/log.md, a quarter is too high on real text
    proof_frac: float = 0.1  # assumed: four times the time that a raise in the climb is given
    least_jitter: int = 4  # measured: scripts/calibrate_control.py, 3 finds no more
    most_jitter: int = 8  # measured: scripts/calibrate_control.py, 5 and 6 break `error_rate`
    early_jitter: float = 0.12  # measured: scripts/calibrate_control.py, keeps `error_rate`
    window: int = 32  # assumed
    spike_run: int = 3  # assumed: three normal losses in a row over 3 sd have p < 1e-8
    spike_z: float = 3.0  # assumed
    max_spikes: int = 5  # assumed
    max_rollbacks: int = 6  # assumed: at an eighth each, 5.4 powers of ten
    name: str = "validation"

    def init(self, recommendation: Recommendation, budget: Budget) -> ValidationState:
        """The state before the first step: start small, at the low end of the band."""
        plan = evaluation_steps(budget, climb_frac=self.climb_frac)
        level = recommendation.low / recommendation.peak_lr
        return ValidationState(budget, plan, level=level, best_level=level)

    def update(
        self, state: ValidationState, observation: Observation
    ) -> tuple[Decision, ValidationState]:
        """Decide on a training step or on a validation.

        Raises:
            InputError: The observation lies before the state's step.
        """
        if observation.step < state.step:
            raise InputError(
                f"an observation of step {observation.step} after step {state.step}: a roll-back"
                " does not turn the step count back, repeated steps are spent too"
            )
        if observation.budget is not None and observation.budget != state.budget:
            fresh = evaluation_steps(observation.budget, climb_frac=self.climb_frac)
            past = [step for step in state.plan if step < observation.step]
            plan = (*past, *(step for step in fresh if step >= observation.step))
            state = replace(state, budget=observation.budget, plan=plan)
        if observation.validation is not None:
            return self._on_validation(state, observation.step, observation.validation)
        return self._on_step(state, observation)

    # -- training steps ---------------------------------------------------------------------

    def _on_step(
        self, state: ValidationState, observation: Observation
    ) -> tuple[Decision, ValidationState]:
        loss = observation.train_loss
        state = replace(state, step=observation.step)
        norm = observation.grad_norm
        if (loss is not None and not math.isfinite(loss)) or (
            norm is not None and math.isnan(norm)
        ):
            what = "training loss" if loss is None or not math.isfinite(loss) else "gradient norm"
            return self._roll_back(
                state,
                "divergence",
                f"the {what} is not finite",
                {"loss": math.nan if loss is None else loss},
            )
        if loss is not None:
            state = replace(state, recent=(*state.recent, loss)[-2 * self.window :])
        if state.step in state.plan or state.step == state.check:
            return say(state, "hold", "planned-validation", evaluate=True)
        if state.spikes < self.max_spikes and is_spike(
            state.recent, run=self.spike_run, z=self.spike_z
        ):
            state = replace(state, spikes=state.spikes + 1, recent=())
            reason = f"{self.spike_run} training losses in a row lie far above the noise: validate"
            figures = {"loss": math.nan if loss is None else loss}
            return say(state, "hold", "spike", reason, figures, evaluate=True)
        return say(state, "hold", "anneal")

    # -- validations ------------------------------------------------------------------------

    def _on_validation(
        self, state: ValidationState, step: int, new: Evaluation
    ) -> tuple[Decision, ValidationState]:
        state = replace(state, step=step)
        best, reference = state.best, state.reference
        if best is None or reference is None:
            return self._first(state, new)
        if not new.finite:
            return self._roll_back(state, "divergence", "validation is not finite", {})
        state = replace(state, means=(*state.means, new.mean)[-self.window :])
        result, strict = self._judge(state, new, reference)
        bad = state.bad + 1 if strict.p_worse <= self.sustained else 0
        worse = strict.verdict == "worse" or bad > 1
        result = strict if worse else result
        state = replace(state, bad=bad, check=None)
        figures = figures_of(new, best, result)
        figures |= {"p_worse": result.p_worse, "level": result.alpha}
        if step >= state.budget.steps:
            return self._last(state, new, figures)
        if worse:
            return self._worse(state, new, result, figures)
        if state.raised and result.p_worse < self.doubt:
            reason = f"validation does not confirm the raise ({result.sentence()})"
            return self._roll_back(state, "unconfirmed", reason, figures)
        return self._go_on(self._maybe_best(state, new), new, result, figures)

    def _judge(
        self, state: ValidationState, new: Evaluation, reference: Evaluation
    ) -> tuple[Comparison, Comparison]:
        """The comparison that doubts a raise, and the stricter one that may say "worse"."""
        alpha = self._level_of_test(state)
        noise = jitter(state.means[:-1], least=self.least_jitter, most=self.most_jitter)
        result = compare(new, reference, alpha=alpha, noise=noise)
        if noise is not None:
            return result, result
        assumed = Noise(self.early_jitter * abs(reference.mean), math.inf)
        return result, compare(new, reference, alpha=alpha, noise=assumed)

    def _first(self, state: ValidationState, new: Evaluation) -> tuple[Decision, ValidationState]:
        if not new.finite:
            reason = "validation is not finite before any rate could do harm"
            return say(state, "stop", "divergence", reason)
        state = replace(self._maybe_best(state, new), means=(new.mean,))
        reason = f"the first validation, {new.mean:.4g}, is what later ones are compared with"
        return say(state, "hold", "start", reason, {"value": new.mean}, keep=True)

    def _last(
        self, state: ValidationState, new: Evaluation, figures: dict[str, float]
    ) -> tuple[Decision, ValidationState]:
        """Keep the last, annealed state, unless the luckiest of all earlier ones is truly better.

        Which of two models is better has nothing to do with the jitter between validations; that
        one of them was picked as the best of many has, and is paid for with the level.
        """
        best = state.best
        assert best is not None
        result = compare(new, best, alpha=self.error_rate / (len(state.plan) + 1))
        if result.verdict == "worse":
            reason = (
                f"the budget is spent; step {state.best_step} validated better"
                f" ({result.sentence()}), so its state is what is kept"
            )
            return say(state, "rollback", "keep-best", reason, figures)
        state = replace(state, best=new, best_step=state.step, best_level=state.level)
        than = f"no worse than the best before ({result.sentence()})"
        reason = f"the budget is spent and the last state, {new.mean:.4g}, is kept: {than}"
        return say(state, "hold", "end", reason, figures, keep=True)

    def _worse(
        self,
        state: ValidationState,
        new: Evaluation,
        result: Comparison,
        figures: dict[str, float],
    ) -> tuple[Decision, ValidationState]:
        suspect = self._too_high(state)
        by = f"validation got worse by {result.sentence()}"
        if suspect:
            reason = f"{by} and {suspect}: the rate is too high"
            return self._roll_back(state, "too-high", reason, figures)
        level = state.level * self.cut_factor
        reason = (
            f"{by} while the training loss did not rise: overfitting; the rate is cut to"
            f" {self.cut_factor:g} of what it was"
        )
        state = replace(
            state,
            level=level,
            since=state.step,
            overfitted=True,
            raised=False,
            bad=0,
            reference=new,
            before=state.recent,
            recent=(),
        )
        return say(state, "cut", "overfitting", reason, figures)

    def _too_high(self, state: ValidationState) -> str:
        """Why the rate, not overfitting, made validation worse; empty if nothing says so."""
        per_epoch = state.budget.steps_per_epoch
        if state.level > state.best_level:
            return "the rate was raised since"
        if per_epoch is not None and state.step <= per_epoch:
            return "no example was seen twice yet"
        training_rose = rose(state.recent, state.before, alpha=self.error_rate)
        if training_rose is None:
            return "too few training losses speak for overfitting"
        return "the training loss rose too" if training_rose else ""

    def _go_on(
        self,
        state: ValidationState,
        new: Evaluation,
        result: Comparison,
        figures: dict[str, float],
    ) -> tuple[Decision, ValidationState]:
        keep = state.best is new
        seen = "is the best so far" if keep else "is not worse"
        seen = f"validation {seen} ({result.sentence()})"
        level = state.level * self.raise_factor
        block = self._no_raise(state, level, result)
        if block:
            state = replace(
                state,
                raised=state.raised and not keep,
                resting=max(0, state.resting - 1),
            )
            return say(state, "hold", "stable", f"{seen}; {block}", figures, keep=keep)
        soon = state.step + max(1, round(self.check_frac * state.budget.steps))
        held = state.step - state.since >= self.proof_frac * state.budget.steps
        proven = state.level if held else state.proven
        state = replace(
            state, level=level, raised=True, check=soon, since=state.step, proven=proven
        )
        reason = f"{seen}: the rate is raised by {self.raise_factor:g}"
        return say(state, "raise", "stable", reason, figures, keep=keep)

    def _no_raise(self, state: ValidationState, level: float, result: Comparison) -> str:
        """Why the rate is not raised to `level`; empty when nothing forbids it."""
        if state.step > self.raise_until * state.budget.steps:
            return "what is left of the budget is for annealing"
        if result.verdict == "undecided":
            return "bare means cannot be judged before a few of them show their noise"
        if state.rollbacks >= self.max_rollbacks:
            return "no roll-back is left to undo a raise"
        if state.overfitted:
            return "after overfitting the rate is not raised again"
        if state.resting:
            return "the rate rests after a roll-back"
        if result.p_worse < self.calm:
            return "that is not calm enough for a raise"
        if level > self.max_level:
            return f"a raise would pass {self.max_level:g} times the recommended peak"
        if state.ceiling is not None and level >= state.ceiling:
            return f"a raise would reach {state.ceiling:g} times the start, which failed"
        return ""

    # -- shared pieces ----------------------------------------------------------------------

    def _level_of_test(self, state: ValidationState) -> float:
        """The level of one test: `error_rate` shared over every pair that could be compared."""
        most = len(state.plan) + self.max_spikes + 1
        return self.error_rate / (most * (most - 1) / 2)

    def _maybe_best(self, state: ValidationState, new: Evaluation) -> ValidationState:
        if state.best is not None and not _better(new, state.best):
            return state
        return replace(
            state,
            best=new,
            best_step=state.step,
            best_level=state.level,
            reference=new,
            before=state.recent,
            recent=(),
        )

    def _roll_back(
        self, state: ValidationState, rule: str, reason: str, figures: dict[str, float]
    ) -> tuple[Decision, ValidationState]:
        if state.best is None or state.rollbacks >= self.max_rollbacks:
            left = "nothing to roll back to" if state.best is None else "no roll-back is left"
            action: Action = "stop" if rule == "divergence" else "hold"
            return say(state, action, rule, f"{reason}; {left}", figures)
        failed = rule != "unconfirmed"  # doubt proves nothing against the rate
        level = min(state.level * self.rollback_factor, state.best_level)
        if not failed and state.proven is not None:
            level = max(level, min(state.proven, state.level / self.raise_factor))
        reason = (
            f"{reason}; back to step {state.best_step}, on at {level / state.level:.3g} of the"
            " rate that failed"
        )
        damage = rule != "divergence" and state.bad > 0  # the latest mean was more than jitter
        state = replace(
            state,
            level=level,
            ceiling=min(state.level, state.ceiling or math.inf) if failed else state.ceiling,
            reference=state.best,
            recent=(),
            means=state.means[:-1] if damage else state.means,
            since=state.step,
            proven=None if failed else state.proven,
            raised=False,
            check=None,
            resting=self.rest,
            bad=0,
            rollbacks=state.rollbacks + failed,
        )
        return say(state, "rollback", rule, reason, figures)

    def dump(self, state: ValidationState) -> dict[str, Any]:
        """The state as JSON types."""
        return state.dump()

    def load(self, data: dict[str, Any]) -> ValidationState:
        """The inverse of `dump`."""
        return ValidationState.load(data)


def _better(new: Evaluation, old: Evaluation) -> bool:
    return new.mean < old.mean if new.mode == "min" else new.mean > old.mean
