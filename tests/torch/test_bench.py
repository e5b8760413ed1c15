"""The lab's meter and fairness, the range tests' rules, and a contract for every policy."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lrpilot.bench import runner
from lrpilot.bench.backends import compute_all, default_backend
from lrpilot.bench.devices import on_device
from lrpilot.bench.lab import DivergedError, Lab, losses_on
from lrpilot.bench.policies import POLICIES, Policy, find_policies, scratch
from lrpilot.bench.policies.constant import Constant
from lrpilot.bench.policies.finders import (
    steepest_index,
    steepest_linear,
    steepest_log,
    tenth_of_minimum,
    valley,
)
from lrpilot.bench.runner import Cell
from lrpilot.bench.tasks import TASKS, bytes_gpt
from lrpilot.cli import main
from lrpilot.errors import InputError

pytest.importorskip("sklearn", reason="the digits come with scikit-learn: lrpilot[bench]")
TASK = replace(TASKS["digits-few"], steps=24)


def lab(seed: int = 0) -> Lab:
    return Lab(TASK, seed, TASK.build(seed))


def test_a_lab_holds_no_test_part() -> None:
    with pytest.raises(AssertionError, match="opened the test part"):
        len(lab()._workload.test)


def test_trainings_of_a_seed_are_paired_and_of_two_seeds_are_not() -> None:
    same = lab()
    first, second, other = same.start(), same.start(), lab(1).start()
    assert [first.step(1e-3) for _ in range(4)] == [second.step(1e-3) for _ in range(4)]
    assert first.step(1e-3) != other.step(1e-3)


def test_the_meter_counts_a_backward_pass_as_two_forward_passes() -> None:
    measured = lab()
    measured.start().constant(1e-3)
    assert measured.cost == pytest.approx(1.0)
    measured.start().validate(48)
    # 48 forward passes; a run is 24 steps of 16 examples, three passes each
    assert measured.cost == pytest.approx(1.0 + 48 / (24 * 16 * 3))


def test_validation_leaves_no_trace() -> None:
    with_it, without = lab().start(), lab().start()
    for _ in range(4):
        with_it.step(1e-3)
        with_it.validate()
        without.step(1e-3)
    for a, b in zip(with_it.model.state_dict().values(), without.model.state_dict().values(),
                    strict=True):  # fmt: skip
        assert torch.equal(a, b)


def test_pretraining_helps() -> None:
    """The same run from random weights ends worse."""
    workload = TASK.build(0)
    tuned = lab().start().constant(1e-2)
    torch.manual_seed(0)
    fresh = workload.new_model()
    for module in fresh.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    scratch = Lab(TASK, 0, replace(workload, new_model=lambda: fresh)).start().constant(1e-2)
    losses = [float(losses_on(m, workload.test, workload).mean()) for m in (tuned, scratch)]
    assert losses[0] < 0.8 * losses[1]


def test_the_shipped_decoder_knows_its_text() -> None:
    pytest.importorskip("transformers")
    text = """
        And God said, Let there be light: and there was light. And God saw the light, that it was
        good: and God divided the light from the darkness."""
    blocks = bytes_gpt.blocks(" ".join(text.split()))
    assert len(blocks) == 1
    with torch.no_grad():
        known = float(bytes_gpt.token_losses(bytes_gpt.pretrained(), blocks))
        fresh = float(bytes_gpt.token_losses(bytes_gpt.gpt(), blocks))
    assert known < 2.5 < 5.0 < fresh, "nats a byte"


def test_from_scratch_knows_nothing_and_keeps_the_scale() -> None:
    """Every kernel holds the entries that it had, elsewhere; training it ends worse."""
    measured = lab()
    model, fresh = measured.start().model, measured.start().model
    scratch._shuffle(fresh, seed=0)
    for before, after in zip(model.parameters(), fresh.parameters(), strict=True):
        assert torch.equal(before.flatten().sort().values, after.flatten().sort().values)
        assert torch.equal(before, after) == (before.ndim == 1)
    workload = TASK.build(0)
    tuned, trained = measured.start().constant(1e-2), scratch.FromScratch().run(measured).model
    losses = [float(losses_on(m, workload.test, workload).mean()) for m in (tuned, trained)]
    assert losses[0] < 0.8 * losses[1]


@pytest.mark.parametrize("name", list(POLICIES))
def test_every_policy_hands_back_a_finite_model_and_never_opens_the_test_part(name: str) -> None:
    measured = lab()
    policy: Policy = POLICIES[name]
    assert policy.name == name
    result = policy.run(measured)
    assert all(torch.isfinite(p).all() for p in result.model.parameters())
    assert measured.cost >= 0.99
    assert result.peak_lr is None or 0 < result.peak_lr < 1000


def test_a_training_that_diverges_says_so() -> None:
    broken = lab().start()
    with torch.no_grad():
        next(broken.model.parameters()).fill_(float("nan"))
    with pytest.raises(DivergedError):
        broken.step(1e-3)


# -- range tests, by hand -----------------------------------------------------------------------

RATES = np.array([1e-5, 1e-4, 1e-3, 1e-2, 1e-1])
LOSSES = np.array([5.0, 4.8, 3.0, 2.0, 9.0])


def test_rules_of_range_tests_by_hand() -> None:
    assert tenth_of_minimum(RATES, LOSSES) == pytest.approx(1e-3)
    assert steepest_log(RATES, LOSSES) == 1e-4  # the fall of 1.8 from 1e-4 to 1e-3
    assert steepest_index(RATES, LOSSES) == 1e-3  # (2 - 4.8) / 2, against (3 - 5) / 2
    # by the rate itself: -.2 / 9e-5 at the first point beats everything that comes later
    assert steepest_linear(RATES, LOSSES) == 1e-5


def test_valley_lies_past_the_middle_of_the_longest_fall() -> None:
    rates = np.arange(1.0, 13.0)
    losses = np.array([5.0, 5.1, 5.2, 5.0, 4.0, 3.0, 2.5, 2.0, 1.5, 1.0, 2.0, 9.0])
    # the longest falling subsequence has 8 points (5.2 or 5.1 to 1.0) and ends at index 9: it
    # "starts" at 9 - 8 = 1; a third is 8/3, so the index is 1 + 2 + 1
    assert valley(rates, losses) == 5.0


# -- runner -------------------------------------------------------------------------------------


def test_a_cell_is_never_computed_twice_and_a_broken_end_is_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = []

    def fake(cell: Cell) -> dict[str, Any]:
        computed.append(cell)
        return {"task": cell.task, "policy": cell.policy, "seed": cell.seed, "test_loss": 1.0}

    monkeypatch.setattr(runner, "compute", fake)
    path = tmp_path / "new" / "r.jsonl"
    cells = [Cell("t", "p", seed) for seed in range(3)]
    runner.run(cells[:2], path)
    path.write_text(path.read_text() + '{"task": "t", "pol')  # killed while it wrote
    runner.run(cells, path)
    assert computed == cells
    assert [line["seed"] for line in runner.read_lines(path)] == [0, 1, 2]


def test_no_cluster_and_no_ray_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert default_backend() == "local"
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "ray", None)
        with pytest.raises(InputError, match=r"pip install \"lrpilot\[ray\]\""):
            list(compute_all(abs, [1], "ray", None))
    pytest.importorskip("ray")
    with pytest.raises(InputError, match=r"no Ray cluster answers .*ray start --head"):
        list(compute_all(abs, [1], "ray", None))
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert default_backend() == "ray"


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A Ray cluster of this machine alone."""
    ray = pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patched.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else a FutureWarning
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        yield
        ray.shutdown()


