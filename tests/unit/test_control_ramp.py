"""The ramp on simulated training whose truth is known."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from lrpilot.control import Budget, Observation, RampController, RampState, controller
from lrpilot.facts import Recommendation
from lrpilot.metric import Evaluation

STEPS = 200
OFFSETS = np.random.default_rng(0).normal(0.0, 0.5, 24)  # easy and hard examples


@dataclass
class World:
    """A loss that falls by the rate and, above `limit`, rises: absolute rates, peak 1e-3.

    Attributes:
        limit: Rate above which a step does harm.
        low: Low end of the band that the run starts at.
        extra: Added to a validation, by step (overfitting, say).
    """

    limit: float
    low: float = 1e-4
    budget: Budget = field(default_factory=lambda: Budget(steps=STEPS))
    extra: Callable[[int], float] = lambda step: 0.0
    loss: float = 2.0
    kept: float = 2.0
    settled: float = 0.0
    lrs: list[float] = field(default_factory=list)
    said: list[tuple[int, str, str]] = field(default_factory=list)
    noise: np.random.Generator = field(default_factory=lambda: np.random.default_rng(1))

    def run(self, *, resume_at: int | None = None) -> RampState:
        ramp = RampController()
        peak_lr = max(1e-3, self.low)
        band = Recommendation(peak_lr=peak_lr, low=self.low, high=10 * peak_lr)
        state = ramp.init(band, self.budget)
        decision, state = ramp.update(state, Observation(step=0))
        lr = peak_lr * decision.lr_scale
        if self.budget.evaluations:
            state = self._validate(ramp, state, 0)
        for step in range(1, self.budget.steps + 1):
            self.lrs.append(lr)
            self.loss *= math.exp(0.5 * (lr / self.limit)) if lr > self.limit else 1 - 20 * lr
            decision, state = ramp.update(state, Observation(step=step, train_loss=self.loss))
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


def test_the_rate_doubles_every_four_steps_until_harm_and_settles_below_it() -> None:
    world = World(limit=5e-3)
    state = world.run()
    # 4 steps a doubling, and the anneal's first steps: 1e-4 x 2 x (1 - 4/200)
    assert world.lrs[0] == pytest.approx(1e-4)
    assert world.lrs[4] == pytest.approx(2e-4 * (1 - 4 / STEPS))
    assert world.rules().count("too-high") == 1
    assert not state.climbing
    assert 0.1 * world.limit < world.settled <= 0.75 * world.limit
    assert world.lrs[-1] < 0.02 * max(world.lrs)
    assert world.said[-1][2] == "end"
    assert world.loss < 1.0


@pytest.mark.parametrize("off", [1 / 30, 30.0])
def test_a_start_that_is_far_off_settles_at_about_the_same_rate(off: float) -> None:
    right, wrong = World(limit=5e-3), World(limit=5e-3, low=1e-4 * off)
    right.run()
    wrong.run()
    assert 1 / 4 <= wrong.settled / right.settled <= 4
    assert wrong.loss < 1.2


def test_a_start_that_does_harm_begins_anew_far_lower() -> None:
    world = World(limit=1e-4, low=3e-3)
    world.run()
    first = next(i for i, rule in enumerate(world.rules()) if rule == "too-high")
    step = world.said[first][0]
    assert step == 4
    assert world.lrs[step] == pytest.approx(3e-3 / 32 * (1 - step / STEPS))


def test_worse_probes_are_waited_for_while_the_training_loss_falls() -> None:
    """Batch norm: validation is bad for twelve steps whatever the rate is, training is not."""
    world = World(limit=5e-3, extra=lambda step: 3.0 if 0 < step <= 12 else 0.0)
    world.run()
    assert world.rules()[1:4] == ["lag"] * 3
    assert world.lrs[12] < 1.01 * world.lrs[4]  # no rise meanwhile
    assert world.rules()[4] == "climb"
    assert 0.1 * world.limit < world.settled <= 0.75 * world.limit


def test_what_never_recovers_is_not_waited_for_any_longer() -> None:
    world = World(limit=5e-3, extra=lambda step: 3.0 if 0 < step <= 40 else 0.0)
    world.run()
    assert world.rules()[1:6] == ["lag"] * 4 + ["too-high"]


def test_later_harm_rolls_back_and_halves_the_rate() -> None:
    world = World(limit=5e-3, extra=lambda step: 1.0 if step > 120 else 0.0)
    before = World(limit=5e-3)
    ended, undisturbed = world.run(), before.run()
    late = [step for step, _, rule in world.said if rule == "too-high" and step > 120]
    assert late
    assert ended.level == pytest.approx(undisturbed.level * 0.5 ** len(late))


def test_the_best_state_is_kept_when_the_last_is_truly_worse() -> None:
    world = World(limit=5e-3, extra=lambda step: 1.0 if step >= STEPS else 0.0)
    world.run()
    assert world.said[-1] == (STEPS, "rollback", "keep-best")


def test_validations_are_few() -> None:
    world = World(limit=5e-3)
    world.run()
    assert len(world.said) <= 16


def test_without_validation_the_rate_warms_up_to_the_recommendation() -> None:
    world = World(limit=1.0, budget=Budget(steps=STEPS, evaluations=0))
    world.run()
    assert max(world.lrs) <= 1e-3
    assert max(world.lrs) > 0.9e-3


def test_a_loss_that_is_not_finite_goes_back_or_stops() -> None:
    ramp = RampController()
    peak = Recommendation(peak_lr=1e-3, low=1e-4, high=1e-2)
    state = ramp.init(peak, Budget(steps=STEPS))
    decision, _ = ramp.update(state, Observation(step=1, train_loss=math.nan))
    assert (decision.action, decision.rule) == ("stop", "divergence")
    _, state = ramp.update(state, Observation(step=0, validation=Evaluation.of(OFFSETS + 2)))
    decision, after = ramp.update(state, Observation(step=1, train_loss=math.nan))
    assert decision.action == "rollback"
    assert after.level == pytest.approx(state.base / 32)
    nothing = Evaluation.of(OFFSETS * math.nan)
    decision, _ = ramp.update(state, Observation(step=4, validation=nothing))
    assert decision.action == "rollback"


def test_a_resumed_run_goes_on_to_the_same_numbers() -> None:
    whole, resumed = World(limit=5e-3), World(limit=5e-3)
    whole.run()
    resumed.run(resume_at=10)
    assert whole.lrs == resumed.lrs


def test_it_is_there_by_name() -> None:
    assert isinstance(controller("ramp"), RampController)


def test_a_short_run_doubles_no_faster_than_adam_forgets() -> None:
    world = World(limit=5e-3, budget=Budget(steps=40))
    world.run()
    assert world.lrs[4] == pytest.approx(2e-4 * (1 - 4 / 40))


def test_after_the_wait_the_climb_goes_on_from_where_it_stood() -> None:
    world = World(limit=5e-3, extra=lambda step: 3.0 if 0 < step <= 12 else 0.0)
    world.run()
    shape = [1 - step / STEPS for step in range(STEPS)]
    assert world.lrs[17] / shape[17] == pytest.approx(world.lrs[15] / shape[15] * 2 ** (1 / 4))


def test_after_progress_nothing_worse_is_waited_for() -> None:
    """The training loss falls all the while, as it does when a model overfits."""
    world = World(limit=5e-3, extra=lambda step: 3.0 if step >= 16 else 0.0)
    world.run()
    assert "lag" not in world.rules()
    assert (16, "rollback", "too-high") in world.said


def test_a_probe_that_is_worse_within_its_noise_does_not_end_the_climb() -> None:
    ramp = RampController()
    state = ramp.init(Recommendation(peak_lr=1e-3, low=1e-4, high=1e-2), Budget(steps=STEPS))
    first = Evaluation.of(OFFSETS + 2)
    _, state = ramp.update(state, Observation(step=0, validation=first))
    scatter = np.where(np.arange(OFFSETS.size) % 2, 2.0, -1.8)  # +.1 on average, sd 1.9
    noisy, clear = Evaluation.of(OFFSETS + 2 + scatter), Evaluation.of(OFFSETS + 2.1)
    assert ramp.update(state, Observation(step=4, validation=noisy))[0].action == "raise"
    assert ramp.update(state, Observation(step=4, validation=clear))[0].action == "rollback"


def test_a_run_that_is_resumed_while_it_waits_goes_on_to_the_same_numbers() -> None:
    """Where the training losses that it remembers decide."""
    lagging = {"limit": 5e-3, "extra": lambda step: 3.0 if 0 < step <= 12 else 0.0}
    whole, resumed = World(**lagging), World(**lagging)  # type: ignore[arg-type]
    whole.run()
    resumed.run(resume_at=7)
    assert (whole.lrs, whole.said) == (resumed.lrs, resumed.said)
