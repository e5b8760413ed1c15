"""The live doctor alone: bounded memory, one voice a rule, no memory of what was rolled back."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrpilot.control import Budget
from lrpilot.diagnose import BasicRule, History, Plan, Seen
from lrpilot.facts import Recommendation, RunFacts
from lrpilot.integrations._doctor import _MOST, STEERED, LiveDoctor, Thinned
from lrpilot.metric import Evaluation


def worse(run: History, alpha: float) -> Seen | None:
    """Says so when the last validation is worse than the first."""
    loss = run.eval_loss
    if loss is None or loss.values[-1] <= loss.values[0]:
        return None
    return Seen(summary=f"worse at {loss.steps[-1]:g}", figures={"alpha": alpha})


def rule(name: str = "worse", **more: object) -> BasicRule:
    return BasicRule(
        id=name, title="", severity="warning", needs="", threshold="", remedy="stop", source="",
        look=worse, **more,  # type: ignore[arg-type]
    )  # fmt: skip


def doctor(*rules: BasicRule, looks: int = 4, steps: int = 100) -> LiveDoctor:
    plan = Plan(facts=RunFacts(steps=steps))
    return LiveDoctor(plan, looks=looks, rules=rules or (rule(),))


def see(watched: LiveDoctor, step: int, loss: float) -> list[str]:
    watched.step(step, loss=1.0, lr=1e-5, grad_norm=None)
    watched.validation(step, Evaluation.of(loss))
    return [f.rule for f in watched.look()]


def test_each_rule_speaks_once() -> None:
    watched = doctor()
    assert [see(watched, s, v) for s, v in ((1, 1.0), (2, 0.9), (3, 1.1), (4, 1.2))] == [
        [], [], ["worse"], [],
    ]  # fmt: skip
    assert watched.finish() == ()
    assert [f.summary for f in watched.findings] == ["worse at 3"]


def test_all_looks_share_one_chance_of_a_false_alarm() -> None:
    watched = doctor(rule(statistical=True), looks=9)
    see(watched, 1, 1.0)
    see(watched, 2, 2.0)
    assert watched.findings[0].figures["alpha"] == pytest.approx(0.05 / 10)


def test_what_was_rolled_back_is_forgotten() -> None:
    watched = doctor()
    see(watched, 1, 1.0)
    watched.step(2, loss=9.0, lr=1e-2, grad_norm=5.0)
    watched.validation(2, Evaluation.of(5.0))
    watched.undo(1)
    assert watched.look() == ()
    history = watched.history(finished=False)
    assert history.train_loss is not None
    assert list(history.train_loss.steps) == [1]


def test_what_the_autopilot_rolls_back_is_told_of_at_the_end_only() -> None:
    watched = doctor(rule("lr-too-high"))
    see(watched, 1, 1.0)
    assert see(watched, 2, 2.0) == []
    assert [f.rule for f in watched.finish()] == ["lr-too-high"]
    alone = LiveDoctor(watched.plan, looks=4, steered=False, rules=[rule("lr-too-high")])
    see(alone, 1, 1.0)
    assert see(alone, 2, 2.0) == ["lr-too-high"]


def test_rules_that_the_autopilot_answers_for_are_silent() -> None:
    watched = doctor(rule("no-schedule"), rule("other"))
    assert "no-schedule" in STEERED
    see(watched, 1, 1.0)
    assert see(watched, 2, 2.0) == ["other"]


def test_what_only_the_end_shows_waits_for_it() -> None:
    watched = doctor(rule("plateau"), rule("lr-too-low"), steps=10)
    see(watched, 1, 1.0)
    assert see(watched, 4, 2.0) == []
    assert see(watched, 5, 2.0) == ["lr-too-low"]
    assert [f.rule for f in watched.finish()] == ["plateau"]


def test_a_resumed_doctor_goes_on_and_repeats_nothing() -> None:
    first = doctor(rule(), rule("late", shows=""))
    see(first, 1, 1.0)
    first.step(2, loss=math.nan, lr=1e-5, grad_norm=math.inf)
    see(first, 3, 2.0)
    again = doctor(rule(), rule("late", shows=""))
    again.load(json.loads(json.dumps(first.dump(), allow_nan=False)))
    assert again.finish() == ()
    a, b = first.history(finished=True), again.history(finished=True)
    for name in ("train_loss", "eval_loss", "lr", "grad_norm"):
        np.testing.assert_array_equal(getattr(a, name).values, getattr(b, name).values)


def test_a_score_is_no_loss() -> None:
    watched = doctor()
    watched.step(1, loss=1.0, lr=1e-5, grad_norm=None)
    watched.validation(1, Evaluation.of([0.0, 1.0], mode="max"))
    history = watched.history(finished=False)
    assert history.eval_loss is None
    assert history.score is not None


def test_of_a_steered_run_knows_the_plan() -> None:
    recommended = Recommendation(peak_lr=2e-5, low=1e-5, high=5e-5)
    watched = LiveDoctor.of(RunFacts(), recommended, Budget(steps=50, evaluations=3))
    assert watched.plan.facts.steps == 50
    assert watched.plan.facts.planned_lr == 2e-5
    assert watched.plan.evaluates


@given(st.integers(1, 5 * _MOST), st.integers(1, 3))
def test_a_series_stays_bounded_and_keeps_its_mean(n: int, scale: int) -> None:
    seen = Thinned()
    for i in range(n):
        seen.add(i, float(i * scale))
    assert len(seen.values) < _MOST
    whole = len(seen.values) * seen.width
    assert whole + seen.count == n
    if whole:
        assert np.mean(seen.values) == pytest.approx(scale * (whole - 1) / 2)
        assert seen.steps[-1] == whole - 1


def test_a_thinned_nan_is_still_there() -> None:
    seen = Thinned()
    for i in range(3 * _MOST):
        seen.add(i, math.nan if i == 7 else 1.0)
    assert sum(map(math.isnan, seen.values)) == 1


def test_watching_a_run_imports_no_heavy_library_and_reads_no_recipes() -> None:
    """Each would take longer than all looks of a short run."""
    code = """
import sys
import numpy as np
from lrpilot.control import Budget, Observation, ValidationController
from lrpilot.facts import Recommendation, RunFacts
from lrpilot.integrations._doctor import LiveDoctor
from lrpilot.metric import Evaluation
recommended = Recommendation(peak_lr=2e-5, low=1e-5, high=5e-5)
budget = Budget(steps=100, evaluations=16)
doctor, pilot = LiveDoctor.of(RunFacts(), recommended, budget), ValidationController()
state, rng = pilot.init(recommended, budget), np.random.default_rng(0)
for step in range(1, 101):
    loss = 0.4 + 0.6 * np.exp(-step / 10) + 0.01 * rng.standard_normal()
    doctor.step(step, loss=loss, lr=2e-5, grad_norm=1.0)
    decision, state = pilot.update(state, Observation(step=step, train_loss=loss))
    if step % 6 == 0:
        seen = Evaluation.of(loss * (1 + 0.1 * rng.standard_normal(50)))
        doctor.validation(step, seen)
        decision, state = pilot.update(state, Observation(step=step, validation=seen))
        doctor.look()
doctor.finish()
from lrpilot.diagnose.advice import _recommend
print([m for m in ("scipy", "numpy.ma") if m in sys.modules], _recommend.cache_info().misses)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] 0"
