"""Hand-computed traces of the validation-driven controller: breaking a rule breaks a test."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrpilot.control import Budget, Decision, Observation, ValidationController, ValidationState
from lrpilot.errors import InputError
from lrpilot.facts import Recommendation
from lrpilot.metric import Evaluation

N = 100
# Per-example spread that is the same at every validation: pairing takes it out completely.
SPREAD = np.linspace(-0.3, 0.3, N)
# Small differences of alternating sign: a paired standard error of 0.001 * sqrt(100/99) / 10.
WIGGLE = np.where(np.arange(N) % 2, 0.001, -0.001)
FROM = Recommendation(peak_lr=1e-5, low=1e-5, high=1e-4)
PILOT = ValidationController()


def evaluation(mean: float, sign: int = 1) -> Evaluation:
    """A validation with that mean; `sign` flips the wiggle, so that pairs never agree exactly."""
    return Evaluation.of(mean + SPREAD + sign * WIGGLE)


class Run:
    """Drives a controller as the session does, and keeps its decisions on validations."""

    def __init__(
        self,
        budget: Budget,
        *,
        controller: ValidationController = PILOT,
        recommendation: Recommendation = FROM,
    ) -> None:
        self.controller = controller
        self.state: ValidationState = controller.init(recommendation, budget)
        self.step = 0
        self.last: Decision | None = None

    def train(self, loss: float | Sequence[float] = 1.0, *, steps: int | None = None) -> Decision:
        """Train until a validation is asked for (or `steps`); return the last decision."""
        decision = None
        values = [loss] if isinstance(loss, (int, float)) else list(loss)
        for i in range(steps or 10**9):
            self.step += 1
            value = values[i % len(values)]
            observation = Observation(step=self.step, train_loss=float(value))
            decision, self.state = self.controller.update(self.state, observation)
            if decision.evaluate or decision.action != "hold":
                break
            if self.step >= self.state.budget.steps:
                break
        assert decision is not None
        return decision

    def validate(self, mean: float, sign: int = 1) -> Decision:
        observation = Observation(step=self.step, validation=evaluation(mean, sign))
        decision, self.state = self.controller.update(self.state, observation)
        return decision


def started(steps: int = 400, **budget: object) -> Run:
    run = Run(Budget(steps=steps, **budget))  # type: ignore[arg-type]
    assert run.validate(1.0).rule == "start"
    return run


# -- stable -------------------------------------------------------------------------------------


def test_the_climb_validates_at_each_fortieth_and_doubles_while_validation_improves() -> None:
    run = started()  # 8 validations in the first fifth of 400 steps: 10, 20, ..., 80
    for i in range(1, 9):
        assert run.train().evaluate
        assert run.step == 10 * i
        decision = run.validate(1.0 - 0.05 * i, (-1) ** i)
        assert (decision.action, decision.keep) == ("raise", True)
        # level 2^i, annealed to 1 - 10 i / 400 of it
        assert decision.lr_scale == pytest.approx(2.0**i * (1 - 10 * i / 400))


def test_a_raise_after_the_climb_is_checked_soon() -> None:
    run = started()
    for i in range(1, 9):
        run.train()
        run.validate(1.0 - 0.05 * i, (-1) ** i)
    run.train()
    assert run.step == 90  # the climb's last raise, at 80, is checked 2.5% of 400 steps later


def test_the_rate_starts_at_the_low_end_of_the_band() -> None:
    run = Run(Budget(steps=100), recommendation=Recommendation(peak_lr=4e-5, low=1e-5, high=1e-4))
    decision, _ = PILOT.update(run.state, Observation(step=0))
    assert decision.lr_scale == pytest.approx(0.25)


def test_no_raise_in_the_second_half() -> None:
    run = started()
    while run.step < 240:
        run.train()
        run.validate(1.0)
    level = run.state.level
    run.train()
    decision = run.validate(0.5)
    assert (decision.action, run.state.level) == ("hold", level)
    assert "annealing" in decision.reason


def test_no_raise_beyond_a_thousand_times_the_recommended_peak() -> None:
    run = started(4000, evaluations=64)
    for i in range(1, 33):
        run.train()
        run.validate(0.97**i, (-1) ** i)
    assert run.state.level == 512.0  # 1,024 would be more than 1,000


# -- noise and plateau --------------------------------------------------------------------------


def test_a_plateau_is_calm_and_a_flat_validation_raises() -> None:
    run = started()
    run.train()
    assert run.validate(1.0).action == "raise"  # identical: p = 0.5


def test_a_slightly_worse_validation_only_holds() -> None:
    run = started()
    run.train()
    # pairs differ by 0.0001 -+ 0.002: t = 0.5, p about 0.31, below the 0.4 that a raise needs
    decision = run.validate(1.0001, -1)
    assert (decision.action, run.state.level) == ("hold", 1.0)


def test_jitter_is_no_deterioration() -> None:
    """Up and down by 0.1, with a paired error of 0.0002: significant by pairs alone."""
    run = started()
    actions = []
    while run.step < 400:
        run.train()
        i = len(actions)
        actions.append(run.validate(1.0 + 0.1 * (i % 2), (-1) ** i).rule)
    assert "too-high" not in actions
    assert "overfitting" not in actions


# -- unconfirmed --------------------------------------------------------------------------------


def test_a_raise_that_the_next_validation_doubts_is_undone() -> None:
    run = started()
    run.train()
    run.validate(0.9, -1)  # raised to 2
    run.train()
    decision = run.validate(0.91)
    assert (decision.action, decision.rule) == ("rollback", "unconfirmed")
    assert run.state.level == 0.25  # an eighth of 2
    assert run.state.ceiling is None  # doubt proves nothing against 2
    assert "back to step 10" in decision.reason


def test_a_raise_stays_a_proposal_until_a_validation_is_the_best() -> None:
    run = started()
    run.train()
    run.validate(0.9)  # raised to 2
    run.train()
    assert run.validate(0.90008, -1).action == "hold"  # p about 0.35: neither calm nor in doubt
    run.train()
    assert run.validate(0.91, -1).rule == "unconfirmed"


def test_after_a_roll_back_the_rate_rests_for_two_validations() -> None:
    run = started()
    run.train()
    run.validate(0.9, -1)
    run.train()
    run.validate(0.91)
    actions = []
    for mean in (0.8, 0.7, 0.6):
        run.train()
        actions.append(run.validate(mean, (-1) ** len(actions)).action)
    assert actions == ["hold", "hold", "raise"]


def test_a_proven_level_far_below_does_not_hold_the_rate_down() -> None:
    run = started()
    for _ in range(4):  # level 1 is held for 50 steps, an eighth of the budget ...
        run.train()
        run.validate(1.0001, -1)
    for i in range(1, 6):  # ... and then five raises lead to 32
        run.train()
        run.validate(1.0 - 0.1 * i, (-1) ** i)
    assert run.state.level == 32.0
    run.train()
    assert run.validate(0.57).rule == "unconfirmed"
    assert run.state.level == 4.0  # an eighth of 32, not 1


def test_an_unconfirmed_raise_returns_to_the_level_that_was_proven() -> None:
    run = started()
    for _ in range(8):  # held at level 1 through the climb: not calm enough for a raise
        run.train()
        run.validate(1.0001, -1)
    run.train()
    run.validate(0.9)  # level 1 was held for 120 of 400 steps; raised to 2
    assert run.state.level == 2.0
    run.train()
    assert run.validate(0.99, -1).rule == "unconfirmed"
    assert run.state.level == 1.0


# -- too high and divergence --------------------------------------------------------------------


def test_a_clearly_worse_validation_after_a_raise_rolls_back_and_sets_a_ceiling() -> None:
    run = started()
    run.train()
    run.validate(0.9)  # raised to 2
    run.train()
    decision = run.validate(3.0, -1)
    assert (decision.action, decision.rule) == ("rollback", "too-high")
    assert (run.state.level, run.state.ceiling) == (0.25, 2.0)
    assert decision.lr_scale == pytest.approx(0.25 * (1 - 20 / 400))
    assert decision.figures["difference"] == pytest.approx(2.1)


def test_damage_is_no_jitter() -> None:
    run = started()
    run.train()
    run.validate(0.9)
    run.train()
    run.validate(3.0, -1)
    assert run.state.means == pytest.approx((1.0, 0.9))

    run = started()
    run.train()
    run.validate(0.9)
    run.train()
    assert run.validate(0.91, -1).rule == "unconfirmed"  # mild: jitter may have done it
    assert run.state.means == pytest.approx((1.0, 0.9, 0.91))


def test_a_ceiling_is_not_reached_again() -> None:
    run = started()
    run.train()
    run.validate(0.9)
    run.train()
    run.validate(3.0, -1)
    mean = 0.9
    while run.step < 200:
        run.train()
        mean -= 0.02
        run.validate(mean, 1 if run.state.step % 20 else -1)
        assert run.state.level < 2.0
    assert run.state.level == 1.0  # 0.25, 0.5, 1


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_rolls_back_at_once(loss: float) -> None:
    run = started()
    run.train(steps=3)
    decision = run.train(loss, steps=1)
    assert (decision.action, decision.rule) == ("rollback", "divergence")
    assert run.state.level == 0.125
    assert not decision.evaluate


def test_a_validation_that_is_not_finite_rolls_back() -> None:
    run = started()
    run.train()
    assert run.validate(math.nan).rule == "divergence"


def test_nan_before_any_training_stops() -> None:
    run = Run(Budget(steps=10))
    assert run.validate(math.nan).action == "stop"


def test_roll_backs_are_bounded_and_then_a_loss_that_is_not_finite_stops() -> None:
    run = started()
    actions = [run.train(math.nan, steps=1).action for _ in range(PILOT.max_rollbacks + 1)]
    assert actions == ["rollback"] * PILOT.max_rollbacks + ["stop"]


def test_when_no_roll_back_is_left_a_worse_validation_holds() -> None:
    run = started()
    for _ in range(PILOT.max_rollbacks):
        run.train(math.nan, steps=1)
    run.train()
    decision = run.validate(5.0)
    assert (decision.action, decision.rule) == ("hold", "too-high")


def test_a_spike_of_the_training_loss_asks_for_a_validation_and_decides_nothing() -> None:
    run = Run(Budget(steps=4000))
    run.validate(1.0)
    run.train([1.0, 1.1, 0.9], steps=20)
    asked = run.train(9.0, steps=3)
    assert (asked.rule, asked.action, asked.evaluate) == ("spike", "hold", True)
    assert run.step == 23  # three in a row


def test_spikes_are_bounded() -> None:
    run = Run(Budget(steps=40_000, evaluations=1))
    run.validate(1.0)
    asked = 0
    for _ in range(20):
        run.train([1.0, 1.1, 0.9], steps=20)
        asked += run.train(9.0, steps=3).rule == "spike"
    assert asked == PILOT.max_spikes


# -- overfitting --------------------------------------------------------------------------------


def go_bad(run: Run, training: Sequence[float]) -> Decision:
    """The best validation at step 240, where nothing is raised any more; then it gets worse."""
    while run.step < 200:
        run.train([0.9, 1.1])
        run.validate(1.0001, -1)
    run.train([0.9, 1.1])
    assert run.validate(0.9).action == "hold"
    decision = None
    for i in range(1, 4):
        run.train(training)
        decision = run.validate(0.9 + 0.2 * i, (-1) ** i)
        if decision.action != "hold":
            break
    assert decision is not None
    return decision


def test_worse_on_data_seen_before_with_a_falling_training_loss_is_overfitting() -> None:
    run = started(steps_per_epoch=50)
    decision = go_bad(run, [0.4, 0.5])
    assert (decision.action, decision.rule) == ("cut", "overfitting")
    assert run.state.level == 0.5
    run.train()
    assert run.validate(0.1).action == "hold"  # raises are over


def test_worse_before_any_example_was_seen_twice_is_no_overfitting() -> None:
    run = started(steps_per_epoch=400)
    decision = go_bad(run, [0.4, 0.5])
    assert (decision.action, decision.rule) == ("rollback", "too-high")
    assert "seen twice" in decision.reason


def test_worse_with_a_training_loss_that_rose_too_is_no_overfitting() -> None:
    run = started(steps_per_epoch=50)
    decision = go_bad(run, [1.9, 2.1])
    assert decision.rule == "too-high"
    assert "rose too" in decision.reason


def calm_after_divergence() -> Run:
    """Early in the run, at the level of the best validation, and with nothing resting."""
    run = started(steps_per_epoch=5)
    run.train(steps=3)
    run.train(math.nan, steps=1)
    for mean in (0.9, 0.8):
        run.train([0.9, 1.1])
        run.validate(mean)
    assert (run.step, run.state.resting, run.state.level) == (20, 0, 0.125)
    run.train([0.4, 0.5])
    return run


def test_after_overfitting_nothing_is_raised_however_early() -> None:
    run = calm_after_divergence()
    assert run.validate(3.0, -1).rule == "overfitting"
    assert run.state.level == 0.0625
    run.train()
    decision = run.validate(0.5, -1)
    assert (decision.action, run.state.level) == ("hold", 0.0625)
    assert "after overfitting" in decision.reason


def test_mildly_worse_twice_in_a_row_is_worse_but_not_once() -> None:
    # Three standard deviations of the jitter that is assumed early, 12% of each of two losses:
    # p = .0013, between the level of one test (.05 / 231 pairs) and that of two in a row, .008.
    mild = 0.8 + 3 * 0.12 * 0.8 * math.sqrt(2)
    run = calm_after_divergence()
    assert run.validate(mild, -1).action == "hold"
    run.train([0.4, 0.5])
    assert run.validate(mild).rule == "overfitting"

    run = calm_after_divergence()
    run.validate(mild, -1)
    for mean in (0.81, mild):  # the row is broken
        run.train([0.4, 0.5])
        assert run.validate(mean).action == "hold"


# -- budget, anneal, end ------------------------------------------------------------------------


def test_the_rate_anneals_to_zero_by_the_end() -> None:
    run = Run(Budget(steps=8, evaluations=0))
    scales = [run.train(1.0, steps=1).lr_scale for _ in range(8)]
    assert scales == [7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8, 0.0]


def test_a_schedule_of_the_users_own_is_not_annealed_twice() -> None:
    run = Run(Budget(steps=8, evaluations=0, anneal=False))
    assert [run.train(1.0, steps=1).lr_scale for _ in range(8)] == [1.0] * 8


def test_the_last_state_is_kept_when_it_is_not_clearly_worse() -> None:
    run = started(40, evaluations=4)
    while run.step < 40:
        run.train()
        decision = run.validate(1.00005, -1)
    assert (decision.action, decision.rule, decision.keep) == ("hold", "end", True)


def test_an_earlier_state_is_kept_when_the_last_is_clearly_worse() -> None:
    run = started(40, evaluations=4)
    while run.step < 40:
        run.train()
        decision = run.validate(0.5 if run.step < 40 else 0.9, -1 if run.step < 40 else 1)
    assert (decision.action, decision.rule) == ("rollback", "keep-best")


def test_one_step_and_no_validation() -> None:
    run = Run(Budget(steps=1, evaluations=0))
    assert run.train().lr_scale == 0.0


def test_bare_means_are_not_judged_before_their_noise_is_known() -> None:
    run = Run(Budget(steps=400))
    rules = []
    for mean in (1.0, 0.9, 0.8):
        if run.step or rules:
            run.train()
        observation = Observation(step=run.step, validation=Evaluation.of(mean))
        decision, run.state = PILOT.update(run.state, observation)
        rules.append((decision.action, decision.reason))
    assert [action for action, _ in rules] == ["hold"] * 3
    assert "bare means" in rules[1][1]


def test_time_does_not_run_backwards() -> None:
    run = started()
    run.train(steps=3)
    with pytest.raises(InputError, match="after step 3"):
        PILOT.update(run.state, Observation(step=1, train_loss=1.0))


# -- storage and invariances --------------------------------------------------------------------

HISTORIES = st.lists(st.tuples(st.floats(0.1, 3.0), st.floats(0.1, 3.0)), min_size=4, max_size=24)


def play(
    history: Sequence[tuple[float, float]],
    *,
    scale: float = 1.0,
    order: np.ndarray | None = None,
    negated: bool = False,
    split: int | None = None,
) -> list[tuple[str, str, float]]:
    """Decisions on a history of (training loss, validation mean), two steps a validation."""
    state = PILOT.init(FROM, Budget(steps=2 * len(history), steps_per_epoch=5))
    found = []
    order = np.arange(N) if order is None else order
    for i, (loss, mean) in enumerate(history):
        if i == split:
            state = PILOT.load(json.loads(json.dumps(PILOT.dump(state))))
        mean += 1e-3 * i  # no two are equal up to rounding
        values = scale * (mean + SPREAD * (1 + 0.1 * (i % 3)) + WIGGLE * (-1) ** i)[order]
        seen = Evaluation.of(-values, mode="max") if negated else Evaluation.of(values)
        decision, state = PILOT.update(state, Observation(step=2 * i, validation=seen))
        found.append((decision.action, decision.rule, decision.lr_scale))
        for step in (2 * i + 1, 2 * i + 2):
            observation = Observation(step=step, train_loss=scale * loss)
            decision, state = PILOT.update(state, observation)
            found.append((decision.action, decision.rule, decision.lr_scale))
    return found


@settings(deadline=None, max_examples=40)
@given(HISTORIES, st.integers(0, 20))
def test_a_run_split_in_two_decides_the_same(
    history: list[tuple[float, float]], split: int
) -> None:
    assert play(history, split=split) == play(history)


@settings(deadline=None, max_examples=40)
@given(HISTORIES, st.sampled_from([0.25, 2.0, 1024.0]))
def test_scaling_every_loss_changes_no_decision(
    history: list[tuple[float, float]], scale: float
) -> None:
    assert play(history, scale=scale) == play(history)


@settings(deadline=None, max_examples=40)
@given(HISTORIES)
def test_a_score_to_be_raised_is_a_loss_to_be_lowered(
    history: list[tuple[float, float]],
) -> None:
    assert play(history, negated=True) == play(history)


@settings(deadline=None, max_examples=40)
@given(HISTORIES, st.randoms(use_true_random=False))
def test_the_order_of_the_examples_does_not_matter(
    history: list[tuple[float, float]], rng: object
) -> None:
    order = np.arange(N)
    rng.shuffle(order)  # type: ignore[attr-defined]
    actions = [d[:2] for d in play(history, order=order)]
    assert actions == [d[:2] for d in play(history)]
