"""Tasks and policies of the user's own, the contract suites, and the page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lrpilot.bench import plugins, runner
from lrpilot.bench.lab import Lab, Result
from lrpilot.bench.page import render
from lrpilot.bench.policies import Policy, autopilot, find_policies
from lrpilot.bench.policies.autopilot import Pilot
from lrpilot.bench.policies.constant import Constant
from lrpilot.bench.task import Task, Workload
from lrpilot.bench.tasks import TASKS, find_tasks
from lrpilot.cli import main
from lrpilot.errors import InputError
from lrpilot.testing import PolicySuite, TaskSuite

pytest.importorskip("sklearn", reason="the digits come with scikit-learn: lrpilot[bench]")
FEW = replace(TASKS["digits-few"], steps=6)
OWN = """
from dataclasses import dataclass, replace
from lrpilot.bench.lab import Result
from lrpilot.bench.tasks import TASKS

TASK = replace(TASKS["digits-few"], name="mine", steps=6, rates=(1e-3, 1e-2, 1e-1))
TAKEN = replace(TASKS["digits-few"], steps=6)
NEITHER = 3.0

@dataclass
class Half:
    name: str = "half"
    def run(self, lab):
        return Result(model=lab.start().constant(5e-3), peak_lr=5e-3)

POLICY = Half()
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return path


class TestDigits(TaskSuite):
    def make(self) -> Task:
        return FEW


class TestConstant(PolicySuite):
    def make(self) -> Policy:
        return Constant(1e-2)

    def make_task(self) -> Task:
        return FEW


class TestAutopilot(TestConstant):
    def make(self) -> Policy:
        return Pilot()


class TestUntold(TestConstant):
    def make(self) -> Policy:
        return Pilot(told=False)


@pytest.mark.parametrize("told", [True, False])
def test_what_the_autopilot_is_told_moves_its_start(
    told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    class Watched(autopilot.Autopilot):
        def __init__(self, *args: Any, **rest: Any) -> None:
            super().__init__(*args, **rest)
            seen.append((rest["facts"], self.recommendation.basis))

    monkeypatch.setattr(autopilot, "Autopilot", Watched)
    Pilot(told=told).run(Lab(FEW, 0, FEW.build(0)))
    assert seen == [(FEW.facts, "cell") if told else (None, "prior")]


def broken_task() -> Task:
    """Its losses are those of the whole batch, and its model is always the same one."""
    sound = FEW.build(0)
    model = sound.new_model()
    return replace(
        FEW,
        rates=(1e-2, 1e-3),
        build=lambda seed: Workload(
            new_model=lambda: model,
            losses=lambda m, b: sound.losses(m, b).mean().expand(len(b[1])),
            train=sound.train,
            validation=sound.validation,
            test=sound.test,
        ),
    )


def test_the_suite_finds_what_is_wrong_with_a_task() -> None:
    class Broken(TaskSuite):
        def make(self) -> Task:
            return broken_task()

    suite = Broken()
    for check in (
        suite.test_its_budget_and_grid_make_sense,
        suite.test_a_loss_does_not_depend_on_its_neighbours,
        suite.test_the_pretrained_model_is_new_each_time,
        suite.test_two_runs_of_a_seed_are_equal,
    ):
        with pytest.raises(AssertionError):
            check()


def test_the_suite_finds_a_policy_that_does_not_repeat_itself() -> None:
    rates = iter([1e-3, 1e-2])

    class Moody:
        name = "moody"

        def run(self, lab: Lab) -> Result:
            return Result(model=lab.start().constant(next(rates)))

    class Suite(PolicySuite):
        def make(self) -> Policy:
            return Moody()

        def make_task(self) -> Task:
            return FEW

    suite = Suite()
    with pytest.raises(AssertionError):
        suite.test_it_repeats_itself()


def test_the_command_runs_a_file_of_the_users_own_in_two_processes(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "r.jsonl"
    command = ["bench", "run", "--tasks", f"{own}:TASK", "--policies", f"oracle,{own}:POLICY",
               "--seeds", "3", "--workers", "2", "--results", str(results)]  # fmt: skip
    assert main(command) == 0
    lines = runner.read_lines(results)
    assert {line["task"] for line in lines} == {"mine"}
    assert sorted({line["policy"] for line in lines}) == [
        "constant-1e-01", "constant-1e-02", "constant-1e-03", "half",
    ]  # fmt: skip
    assert len(lines) == 12
    capsys.readouterr()
    assert main(command) == 0  # nothing is computed twice
    assert "12 cells, 0 to do" in capsys.readouterr().out
    page = tmp_path / "table.html"
    assert main(["bench", "table", "--results", str(results), "--output", str(page)]) == 0
    assert ">half<" in page.read_text()


def test_what_is_wrong_with_a_file_is_said(own: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no file"):
        find_tasks(f"{tmp_path}/none.py:TASK")
    with pytest.raises(InputError, match="holds no OTHER"):
        find_tasks(f"{own}:OTHER")
    with pytest.raises(InputError, match="holds a float"):
        find_tasks(f"{own}:NEITHER")
    with pytest.raises(InputError, match="'digits-few' is taken"):
        find_tasks(f"{own}:TAKEN")
    with pytest.raises(InputError, match="holds a float"):
        find_policies(f"{own}:NEITHER", FEW)
    broken = tmp_path / "broken.py"
    broken.write_text("1 / 0")
    with pytest.raises(InputError, match="ZeroDivisionError"):
        find_tasks(f"{broken}:TASK")
    with pytest.raises(InputError, match=r"path/to/file\.py:NAME"):
        find_tasks("nonsense")


def test_an_entry_point_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        def load(self) -> Task:
            return replace(FEW, name="theirs")

    def points(*, group: str, name: str) -> list[Point]:
        return [Point()] if (group, name) == ("lrpilot.bench.tasks", "theirs") else []

    monkeypatch.setattr(plugins, "entry_points", points)
    assert find_tasks("theirs")[0].name == "theirs"
    with pytest.raises(InputError, match="there is no task 'others'"):
        find_tasks("others")


def test_the_page_draws_every_task_and_escapes_names() -> None:
    rows = [
        {"task": "<b>", "policy": policy, "seed": seed, "test_loss": loss + seed / 10,
         "validation_loss": loss, "untrained_loss": 2.0, "cost": 1.0, "peak_lr": rate}
        for policy, loss, rate in (
            ("constant-1e-03", 0.9, 1e-3), ("constant-1e-02", 0.5, 1e-2), ("x", 0.7, 2e-3),
        )
        for seed in range(3)
    ]  # fmt: skip
    page = render(rows)
    assert "<td>&lt;b&gt;</td>" in page
    assert "<b>" not in page[page.index("<h1>") : page.index("</main>")]
    start = page.index("const figures = ") + len("const figures = ")
    figures = json.loads(page[start : page.index(";\nfor (const", start)])
    drawn = [(t["name"], t["x"]) for t in figures["curves"]["data"]]
    # the sweep and a line on each side of it, and the policy at its peak
    assert drawn == [("constant peak", [1e-3, 1e-2])] * 3 + [("x", [2e-3])]
    (policy,) = figures["cost"]["data"]
    assert (policy["name"], policy["x"]) == ("x", [1.0])
    assert policy["y"] == [pytest.approx(2.0)]  # .2 above .5, sd .1
