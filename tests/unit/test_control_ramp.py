"""The ramp on simulated training whose truth is known."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from lrpilot.control import Budget, Observation, RampController, RampState, controller
from lrpilot.facts import Recommendation
from lrpilot.metric import Evaluation

STEPS = 200
OFFSETS = np.random.default_rng(0).normal(0.0, 0.5, 24)  # easy and hard examples
BAND = Recommendation(peak_lr=1e-3, low=1.25e-4, high=8e-3)


@dataclass
class World:
    """A loss that falls by the rate and, above `limit`, rises: absolute rates.

    Attributes:
        limit: Rate above which a step does harm.
        recommendation: What the run starts from.
        epoch: Steps until data are seen again; training shows nothing new after that.
        extra: Added to a validation, by step (overfitting, or batch norm's lag, say).
        spread: Standard deviation of a training batch's loss around the truth.
    """

    limit: float
    recommendation: Recommendation = BAND
    budget: Budget = field(default_factory=lambda: Budget(steps=STEPS, steps_per_epoch=1))
    extra: Callable[[int], float] = lambda step: 0.0
    spread: float = 0.05
    loss: float = 2.0
    kept: float = 2.0
    settled: float = 0.0
    lrs: list[float] = field(default_factory=list)
    said: list[tuple[int, str, str]] = field(default_factory=list)
    noise: np.random.Generator = field(default_factory=lambda: np.random.default_rng(1))

    def run(self, *, resume_at: int | None = None) -> RampState:
        ramp, peak_lr = RampController(), self.recommendation.peak_lr
        state = ramp.init(self.recommendation, self.budget)
        decision, state = ramp.update(state, Observation(step=0))
        lr = peak_lr * decision.lr_scale
        if self.budget.evaluations:
            state = self._validate(ramp, state, 0)
        for step in range(1, self.budget.steps + 1):
            self.lrs.append(lr)
            batch = self.loss + self.noise.normal(0.0, self.spread)
            self.loss *= math.exp(0.5 * (lr / self.limit)) if lr > self.limit else 1 - 20 * lr
            decision, state = ramp.update(state, Observation(step=step, train_loss=batch))
            if decision.evaluate:
                state = self._validate(ramp, state, step)
            if step == resume_at:
                state = ramp.load(json.loads(json.dumps(ramp.dump(state))))
            decision, state = ramp.update(state, Observation(step=step))
            lr = peak_lr * decision.lr_scale
        self.settled = peak_lr * state.level
        return state

    def _validate(self, ramp: RampController, state: RampState, step: int) -> RampState:
        jitter = self.noise.normal(0.0, 0.02, OFFSETS.size)
        values = self.loss + self.extra(step) + OFFSETS + jitter
        decision, state = ramp.update(
            state, Observation(step=step, validation=Evaluation.of(values))
        )
        self.said.append((step, decision.action, decision.rule))
        if decision.keep:
            self.kept = self.loss
        if decision.action == "rollback":
            self.loss = self.kept
        return state

    def rules(self) -> list[str]:
        return [rule for _, _, rule in self.said]


def shape(step: int, steps: int = STEPS) -> float:
    return 1 - step / steps


# -- the climb ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("steps", "doubling"), [(40, 4), (200, 4), (1000, 20)])
def test_the_climb_passes_the_recommended_rate_after_a_tenth_of_the_run(
    steps: int, doubling: int
) -> None:
    world = World(limit=5e-3, budget=Budget(steps=steps))
    world.run()
    tenth = steps // 10
    assert world.lrs[tenth] == pytest.approx(1e-3 * shape(tenth, steps))
    assert world.lrs[doubling] / world.lrs[0] == pytest.approx(2 * shape(doubling, steps))


def test_harm_ends_the_climb_and_the_rate_settles_below_it() -> None:
    world = World(limit=5e-3)
    state = world.run()
    assert world.rules().count("too-high") == 1
    assert not state.climbing
    assert 0.1 * world.limit < world.settled <= 0.75 * world.limit
    assert world.lrs[-1] < 0.02 * max(world.lrs)
    assert world.said[-1][2] == "end"
    assert world.loss < 0.8


def test_a_rate_that_the_user_gave_is_where_it_starts() -> None:
    given = Recommendation(peak_lr=3e-4, low=3e-4, high=3e-4)
    world = World(limit=5e-3, recommendation=given)
    world.run()
    assert world.lrs[0] == pytest.approx(3e-4)


@pytest.mark.parametrize("off", [1 / 30, 30.0])
def test_a_start_that_is_far_off_settles_at_about_the_same_rate(off: float) -> None:
    given = Recommendation(peak_lr=1e-3 * off, low=1e-3 * off, high=1e-3 * off)
    right, wrong = World(limit=5e-3), World(limit=5e-3, recommendation=given)
    right.run()
    wrong.run()
    assert 1 / 4 <= wrong.settled / right.settled <= 4
    assert wrong.loss < 1.2


def test_a_start_that_does_harm_begins_anew_lower() -> None:
    world = World(limit=2e-5)
    world.run()
    first = next(i for i, rule in enumerate(world.rules()) if rule == "too-high")
    step = world.said[first][0]
    assert step == 4
    assert world.lrs[step] == pytest.approx(world.lrs[0] / 8 * shape(step))
    assert world.settled < 3e-5


def test_a_probe_that_is_worse_within_its_noise_does_not_end_the_climb() -> None:
    ramp = RampController()
    state = ramp.init(BAND, Budget(steps=STEPS))
    first = Evaluation.of(OFFSETS + 2)
    _, state = ramp.update(state, Observation(step=0, validation=first))
    scatter = np.where(np.arange(OFFSETS.size) % 2, 2.0, -1.8)  # +.1 on average, sd 1.9
    noisy, clear = Evaluation.of(OFFSETS + 2 + scatter), Evaluation.of(OFFSETS + 2.1)
    assert ramp.update(state, Observation(step=4, validation=noisy))[0].action == "raise"
    assert ramp.update(state, Observation(step=4, validation=clear))[0].action == "rollback"


# -- training batches as evidence ---------------------------------------------------------------


def first_probe(batches: list[float], *, epoch: int) -> str:
    """What is said of a validation that batch norm spoils: far worse, each example differently."""
    ramp = RampController()
    state = ramp.init(BAND, Budget(steps=STEPS, steps_per_epoch=epoch))
    _, state = ramp.update(state, Observation(step=0, validation=Evaluation.of(OFFSETS + 2)))
    for step, loss in enumerate(batches, 1):
        _, state = ramp.update(state, Observation(step=step, train_loss=loss))
    spoiled = Evaluation.of(OFFSETS + 4 + np.linspace(-6.0, 6.0, OFFSETS.size))
    decision, _ = ramp.update(state, Observation(step=len(batches), validation=spoiled))
    return decision.rule


def test_new_batches_outvote_a_validation_that_lags() -> None:
    falling, rising = [2.0, 1.99, 1.81, 1.8], [2.0, 2.01, 2.19, 2.2]
    assert first_probe(falling, epoch=100) == "climb"
    assert first_probe(falling, epoch=2) == "too-high"
    assert first_probe(rising, epoch=100) == "too-high"


def climb_to(validation: float, batches: list[float], *, epoch: int | None) -> str:
    """What is said after a first, better probe and then one more."""
    ramp = RampController()
    state = ramp.init(BAND, Budget(steps=STEPS, steps_per_epoch=epoch))
    half = np.where(np.arange(OFFSETS.size) % 2, 1.0, -1.0)  # scatter: standard error .2
    probes = [OFFSETS + 2.0, OFFSETS + 1.9, OFFSETS + half + validation]
    losses = [[], [2.0, 1.99, 1.91, 1.9], batches]
    step = 0
    for probe, part in zip(probes, losses, strict=True):
        for loss in part:
            step += 1
            _, state = ramp.update(state, Observation(step=step, train_loss=loss))
        decision, state = ramp.update(
            state, Observation(step=step, validation=Evaluation.of(probe))
        )
    return decision.rule


def test_training_counts_only_while_its_data_are_new() -> None:
    rising, falling = [2.3, 2.31, 2.3, 2.32], [1.5, 1.51, 1.5, 1.49]
    assert climb_to(1.9, rising, epoch=100) == "too-high"
    assert climb_to(1.9, rising, epoch=None) == "too-high"
    assert climb_to(1.9, rising, epoch=4) == "climb"
    assert climb_to(2.6, falling, epoch=4) == "too-high"


def test_validation_alone_ends_the_climb_once_it_was_sound() -> None:
    """Training still falls; validation, which was better than at the start, is far worse."""
    falling = [1.5, 1.51, 1.5, 1.49]
    assert climb_to(2.2, falling, epoch=100) == "climb"  # 1.5 standard errors
    assert climb_to(2.6, falling, epoch=100) == "too-high"  # 3.5


# -- after the climb ----------------------------------------------------------------------------


def test_the_rate_settles_between_the_fastest_and_the_highest_useful() -> None:
    """By hand: gains of .1, .4 and .04 at 1, 2 and 4 times the pace, then harm."""
    ramp = replace(RampController(), climb_sd=1e-9)  # the recommendation says nothing
    state = ramp.init(BAND, Budget(steps=STEPS, steps_per_epoch=1))
    start, levels = state.level, []
    for step, loss in ((0, 2.0), (4, 1.9), (8, 1.5), (12, 1.46), (16, 3.0)):
        _, state = ramp.update(state, Observation(step=step, train_loss=1.0))
        levels.append(state.level)
        values = OFFSETS + loss
        decision, state = ramp.update(
            state, Observation(step=step, validation=Evaluation.of(values))
        )
    assert levels == pytest.approx([start * 2**i for i in range(5)])
    assert (decision.action, decision.rule) == ("rollback", "too-high")
    assert state.level == pytest.approx(math.sqrt(levels[2] * levels[3]))


def test_the_recommendation_counts_by_its_precision() -> None:
    ramp = RampController()
    state = ramp.init(BAND, Budget(steps=STEPS))
    state = replace(state, useful=16.0, fastest=4.0)
    half_width = math.log10(8) / 1.2816  # an 80% band in standard deviations
    weight = 0.45**2 / (0.45**2 + half_width**2)
    assert ramp._settled(state) == pytest.approx(8 ** (1 - weight))
    assert ramp._settled(replace(state, prior_sd=math.inf)) == pytest.approx(8.0)


def test_later_harm_rolls_back_and_halves_the_rate() -> None:
    world = World(limit=5e-3, extra=lambda step: 1.0 if step > 120 else 0.0)
    before = World(limit=5e-3)
    ended, undisturbed = world.run(), before.run()
    late = [step for step, _, rule in world.said if rule == "too-high" and step > 120]
    assert late
    assert ended.level == pytest.approx(undisturbed.level * 0.5 ** len(late))


def watched(worse_by: float) -> tuple[str, str, float]:
    """Action, rule and factor on the level of one validation after the climb."""
    ramp = RampController()
    state = ramp.init(BAND, Budget(steps=STEPS))
    _, state = ramp.update(state, Observation(step=0, validation=Evaluation.of(OFFSETS + 2)))
    state = replace(state, climbing=False, level=2.0, best_level=2.0)
    values = OFFSETS + 2 + worse_by + np.where(np.arange(OFFSETS.size) % 2, 0.5, -0.5)
    decision, after = ramp.update(state, Observation(step=100, validation=Evaluation.of(values)))
    return decision.action, decision.rule, after.level / state.level


def test_what_is_no_better_halves_the_rate_and_what_is_better_does_not() -> None:
    assert watched(-0.05) == ("hold", "stable", 1.0)
    assert watched(0.05) == ("cut", "stale", 0.5)  # half a standard error
    assert watched(0.3) == ("rollback", "too-high", 0.5)


def test_the_best_state_is_kept_when_the_last_is_truly_worse() -> None:
    world = World(limit=5e-3, extra=lambda step: 1.0 if step >= STEPS else 0.0)
    world.run()
    assert world.said[-1] == (STEPS, "rollback", "keep-best")


def test_validations_are_few() -> None:
    world = World(limit=5e-3)
    world.run()
    assert len(world.said) <= 20


def test_without_validation_the_rate_warms_up_to_the_recommendation() -> None:
    budget = Budget(steps=STEPS, evaluations=0)
    world = World(limit=1.0, budget=budget)
    world.run()
    assert max(world.lrs) <= 1e-3
    assert max(world.lrs) > 0.85e-3


def test_a_loss_that_is_not_finite_goes_back_or_stops() -> None:
    ramp = RampController()
    state = ramp.init(BAND, Budget(steps=STEPS))
    decision, _ = ramp.update(state, Observation(step=1, train_loss=math.nan))
    assert (decision.action, decision.rule) == ("stop", "divergence")
    _, state = ramp.update(state, Observation(step=0, validation=Evaluation.of(OFFSETS + 2)))
    decision, after = ramp.update(state, Observation(step=1, train_loss=math.nan))
    assert decision.action == "rollback"
    assert after.level == pytest.approx(state.base / 8)
    nothing = Evaluation.of(OFFSETS * math.nan)
    decision, _ = ramp.update(state, Observation(step=4, validation=nothing))
    assert decision.action == "rollback"


@pytest.mark.parametrize("bare", [1.0, 3.0])
def test_bare_means_are_compared_by_their_sign(bare: float) -> None:
    ramp = RampController()
    state = ramp.init(BAND, Budget(steps=STEPS))
    _, state = ramp.update(state, Observation(step=0, validation=Evaluation.of(2.0)))
    decision, _ = ramp.update(state, Observation(step=4, validation=Evaluation.of(bare)))
    assert decision.action == ("raise" if bare < 2 else "rollback")


@pytest.mark.parametrize("at", [3, 7, 10, 30, 150])
def test_a_resumed_run_goes_on_to_the_same_numbers(at: int) -> None:
    budget = Budget(steps=STEPS, steps_per_epoch=50)
    whole, resumed = World(limit=5e-3, budget=budget), World(limit=5e-3, budget=budget)
    whole.run()
    resumed.run(resume_at=at)
    assert (whole.lrs, whole.said) == (resumed.lrs, resumed.said)


def test_a_state_of_a_users_own_rate_is_valid_json() -> None:
    given = Recommendation(peak_lr=1e-3, low=1e-3, high=1e-3)
    ramp = RampController()
    state = ramp.init(given, Budget(steps=STEPS))
    text = json.dumps(ramp.dump(state), allow_nan=False)
    assert ramp.load(json.loads(text)).prior_sd == math.inf


def test_it_is_there_by_name() -> None:
    assert isinstance(controller("ramp"), RampController)
