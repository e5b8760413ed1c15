"""Paired trials on simulated training whose truth is known."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import pytest

from lrpilot.control import (
    Budget,
    Decision,
    Observation,
    TrialController,
    TrialState,
    controller,
)
from lrpilot.control.learning import outburst
from lrpilot.facts import Recommendation
from lrpilot.metric import Evaluation
from lrpilot.tune.settings import Settings

STEPS = 200
OFFSETS = np.random.default_rng(0).normal(0.0, 0.5, 48)  # easy and hard examples
BAND = Recommendation(peak_lr=1e-3, low=1.25e-4, high=8e-3)
LATE = TrialController(early_times=math.inf)  # training losses ask for nothing


def given(lr: float, reference_lr: float | None = None) -> Recommendation:
    return Recommendation(peak_lr=lr, low=lr, high=lr, reference_lr=reference_lr)


@dataclass
class World:
    """A loss that falls by the rate and, above `limit`, rises: absolute rates.

    Attributes:
        limit: Rate above which a step does harm.
        recommendation: What the run starts from.
        extra: Added to a validation, by step (overfitting, or batch norm's lag, say).
        unequal: Standard deviation over examples of how far a step helps, in units of its help.
        broken: Steps whose training loss is not a number.
        outbursts: Added to the loss by a step.
        hard: Steps whose batch has 2 more.
        unit: Times that the training loss is larger than the loss that is validated.
        line: Added to the loss where the change of the weights since the start is so many times
            what training left.
    """

    limit: float
    recommendation: Recommendation = BAND
    budget: Budget = field(default_factory=lambda: Budget(steps=STEPS, steps_per_epoch=1))
    extra: Callable[[int], float] = lambda step: 0.0
    unequal: float = 0.1
    broken: tuple[int, ...] = ()
    unit: float = 1.0
    line: Callable[[float], float] = lambda times: abs(times - 1.0)
    pilot: TrialController = field(default_factory=TrialController)
    loss: float = 2.0
    kept: float = 2.0
    times: float = 1.0
    kept_times: float = 1.0
    origin: int | None = None
    lrs: list[float] = field(default_factory=list)
    said: list[tuple[int, Decision]] = field(default_factory=list)
    validated: list[int] = field(default_factory=list)
    batches: list[float] = field(default_factory=list)
    outbursts: dict[int, float] = field(default_factory=dict)
    hard: set[int] = field(default_factory=set)

    def run(self, *, resume_at: int | None = None) -> TrialState:
        self.shares = 1 + np.random.default_rng(1).normal(0.0, self.unequal, OFFSETS.size)
        self.state = self.pilot.init(self.recommendation, self.budget)
        self._see(Observation(step=0))
        if self.budget.evaluations:
            self._validate(0)
        for step in range(1, self.budget.steps + 1):
            lr = self.recommendation.peak_lr * self.scale
            self.lrs.append(lr)
            batch = math.nan if step in self.broken else self.loss * self.unit
            batch += 2.0 if step in self.hard else 0.0
            self.batches.append(batch)
            self.loss += self.outbursts.get(step, 0.0)
            self.loss *= math.exp(0.5 * (lr / self.limit)) if lr > self.limit else 1 - 20 * lr
            self.loss = min(self.loss, 1e30)  # as a 32-bit number
            if self._see(Observation(step=step, train_loss=batch)).evaluate:
                self._validate(step)
            if step == resume_at:
                saved = json.dumps(self.pilot.dump(self.state))
                self.state = self.pilot.load(json.loads(saved))
        return self.state

    def after(self) -> float:
        """The loss that a run ends at."""
        self.run()
        return self.loss

    def _validate(self, step: int) -> None:
        self.validated.append(step)
        loss = self.loss + self.line(self.times) - self.line(1.0)
        values = 2.0 + (loss - 2.0) * self.shares + self.extra(step) + OFFSETS
        if self._see(Observation(step=step, validation=Evaluation.of(values))).evaluate:
            self._validate(step)

    def _see(self, observation: Observation) -> Decision:
        decision, self.state = self.pilot.update(self.state, observation)
        self.scale = decision.lr_scale
        if decision.action == "rollback":
            self.loss, self.times = self.kept, self.kept_times
        if decision.keep:
            self.kept, self.kept_times = self.loss, self.times
        if decision.origin:
            self.origin = observation.step
        if decision.stretch is not None:
            self.times = self.kept_times * decision.stretch
        if decision.reason:
            self.said.append((observation.step, decision))
        return decision

    def at(self, step: int) -> float:
        """The loss after so many steps, without harm or return."""
        return 2.0 * math.prod(1 - 20 * lr for lr in self.lrs[:step])

    def steps(self, action: str, rule: str) -> list[int]:
        return [step for step, d in self.said if (d.action, d.rule) == (action, rule)]


def shape(step: int, steps: int = STEPS) -> float:
    return 1 - step / steps


# -- the warm-up --------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [20, 200, 1000])
def test_the_rate_rises_to_the_recommendation_in_a_tenth_of_the_run(steps: int) -> None:
    world = World(limit=2e-3, budget=Budget(steps=steps))
    world.run()
    tenth = steps // 10
    assert world.lrs[0] == pytest.approx(1e-3 / tenth)
    assert world.lrs[tenth - 1] == pytest.approx(1e-3 * shape(tenth - 1, steps))
    assert world.lrs[tenth] == pytest.approx(1e-3 * shape(tenth, steps))


def test_a_start_that_does_harm_begins_anew_at_an_eighth() -> None:
    world = World(limit=2e-4, pilot=LATE)
    state = world.run()
    assert world.steps("rollback", "too-high") == [20]
    assert state.level == pytest.approx(1 / 8)
    assert world.lrs[20] < world.lrs[19] / 20
    assert world.loss < 1.75


def test_harm_that_an_eighth_of_the_rate_does_as_well_is_not_the_rates() -> None:
    world = World(limit=1e-2, recommendation=given(1e-5),
                  extra=lambda step: 0.3 if step else 0.0)  # fmt: skip
    state = world.run()
    assert world.steps("rollback", "too-high") == [20]
    assert state.level > 1.0  # and trials find the way up


def test_a_start_a_hundred_times_too_high_begins_anew_more_than_once() -> None:
    world = World(limit=2e-5, pilot=LATE)
    state = world.run()
    assert world.steps("rollback", "too-high")[:2] == [20, 40]
    assert state.level <= 1 / 64


@pytest.mark.parametrize(("limit", "back", "level"), [(2e-4, [8], 1 / 8), (2e-5, [4, 11], 1 / 64)])
def test_losses_far_above_the_first_do_not_wait_for_the_end_of_the_warm_up(
    limit: float, back: list[int], level: float
) -> None:
    world = World(limit=limit)
    state = world.run()
    assert world.steps("rollback", "too-high")[: len(back)] == back
    assert state.level <= level
    assert world.loss < World(limit=limit, pilot=LATE).after()
    for step in back:
        assert min(world.batches[step - 3 : step]) > 1.5 * 2.0
        assert not min(world.batches[step - 4 : step - 1]) > 1.5 * 2.0


def test_losses_far_above_the_first_in_the_rest_lead_back_to_the_best_state() -> None:
    world = World(limit=2e-3)
    world.outbursts = {60: 4.0}  # something breaks the weights
    state = world.run()
    assert world.steps("rollback", "too-high") == [63]
    assert state.level == 0.5
    late = World(limit=2e-3, pilot=LATE)
    late.outbursts = {60: 4.0}
    late.run()
    assert [step for step, said in late.said if said.action == "rollback"] == [98]
    assert world.loss < late.loss


def test_losses_that_are_high_for_no_harm_are_asked_about_once() -> None:
    world = World(limit=2e-3)
    world.hard = {*range(30, 35), *range(60, 65), *range(90, 95)}  # batches, not the weights
    state = world.run()
    assert world.steps("hold", "spike") == [32]
    assert state.rollbacks == 0
    assert world.loss == pytest.approx(World(limit=2e-3).after())


def test_no_validation_is_spent_on_high_losses_that_is_kept_for_the_end() -> None:
    world = World(limit=2e-3, budget=Budget(steps=STEPS, steps_per_epoch=1, evaluations=5))
    world.hard = {*range(30, 35)}
    world.run()
    assert world.steps("hold", "spike") == []
    assert len(world.validated) <= 6


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_losses_around_zero_are_far_above_by_their_size(sign: float) -> None:
    state = TrialController().init(BAND, Budget(steps=STEPS))
    for loss, high in ((sign, 0), (sign + 0.49, 0), (sign + 0.51, 1), (sign + 9, 2), (sign, 0)):
        state = replace(state, **outburst(state, loss, 1.5))
        assert state.high == high


def test_the_first_loss_or_validation_is_what_losses_are_compared_with() -> None:
    start = TrialController().init(BAND, Budget(steps=STEPS))
    first = Evaluation.of([1.0, 3.0])
    assert outburst(start, 0.5, 1.5) == {"usual": 0.5}
    assert outburst(replace(start, first=first), 0.5, 1.5) == {"usual": 2.0}
    assert outburst(replace(start, first=first), 2.5, 1.5) == {"usual": 2.5}
    accuracy = Evaluation.of([1.0, 3.0], mode="max")
    assert outburst(replace(start, first=accuracy), 0.5, 1.5) == {"usual": 0.5}
    for nothing in (None, math.nan, math.inf):
        assert outburst(start, nothing, 1.5) == {}


@pytest.mark.parametrize(
    ("recommendation", "epoch", "error", "fails"),
    [(BAND, 20, 2.0, False), (BAND, 20, 3.0, True), (given(1e-3), 20, 2.0, True),
     (BAND, 5, 2.0, False)],
)  # fmt: skip
def test_a_recommendation_is_left_for_sure_harm_alone(
    recommendation: Recommendation, epoch: int, error: float, fails: bool
) -> None:
    """Validation is worse by so many standard errors after the warm-up."""
    rough = np.random.default_rng(2).normal(0.0, 1.0, OFFSETS.size)
    rough = (rough - rough.mean()) / rough.std(ddof=1) * math.sqrt(OFFSETS.size)  # an error of one
    pilot = TrialController()
    state = pilot.init(recommendation, Budget(steps=STEPS, steps_per_epoch=epoch))
    _, state = pilot.update(state, Observation(step=0, validation=Evaluation.of(OFFSETS + 2)))
    for step in range(1, 21):
        _, state = pilot.update(state, Observation(step=step))
    worse = Evaluation.of(OFFSETS + 2 + rough + error)
    decision, _ = pilot.update(state, Observation(step=20, validation=worse))
    assert (decision.action == "rollback") is fails


@pytest.mark.parametrize(("epoch", "fails"), [(None, False), (100, False), (10, True)])
def test_unseen_training_batches_speak_where_validation_lags_behind(
    epoch: int | None, fails: bool
) -> None:
    """Batch norm's statistics spoil the validation, while the training loss falls."""
    rough = np.random.default_rng(2).normal(0.0, 6.0, OFFSETS.size)
    pilot = TrialController()
    state = pilot.init(BAND, Budget(steps=STEPS, steps_per_epoch=epoch))
    _, state = pilot.update(state, Observation(step=0, validation=Evaluation.of(OFFSETS + 2)))
    for step in range(1, 21):
        loss = 2.0 - 0.05 * step
        _, state = pilot.update(state, Observation(step=step, train_loss=loss))
    spoiled = Evaluation.of(OFFSETS + 2 + rough - rough.mean() + 3.0)
    decision, _ = pilot.update(state, Observation(step=20, validation=spoiled))
    assert (decision.action == "rollback") is fails


@pytest.mark.parametrize(
    ("epoch", "trained", "unit", "goes_back"),
    [
        (50, 1.0, 1.0, False),
        (50, 3.0, 1.0, True),
        (30, 1.0, 1.0, True),
        (None, 1.0, 1.0, True),
        (50, 0.01, 10.0, True),  # training's is another loss
    ],
)
def test_training_batches_veto_a_roll_back_for_two_epochs(
    epoch: int | None, trained: float, unit: float, goes_back: bool
) -> None:
    """As far as the look after the warm-up all is well; then validation is spoilt."""
    noise = np.random.default_rng(2).normal(0.0, 0.5, OFFSETS.size)
    pilot = TrialController(second_look=False)
    state = pilot.init(BAND, Budget(steps=STEPS, steps_per_epoch=epoch))
    means, said = {0: 2.0, 20: 1.9}, []
    for step in range(STEPS // 2):
        if step:
            loss = unit * (2.0 if step <= 20 else trained + 0.02 * math.sin(step))
            decision, state = pilot.update(state, Observation(step=step, train_loss=loss))
            state = pilot.load(json.loads(json.dumps(pilot.dump(state))))
        if not step or decision.evaluate:
            values = OFFSETS + means.get(step, 4.0 + noise)
            seen = Observation(step=step, validation=Evaluation.of(values))
            decision, state = pilot.update(state, seen)
            said.append(decision.action)
    assert said[:2] == ["hold", "hold"]
    assert ("rollback" in said[2:]) is goes_back


# -- the trials ---------------------------------------------------------------------------------


def test_a_recommendation_is_not_tried_and_every_step_counts() -> None:
    world = World(limit=2e-2)
    state = world.run()
    assert not [d for _, d in world.said if d.rule == "trial"]
    assert state.level == 1.0
    assert world.loss == pytest.approx(2.0 * math.prod(1 - 20 * lr for lr in world.lrs))


def test_a_number_that_is_right_is_tried_and_stays() -> None:
    world = World(limit=1.5e-3, recommendation=given(1e-3))
    state = world.run()
    assert world.steps("rollback", "trial") == [28, 44]  # ten times, three times
    assert not world.steps("raise", "trial")
    assert state.level == 1.0


def test_a_branch_is_annealed_and_the_same_steps_follow_at_the_rate() -> None:
    world = World(limit=1.5e-3, recommendation=given(1e-3))
    world.run()
    higher, same, next_one = world.lrs[20:28], world.lrs[28:36], world.lrs[36]
    assert higher[0] == pytest.approx(1e-2 * shape(20))
    assert higher[-1] == pytest.approx(1e-2 * shape(27) / 8)
    assert same[0] == pytest.approx(1e-3 * shape(28))
    assert same[-1] == pytest.approx(1e-3 * shape(35) / 8)
    assert next_one == pytest.approx(3e-3 * shape(36))


def test_training_goes_on_from_the_end_of_the_lower_branch() -> None:
    world = World(limit=1.5e-3, recommendation=given(1e-3))
    world.run()
    useful = world.lrs[:20] + world.lrs[28:36] + world.lrs[44:]
    assert world.loss == pytest.approx(2.0 * math.prod(1 - 20 * lr for lr in useful))


def test_a_number_of_the_users_is_tried_at_once_and_by_powers_of_ten_first() -> None:
    world = World(limit=2e-3, recommendation=given(3e-5))
    state = world.run()
    assert world.steps("raise", "trial") == [36, 68, 84]
    factors = [d.reason.split(" times the rate")[0] for _, d in world.said if d.action == "raise"]
    assert factors == ["10", "3", "3"]
    assert state.level == pytest.approx(90.0)


def test_a_branch_that_diverges_is_left_and_the_rate_stays() -> None:
    world = World(limit=1.5e-3, recommendation=given(1e-3), broken=(23,))
    state = world.run()
    assert world.steps("rollback", "trial") == [23, 39]
    assert (state.level, state.rollbacks) == (1.0, 0)
    assert 28 not in world.validated


@pytest.mark.parametrize(("unequal", "raised"), [(1.9, True), (4.0, False)])
def test_a_number_is_left_only_where_many_examples_gain(unequal: float, raised: bool) -> None:
    """A difference of about half, and a quarter, of its standard deviation over examples."""
    world = World(limit=1e-1, unequal=unequal, recommendation=given(1e-3))
    state = world.run()
    assert bool(world.steps("raise", "trial")) is raised
    assert (state.level > 1.0) is raised


def test_a_branch_that_got_worse_is_no_reason_to_cut_where_a_higher_rate_does_better() -> None:
    """Batch norm's statistics spoil validation once training moves; a higher rate still helps."""
    world = World(limit=1e-3, recommendation=given(1e-5),
                  extra=lambda step: 0.05 if step > 20 else 0.0)  # fmt: skip
    world.run()
    assert not world.steps("cut", "stale")
    assert world.steps("raise", "trial")


def test_no_trial_ends_after_three_fifths_of_the_run() -> None:
    budget = Budget(steps=STEPS, evaluations=60, steps_per_epoch=1)
    world = World(limit=1e9, recommendation=given(1e-6), budget=budget)
    world.run()
    assert world.steps("raise", "trial")[-1] == 100
    assert max(world.steps("rollback", "trial")) + 8 <= 120


def test_a_warm_up_that_did_not_help_is_not_gone_back_to() -> None:
    world = World(limit=2e-3, extra=lambda step: 0.37 if step == 20 else 0.0, broken=(30,))
    world.run()
    assert not world.steps("rollback", "too-high")
    (back,) = [d for _, d in world.said if d.rule == "divergence"]
    assert "back to step 0" in back.reason


def test_a_bare_mean_cannot_decide_a_trial() -> None:
    pilot = TrialController()
    state = pilot.init(given(1e-3), Budget(steps=STEPS))
    _, state = pilot.update(state, Observation(step=0, validation=Evaluation.of(2.0)))
    decision, state = pilot.update(state, Observation(step=20, validation=Evaluation.of(1.0)))
    assert (decision.rule, state.phase) == ("stable", "rest")


@pytest.mark.parametrize(("steps", "tried"), [(35, False), (40, True)])
def test_short_branches_are_not_tried(steps: int, tried: bool) -> None:
    world = World(limit=2e-2, recommendation=given(1e-3), budget=Budget(steps=steps))
    world.run()
    assert bool([d for _, d in world.said if d.rule == "trial"]) is tried


# -- a second opinion on a number of the user's --------------------------------------------------


@pytest.mark.parametrize(
    ("lr", "steps", "begins"),
    [
        (3.1e-3, STEPS, True),
        (3.1e-3, 1000, True),
        (9.9e-5, STEPS, True),
        (9.9e-5, 1000, False),  # there trials can tell
    ],
)
def test_a_number_far_from_what_the_weights_suggest_begins_there(
    lr: float, steps: int, begins: bool
) -> None:
    budget = Budget(steps=steps, steps_per_epoch=1)
    world = World(limit=2e-3, recommendation=given(lr, reference_lr=1e-3), budget=budget)
    world.run()
    plain = World(limit=2e-3, recommendation=BAND if begins else given(lr), budget=budget)
    plain.run()
    assert world.lrs == pytest.approx(plain.lrs)
    side = "above" if lr > 1e-3 else "below"
    told = f"times {side} what the sizes of the weights suggest, and training begins there"
    assert (told in world.said[0][1].reason) is begins


def test_where_that_does_harm_the_number_is_next() -> None:
    world = World(limit=2e-4, recommendation=given(5e-5, reference_lr=1e-3), pilot=LATE)
    state = world.run()
    assert world.steps("rollback", "too-high") == [20]
    assert world.lrs[39] == pytest.approx(5e-5 * shape(39))
    assert world.lrs[40] == pytest.approx(5e-4 * shape(40))  # tried at once, as ever
    assert state.rollbacks == 1


def test_where_the_number_does_harm_as_well_an_eighth_of_it_is_next() -> None:
    world = World(limit=2e-5, recommendation=given(5e-5, reference_lr=1e-3), pilot=LATE)
    world.run()
    assert world.steps("rollback", "too-high") == [20, 40]
    assert world.lrs[59] == pytest.approx(5e-5 / 8 * shape(59))


@pytest.mark.parametrize(
    ("lr", "steps", "tried"),
    [(2.9e-3, STEPS, False), (3.4e-4, STEPS, False), (3.2e-4, STEPS, True), (1.1e-4, STEPS, True),
     (1e-3, 240, True)],
)  # fmt: skip
def test_a_number_near_what_the_weights_suggest_is_the_users(
    lr: float, steps: int, tried: bool
) -> None:
    """In a short run the weights vouch for it, within a factor of three."""
    budget = Budget(steps=steps, steps_per_epoch=1)
    world = World(limit=1e-2, recommendation=given(lr, reference_lr=1e-3), budget=budget)
    world.run()
    alike = given(lr) if tried else Recommendation(peak_lr=lr, low=lr / 8, high=lr * 8)
    plain = World(limit=1e-2, recommendation=alike, budget=budget)
    plain.run()
    assert world.lrs == plain.lrs
    assert bool([d for _, d in world.said if d.rule == "trial"]) is tried


# -- the rest -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "epoch", "extra", "back"),
    [
        (BAND, 1, 0.2, False),  # no better, and not worse at p < .1
        (BAND, 1, 0.35, False),  # worse at p < .1, where data are seen again
        (BAND, 1, 0.5, True),
        (BAND, 60, 0.5, False),
        (BAND, 60, 0.8, True),
        (BAND, None, 0.5, False),
        (given(3e-5, reference_lr=1e-3), 60, 0.5, False),  # begins there, and that is trusted
    ],
)
def test_a_recommendation_goes_back_only_if_validation_is_surely_worse(
    start: Recommendation, epoch: int | None, extra: float, back: bool
) -> None:
    world = World(limit=2e-3, recommendation=start, unequal=3.0, unit=2.0,
                  budget=Budget(steps=STEPS, steps_per_epoch=epoch),
                  extra=lambda step: extra if step > 100 else 0.0)  # fmt: skip
    state = world.run()
    assert bool(world.steps("rollback", "too-high")) is back
    assert bool(world.steps("hold", "settle")) is back
    assert (state.level <= 0.5) is back


def test_one_that_stays_worse_after_annealed_steps_goes_back_at_half_the_rate() -> None:
    world = World(limit=2e-3, extra=lambda step: 1.0 if 100 < step < 150 else 0.0, unit=2.0)
    state = world.run()
    assert world.steps("hold", "settle") == [140]
    assert world.steps("rollback", "too-high") == [148]
    assert state.level == pytest.approx(0.5)


def test_one_that_annealed_steps_mend_changes_nothing() -> None:
    world = World(limit=2e-3, extra=lambda step: 1.0 if step == 140 else 0.0)
    state = world.run()
    assert world.steps("hold", "settle") == [140]
    annealed, after = world.lrs[140:148], world.lrs[148]
    assert annealed[0] == pytest.approx(1e-3 * shape(140))
    assert annealed[-1] == pytest.approx(1e-3 * shape(147) / 8)
    assert after == pytest.approx(1e-3 * shape(148))
    assert (state.level, state.rollbacks) == (1.0, 0)


@pytest.mark.parametrize(
    "budget",
    [Budget(steps=60, steps_per_epoch=1), Budget(steps=STEPS, steps_per_epoch=1, evaluations=6)],
    ids=["short", "few validations"],
)
def test_where_that_cannot_be_afforded_the_doubt_decides(budget: Budget) -> None:
    half = budget.steps // 3
    world = World(limit=2e-3, budget=budget, extra=lambda step: 1.0 if step > half else 0.0)
    world.run()
    assert not world.steps("hold", "settle")
    assert world.steps("rollback", "too-high")


def test_a_trial_that_ends_worse_than_before_it_cuts_the_rate() -> None:
    world = World(limit=2e-3, recommendation=given(1e-3),
                  extra=lambda step: 1.5 if step > 20 else 0.0)  # fmt: skip
    state = world.run()
    assert world.steps("cut", "stale") == [36]
    assert state.level < 1.0


@pytest.mark.parametrize(
    ("more", "back"),
    [
        ({}, True),
        ({"budget": Budget(steps=STEPS, steps_per_epoch=100)}, False),  # data are still new
        ({"budget": Budget(steps=STEPS)}, False),  # for all that is known
        ({"unit": 2.0}, False),  # another loss than validation's
    ],
)
def test_learning_by_heart_goes_back_at_a_third_of_the_rate(
    more: dict[str, Any], back: bool
) -> None:
    """From step 60 on what training gains is no gain on other examples."""
    world = World(limit=2e-3, **more)
    world.extra = lambda step: world.at(60) - world.loss if step > 60 else 0.0
    state = world.run()
    assert world.steps("hold", "settle") == ([140] if back else [])
    assert world.steps("rollback", "overfitting") == ([148] if back else [])
    assert state.level == pytest.approx(1 / 3 if back else 1.0)
    (first, *_) = [d for _, d in world.said if d.rule == "overfitting"] or [None]
    if first is not None:
        assert world.lrs[148] == pytest.approx(1e-3 / 3 * shape(148))
        assert "since the start it gained" in first.reason
        assert "back to step 90" in first.reason


def test_learning_by_heart_goes_on_where_annealed_steps_are_surely_better() -> None:
    """A third of training's gain holds; the rate's noise hid it."""
    world = World(limit=2e-3)
    world.extra = lambda step: (2.0 - world.loss) * 2 / 3 + (0.4 if step == 140 else 0.0)
    state = world.run()
    assert world.steps("hold", "settle") == [140]
    assert world.steps("cut", "overfitting") == [148]
    assert not state.rollbacks
    assert world.lrs[148] == pytest.approx(1e-3 / 3 * shape(148))
    assert state.level == pytest.approx(1 / 3)


@pytest.mark.parametrize(("epoch", "first"), [(None, 70), (20, 70), (19, 40), (1, 40)])
def test_the_first_look_is_early_where_data_are_seen_again(epoch: int | None, first: int) -> None:
    world = World(limit=2e-3, budget=Budget(steps=STEPS, steps_per_epoch=epoch))
    world.run()
    assert world.validated[:4] == [0, 20, first, first + 50]


def test_a_gain_is_no_learning_by_heart_while_it_is_sure() -> None:
    """Validation gains half of what training does, on every example."""
    world = World(limit=2e-3)
    world.extra = lambda step: (2.0 - world.loss) / 2
    assert world.run().level == 1.0
    assert not world.steps("hold", "settle")


@pytest.mark.parametrize(
    ("epoch", "unequal", "kept"),
    [(1, 1.0, True), (1, 9.0, False), (100, 9.0, True), (None, 9.0, True)],
)
def test_where_data_are_seen_again_only_what_is_surely_better_is_returned_to(
    epoch: int | None, unequal: float, kept: bool
) -> None:
    """Whether all examples gain alike, or some a lot and others the contrary."""
    budget = Budget(steps=STEPS, steps_per_epoch=epoch)
    world = World(limit=2e-3, unequal=unequal, budget=budget, unit=2.0)
    world.run()
    (seen,) = [d for step, d in world.said if step == (40 if epoch == 1 else 70)]
    assert seen.figures["difference"] < 0.0
    assert (seen.keep, seen.rule) == (kept, "stable" if kept else "stale")


def test_what_looked_like_learning_by_heart_may_be_the_rates_noise() -> None:
    world = World(limit=2e-3)
    world.extra = lambda step: world.at(90) - world.loss if step == 140 else 0.0
    state = world.run()
    assert world.steps("hold", "settle") == [140]
    assert not world.steps("rollback", "overfitting")
    assert state.level == 1.0


def test_a_score_is_not_held_against_the_training_loss() -> None:
    pilot = TrialController()
    state = pilot.init(BAND, Budget(steps=STEPS, steps_per_epoch=1))
    for step in range(STEPS):
        if step in (0, 20, 40, 90, 140):
            seen = Evaluation.of(OFFSETS + 0.5, mode="max")
            decision, state = pilot.update(state, Observation(step=step, validation=seen))
        _, state = pilot.update(state, Observation(step=step + 1, train_loss=0.5 - step / 1e3))
    assert (state.phase, state.level, decision.rule) == ("rest", 1.0, "stale")


def test_the_best_state_is_kept_where_the_last_is_truly_worse() -> None:
    world = World(limit=2e-3, extra=lambda step: 3.0 if step == STEPS else 0.0)
    world.run()
    assert world.steps("rollback", "keep-best") == [STEPS]
    assert world.loss == world.kept


def test_a_loss_that_is_not_finite_goes_back_and_halves() -> None:
    world = World(limit=2e-3, broken=(120,))
    state = world.run()
    assert world.steps("rollback", "divergence") == [120]
    assert state.level == pytest.approx(0.5)
    early = World(limit=2e-3, broken=(5,))
    assert early.run().level == pytest.approx(1 / 8)
    assert early.steps("rollback", "divergence") == [5]


def test_a_lower_branch_whose_validation_is_not_finite_goes_back_to_the_fork() -> None:
    world = World(limit=2e-3, recommendation=given(1e-3),
                  extra=lambda step: math.nan if step == 36 else 0.0)  # fmt: skip
    state = world.run()
    assert world.steps("rollback", "divergence") == [36]
    assert state.level == pytest.approx(0.5)
    assert math.isfinite(world.kept)


def test_a_score_that_rises_is_better_after_the_warm_up() -> None:
    pilot = TrialController()
    state = pilot.init(BAND, Budget(steps=STEPS, steps_per_epoch=1))
    for step, score in ((0, 0.5), (20, 0.6)):
        seen = Evaluation.of(OFFSETS + score, mode="max")
        decision, state = pilot.update(state, Observation(step=step, validation=seen))
    assert decision.keep
    assert state.best_step == 20


def test_a_long_warm_up_carries_a_bounded_number_of_losses() -> None:
    pilot = TrialController()
    state = pilot.init(BAND, Budget(steps=50_000))
    for step in range(1, 4_001):
        _, state = pilot.update(state, Observation(step=step, train_loss=float(step)))
    assert 50 <= len(state.losses) <= 200
    assert state.losses[0] < 100
    assert state.losses[-1] > 3_900


def test_a_first_validation_that_is_not_finite_stops() -> None:
    pilot = TrialController()
    state = pilot.init(BAND, Budget(steps=STEPS))
    bad = Evaluation.of([math.nan, 1.0])
    assert pilot.update(state, Observation(step=0, validation=bad))[0].action == "stop"


def test_roll_backs_come_to_an_end() -> None:
    world = World(limit=2e-3, broken=tuple(range(1, STEPS)))
    world.run()
    assert world.state.rollbacks == TrialController().max_rollbacks
    assert world.said[-1][1].action in ("stop", "hold")


# -- the stretch --------------------------------------------------------------------------------


@pytest.mark.parametrize("best", [0.6, 0.8, 1.0, 1.25, 1.5])
def test_the_weights_are_stretched_to_where_validation_is_best(best: float) -> None:
    world = World(limit=2e-3, line=lambda times: 3 * (times - best) ** 2)
    state = world.run()
    reached = world.times
    assert world.origin == 0
    assert state.stretch == pytest.approx(reached)
    assert abs(math.log(reached / best)) < 0.6 * math.log(1.2)
    assert reached == pytest.approx(world.kept_times)  # what was kept is what is left


def stretched(*at: float | np.ndarray) -> tuple[list[Decision], TrialState]:
    """What follows from validations at the end and along the line; training gained 1."""
    pilot = TrialController()
    state = pilot.init(BAND, Budget(steps=STEPS))
    said: list[Decision] = []
    for step, values in ((0, 2.0), *((STEPS, values) for values in at)):
        seen = Observation(step=step, validation=Evaluation.of(OFFSETS + values))
        decision, state = pilot.update(state, seen)
        said.append(decision)
    return said, state


def noise(times: float) -> np.ndarray:
    """As far from zero as its own standard error over examples, times this."""
    values = np.random.default_rng(3).normal(0.0, 1.0, OFFSETS.size)
    values = (values - values.mean()) / values.std(ddof=1)
    return values + times / math.sqrt(OFFSETS.size)


def test_both_sides_are_asked_and_the_lowest_point_of_the_parabola_kept() -> None:
    """Validation is best at .97 times, and is taken to be a parabola in the logarithm."""
    h = math.log(1.1)
    valley = [20 * (x - math.log(0.97)) ** 2 for x in (0.0, h, -h)]
    said, state = stretched(*(1 + v - valley[0] for v in valley), 0.9)
    assert [d.stretch for d in said[1:3]] == [pytest.approx(1.1), pytest.approx(1 / 1.1)]
    assert said[3].stretch == pytest.approx(0.97)
    assert [d.evaluate for d in said] == [False, True, True, True, False]
    assert [d.keep for d in said] == [True, True, False, False, True]
    assert (state.stretch, said[4].stretch) == (pytest.approx(0.97), 1.0)


def test_a_lowest_point_that_validates_worse_is_left() -> None:
    said, state = stretched(1.0, 1.1, 0.99, 1.05)
    assert said[3].evaluate
    assert (said[4].keep, said[4].stretch, state.stretch) == (False, 1.0, 1.0)


@pytest.mark.parametrize(
    ("slope", "side"),
    [(-2.0, 1), (-1.2, 0), (0.6, 0), (0.8, -1)],  # back, half as much is enough
)
def test_a_slope_must_be_more_than_its_error(slope: float, side: int) -> None:
    """In standard errors over examples, with a bend beyond doubt."""
    said, _ = stretched(1.0, 1.3 + 0.1 * noise(slope), 1.3 - 0.1 * noise(slope))
    assert said[-1].evaluate is bool(side)
    assert said[-1].stretch is not None
    assert np.sign(round(math.log(said[-1].stretch), 9)) == side


@pytest.mark.parametrize(("gain", "moved"), [(0.6, True), (0.4, False)])
def test_further_must_be_worth_half_an_example_for_each_e_fold(gain: float, moved: bool) -> None:
    """Training gained 1; all examples gain alike, so the gain itself is beyond doubt."""
    h = math.log(1.1)
    slope = gain / OFFSETS.size
    said, _ = stretched(1.0, 1.0 - slope * h, 1.0 + slope * h)
    assert said[-1].evaluate is moved


def test_without_a_validation_to_spare_nothing_is_stretched() -> None:
    world = World(limit=2e-3, budget=Budget(steps=STEPS, evaluations=2, steps_per_epoch=1))
    world.run()
    assert (world.times, len(world.validated)) == (1.0, 3)


def test_where_validations_are_few_a_recommendation_is_watched_less_and_stretched_as_far() -> None:
    few = Budget(steps=24, evaluations=6, steps_per_epoch=24)
    world = World(limit=2e-3, budget=few, line=lambda times: abs(times - 0.5))
    world.run()
    assert world.validated == [0, 2, 8, 24, 24, 24, 24]
    assert world.times == pytest.approx(1.1**-2.5)  # as far as one more look would have been


@pytest.mark.parametrize(("finite", "reached"), [(1.15, 1.1), (1.05, 1.0)])
def test_a_stretch_that_is_not_finite_is_left(finite: float, reached: float) -> None:
    world = World(limit=2e-3, line=lambda times: math.nan if times > finite else 2 - times)
    world.run()
    assert world.times == pytest.approx(reached)


# -- budgets, and going on ----------------------------------------------------------------------


@pytest.mark.parametrize("evaluations", [0, 1, 2, 3, 5, 8, 14, 40])
@pytest.mark.parametrize("start", [BAND, given(1e-5)])
def test_validations_never_exceed_the_budget(evaluations: int, start: Recommendation) -> None:
    budget = Budget(steps=STEPS, evaluations=evaluations, steps_per_epoch=1)
    world = World(limit=2e-2, recommendation=start, budget=budget)
    world.run()
    assert len([step for step in world.validated if step]) <= evaluations
    if evaluations:
        assert world.validated[-1] == STEPS
    assert world.lrs[-1] == pytest.approx(world.state.level * start.peak_lr * shape(STEPS - 1))


def test_a_schedule_of_the_users_is_left_its_annealing() -> None:
    budget = Budget(steps=STEPS, anneal=False, steps_per_epoch=1)
    world = World(limit=2e-3, budget=budget)
    world.run()
    assert world.lrs[30] == pytest.approx(1e-3)
    assert world.lrs[-1] == pytest.approx(1e-3)


@pytest.mark.parametrize("step", [3, 20, 30, 40, 44, 48, 52, 56, 60, 100, 150])
@pytest.mark.parametrize(
    "settings",
    [
        {"limit": 2e-2},
        {"limit": 2e-4},
        {"limit": 2e-3, "recommendation": given(1e-3)},
        {"limit": 2e-3, "extra": lambda step: 0.7 if step > 100 else 0.0},
    ],
)
def test_a_run_resumes_to_the_same_numbers(step: int, settings: dict[str, Any]) -> None:
    straight, resumed = World(**settings), World(**settings)
    straight.run()
    resumed.run(resume_at=step)
    assert resumed.lrs == straight.lrs
    assert [d for _, d in resumed.said] == [d for _, d in straight.said]


def test_it_is_what_tune_takes_unless_told_otherwise() -> None:
    policy = next(f.default for f in fields(Settings) if f.name == "policy")
    assert isinstance(controller(policy), TrialController)