def test_a_real_cell_is_the_same_in_two_processes_and_on_a_cluster(
    tmp_path: Path, cluster: None
) -> None:
    cells = [Cell("digits-few", "constant-1e-02", seed) for seed in range(2)]
    runner.run(cells, tmp_path / "one.jsonl")
    runner.run(cells, tmp_path / "two.jsonl", workers=2)
    runner.run(cells, tmp_path / "ray.jsonl", backend="ray")
    one, two, ray = [
        {line["seed"]: line["test_loss"] for line in runner.read_lines(tmp_path / f"{name}.jsonl")}
        for name in ("one", "two", "ray")
    ]
    assert one == two == ray
    assert one[0] < 0.6  # far below the 1.6 of guessing


def test_a_cluster_computes_no_more_at_once_than_wanted(cluster: None) -> None:
    def busy(number: int) -> tuple[float, float]:
        begun = time.time()
        time.sleep(0.2)
        return begun, time.time()

    times = sorted(compute_all(busy, range(4), "ray", 1))
    assert len(times) == 4
    assert all(end <= begun for (_, end), (begun, _) in pairwise(times))


def test_names_that_are_not_there_are_named() -> None:
    with pytest.raises(InputError, match="there is no policy 'magic'"):
        find_policies("magic", TASK)
    with pytest.raises(InputError, match="positive rate"):
        find_policies("constant-x", TASK)
    assert find_policies("constant-2e-3", TASK) == [Constant(2e-3)]


# -- devices ------------------------------------------------------------------------------------


def test_a_task_stays_on_the_device_that_it_began_on(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text(json.dumps({"task": "digits", "policy": "dog", "seed": 0, "device": "cuda"}))
    with pytest.raises(InputError, match="digits computed with --device cuda"):
        runner.run([Cell("digits", "article", 0)], path)


def test_a_workload_moves_as_a_whole() -> None:
    workload = on_device(TASKS["digits-few"].build(0), "meta")
    pixels, labels = workload.train.batch(torch.arange(3))
    assert (pixels.device.type, labels.device.type) == ("meta", "meta")
    assert {p.device.type for p in workload.new_model().parameters()} == {"meta"}
    assert workload.losses(workload.new_model(), (pixels, labels)).shape == (3,)


def test_a_device_that_is_not_here_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "run", "--device", "toaster"]) == 2
    error = capsys.readouterr().err
    assert "--device toaster" in error
    assert error.count("\n") == 1
