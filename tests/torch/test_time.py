"""A limit on wall time: the run ends within it, annealed, whatever the machine does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch.utils.data import DataLoader, TensorDataset  # noqa: E402

from lrpilot.control import Budget  # noqa: E402
from lrpilot.errors import InputError  # noqa: E402
from lrpilot.facts import RunFacts  # noqa: E402
from lrpilot.integrations._head import HeadSteps  # noqa: E402
from lrpilot.integrations._progress import Spent  # noqa: E402
from lrpilot.integrations._time import TimeLimit  # noqa: E402
from lrpilot.recommend import recommend  # noqa: E402
from lrpilot.record import RunRecord  # noqa: E402
from lrpilot.torch import Autopilot  # noqa: E402

X = torch.arange(240.0).reshape(60, 4) / 120 - 1
Y = X.sum(1, keepdim=True)


class Clock:
    """Seconds that pass when something is done."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("lrpilot.integrations._session.time", SimpleNamespace(perf_counter=made))
    return made


def train(
    clock: Clock, folder: Path, *, step_s: Any = lambda step: 1.0, evaluation_s: Any = lambda: 0.5,
    steps: int = 400, linear: bool = False, stop: int | None = None, **more: Any,
) -> Autopilot:  # fmt: skip
    """A run in which each step and each validation takes its seconds."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    scheduler = None
    if linear:
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: max(0.0, 1 - s / steps))

    def losses() -> Any:
        clock.now += evaluation_s()
        return ((model(X[40:]) - Y[40:]) ** 2).squeeze(1)

    pilot = Autopilot(
        model, optimizer, total_steps=steps, evaluate=losses, scheduler=scheduler,
        record=folder / "run.jsonl", **{"start_lr": 1e-2} | more,
    )  # fmt: skip
    loader = DataLoader(TensorDataset(X[:40], Y[:40]), batch_size=8, shuffle=True)
    for x, y in pilot.batches(loader):
        loss = ((model(x) - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        optimizer.zero_grad()
        clock.now += step_s(pilot.steps + 1)
        pilot.step(loss)
        if pilot.steps == stop:
            pilot.save(folder / "checkpoint")
            break
    return pilot


PACES = {
    "steady": lambda step: 1.0,
    "slower half-way": lambda step: 1.0 if step < 30 else 2.5,
    "faster half-way": lambda step: 3.0 if step < 20 else 1.0,
    "compiles first": lambda step: 20.0 if step == 1 else 1.0,
    "slow batches now and then": lambda step: 5.0 if step % 20 == 0 else 1.0,
    "one slow batch in seven": lambda step: 6.0 if step % 7 == 0 else 1.0,
    "one slow batch in nine": lambda step: 6.0 if step % 9 == 5 else 1.0,
}


@pytest.mark.parametrize("policy", ["trial", "validation", "constant"])
@pytest.mark.parametrize("pace", PACES)
def test_it_ends_in_time_and_uses_most_of_it(
    pace: str, policy: str, clock: Clock, tmp_path: Path
) -> None:
    begun = clock.now
    pilot = train(clock, tmp_path, step_s=PACES[pace], policy=policy, max_minutes=2)
    took = clock.now - begun
    assert 100.0 < took <= 120.0
    assert pilot.outcome is not None
    assert pilot.outcome.status == "finished"
    assert f"{pilot.steps} of 400" in pilot.outcome.cause
    rates = [event["lr"] for event in RunRecord.read(tmp_path).of("step")]
    assert rates[-1] < 0.1 * max(rates)
    told = [e for e in RunRecord.read(tmp_path).of("decision") if e["rule"] == "time"]
    assert told[-1]["figures"]["steps"] == pilot.steps
    if policy != "constant":  # which validates for the record alone
        assert RunRecord.read(tmp_path).of("evaluation")[-1]["step"] == pilot.steps


def test_fewer_steps_take_a_higher_rate_than_was_recommended_for_all(
    clock: Clock, tmp_path: Path
) -> None:
    facts = RunFacts(model="all-MiniLM-L6-v2", task="text-classification", params=22_000_000)
    pilot = train(clock, tmp_path, start_lr=None, facts=facts, steps=4000, max_minutes=2)
    planned = RunRecord.read(tmp_path).header["recommendation"]["peak_lr"]
    told = [e for e in RunRecord.read(tmp_path).of("decision") if e["rule"] == "time"]
    short = recommend(replace(facts, steps=told[0]["figures"]["steps"])).peak_lr
    long = recommend(replace(facts, steps=4000)).peak_lr
    assert short > 1.3 * long
    assert pilot.recommendation.peak_lr == pytest.approx(planned * short / long, rel=0.05)
    assert pilot.recommendation.reasons[-1].rule == "time"
    rates = [event["lr"] for event in RunRecord.read(tmp_path).of("step")]
    assert max(rates) == pytest.approx(pilot.recommendation.peak_lr, rel=0.15)


def test_a_number_of_the_users_stays(clock: Clock, tmp_path: Path) -> None:
    pilot = train(clock, tmp_path, max_minutes=2)
    assert pilot.recommendation.peak_lr == 1e-2
    assert "recommended" not in RunRecord.read(tmp_path).of("decision")[1]["reason"]


def test_a_new_heads_own_rate_stays_where_the_peak_rises() -> None:
    head = torch.nn.Linear(4, 2)
    steps = HeadSteps(torch.optim.AdamW(head.parameters()), head, 8.0)
    for factor, ratio in ((2.0, 4.0), (0.5, 4.0), (10.0, 1.0)):
        steps.follow(factor)
        assert steps._ratio == ratio


def test_a_limit_that_does_not_bind_changes_nothing(clock: Clock, tmp_path: Path) -> None:
    stories = []
    for name, more in (("without", {}), ("with", {"max_minutes": 60.0})):
        folder = tmp_path / name
        folder.mkdir()
        train(clock, folder, steps=60, **more)
        record = RunRecord.read(folder)
        stories.append(
            [
                (e["step"], e.get("loss"), e["lr"])
                for k in ("step", "decision")
                for e in record.of(k)
            ]
        )
    assert stories[0] == stories[1]


def test_a_schedule_of_the_users_reaches_zero_in_time(clock: Clock, tmp_path: Path) -> None:
    pilot = train(clock, tmp_path, linear=True, policy="constant", max_minutes=2)
    rates = [event["lr"] for event in RunRecord.read(tmp_path).of("step")]
    assert pilot.steps < 130
    assert rates[-1] < 0.03 * max(rates)
    assert max(rates) == rates[0] == pytest.approx(1e-2)


def test_a_resumed_run_goes_on_counting(clock: Clock, tmp_path: Path) -> None:
    begun = clock.now
    train(clock, tmp_path, max_minutes=2, stop=40)
    clock.now += 1e6  # a pause does not count
    pilot = train(clock, tmp_path, max_minutes=2, resume_from=tmp_path / "checkpoint")
    assert 100.0 < clock.now - begun - 1e6 <= 120.0
    assert pilot.outcome is not None
    assert pilot.outcome.status == "finished"
    assert RunRecord.read(tmp_path).header["max_minutes"] == 2.0


def test_no_time_is_left_to_look_along_the_line(clock: Clock, tmp_path: Path) -> None:
    """Validations that take long at the very end: what is left are the weights that are kept."""
    late = clock.now + 115.1

    def evaluation_s() -> float:
        return 0.5 if clock.now < late else 2.5

    begun = clock.now
    pilot = train(clock, tmp_path, evaluation_s=evaluation_s, max_minutes=2)
    assert clock.now - begun <= 120.0
    causes = [event["cause"] for event in RunRecord.read(tmp_path).of("evaluation")]
    assert causes.count("stretch") == 3  # of six
    assert pilot._session.state.tried != 1.0  # where it would have looked next
    kept = pilot._session.kept["model"]
    for name, parameter in pilot._state.model.named_parameters():
        assert torch.equal(parameter, kept[name])


def test_no_time_to_look_and_no_beginning_to_look_from(clock: Clock, tmp_path: Path) -> None:
    """A checkpoint that lost its beginning: nothing is stretched, in time or not."""
    train(clock, tmp_path, max_minutes=2, stop=40)
    for file in (tmp_path / "checkpoint").glob("origin*"):
        file.unlink()
    late = clock.now + 72.0
    pilot = train(
        clock, tmp_path, evaluation_s=lambda: 0.5 if clock.now < late else 6.0, max_minutes=2,
        resume_from=tmp_path / "checkpoint",
    )  # fmt: skip
    assert pilot.outcome is not None
    assert pilot.outcome.status == "finished"
    assert pilot._session.origin is None


@pytest.mark.parametrize("minutes", [0, -1.0, float("nan"), float("inf")])
def test_a_limit_is_a_positive_number(minutes: float, tmp_path: Path) -> None:
    model = torch.nn.Linear(4, 1)
    with pytest.raises(InputError, match="max_minutes"):
        Autopilot(
            model, torch.optim.SGD(model.parameters(), 0.1), total_steps=9, max_minutes=minutes
        )


def test_time_is_kept_for_a_step_as_slow_as_the_slowest() -> None:
    budget = Budget(steps=100, evaluations=0)
    limit, wall_s = TimeLimit(1.0), 0.0
    limit.start(wall_s, Spent())
    for step in range(1, 21):
        wall_s += 4.0 if step == 3 else 1.0
        limit.stepped(wall_s, Spent())
    fitted, told = limit.fit(budget, budget, 20, 50.0, Spent())
    mean = (18 * 1.0 + 4.0) / 19  # without the first
    assert fitted.steps == 20 + int((10.0 - (4.0 - mean)) / (1.05 * mean))
    assert "10 s of 60 are left" in told
    spent = Spent(evaluate_s=2.0, evaluations=1)
    assert limit.allows(60.0 - 2.0 - (4.0 - mean), spent)
    assert not limit.allows(60.0 - 2.0 - (4.0 - mean) + 0.01, spent)
