"""A roll-back restores every tensor, and what follows is as if nothing had gone wrong."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.utils.data import DataLoader, TensorDataset  # noqa: E402

from lrpilot.control import Budget, Decision, Observation  # noqa: E402
from lrpilot.facts import Recommendation  # noqa: E402
from lrpilot.torch import Autopilot  # noqa: E402

OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.5),
    "adafactor": lambda p: torch.optim.Adafactor(p, lr=0.05),
}


class Net(torch.nn.Module):
    """Batch norm's buffers, dropout's randomness, a frozen layer and tied weights."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = torch.nn.Linear(4, 6)
        self.norm = torch.nn.BatchNorm1d(6)
        self.first = torch.nn.Linear(6, 6)
        self.tied = torch.nn.Linear(6, 6)
        self.tied.weight = self.first.weight
        self.out = torch.nn.Linear(6, 1)
        self.drop = torch.nn.Dropout(0.3)
        for parameter in self.frozen.parameters():
            parameter.requires_grad = False

    def forward(self, x: Any) -> Any:
        x = torch.relu(self.first(self.norm(self.frozen(x))))
        return self.out(self.drop(torch.relu(self.tied(x))))


class Script:
    """A controller whose decisions are given in advance, by step."""

    name = "script"

    def __init__(self, at: dict[int, Decision]) -> None:
        self.at = at

    def init(self, recommendation: Recommendation, budget: Budget) -> int:
        return 0

    def update(self, state: int, observation: Observation) -> tuple[Decision, int]:
        hold = Decision(action="hold", lr_scale=1.0, rule="script")
        if observation.validation is not None:
            return hold, state
        # each entry is used once: a step that a roll-back repeats has a later number anyway
        return self.at.get(observation.step, hold), observation.step

    def dump(self, state: int) -> dict[str, Any]:
        return {"step": state}

    def load(self, data: dict[str, Any]) -> int:
        return int(data["step"])


KEEP = Decision(action="hold", lr_scale=1.0, rule="script", reason="keep", keep=True)
WILD = Decision(action="raise", lr_scale=1e4, rule="script", reason="wild")
BACK = Decision(action="rollback", lr_scale=1.0, rule="script", reason="back")


def seed() -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)


def everything(model: Any, optimizer: Any) -> dict[str, Any]:
    """All state, flat: name to tensor or plain value."""
    found: dict[str, Any] = {f"model.{k}": v.clone() for k, v in model.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        for name, value in state.items():
            kept = value.clone() if isinstance(value, torch.Tensor) else value
            found[f"optimizer.{index}.{name}"] = kept
    for i, group in enumerate(optimizer.param_groups):
        found[f"lr.{i}"] = group["lr"]
    found["rng.torch"] = torch.get_rng_state()
    found["rng.numpy"] = torch.from_numpy(np.array(np.random.get_state()[1]))
    found["rng.python"] = random.getstate()
    return found


def assert_equal(a: dict[str, Any], b: dict[str, Any]) -> None:
    assert a.keys() == b.keys()
    for name, value in a.items():
        same = torch.equal(value, b[name]) if isinstance(value, torch.Tensor) else value == b[name]
        assert same, name


def loader(own_generator: bool = False) -> Any:
    generator = torch.Generator().manual_seed(7) if own_generator else None
    x = torch.arange(96.0).reshape(24, 4) / 50 - 1
    data = TensorDataset(x, x.sum(1, keepdim=True))
    return DataLoader(data, batch_size=4, shuffle=True, generator=generator)  # 6 batches a pass


def run(
    optimizer_name: str, at: dict[int, Decision], steps: int, *, own_generator: bool = False
) -> tuple[Any, Any, Autopilot, Iterator[tuple[int, Any]]]:
    """A run that yields after each step the number of steps and the batch it was."""
    seed()
    model = Net()
    groups = [
        {"params": [*model.norm.parameters(), *model.first.parameters(), model.tied.bias]},
        {"params": model.out.parameters(), "lr": 0.1},
    ]
    optimizer = OPTIMIZERS[optimizer_name](groups)
    pilot = Autopilot(
        model, optimizer, total_steps=steps, start_lr=0.01, policy=Script(at), record=None
    )

    def train() -> Iterator[tuple[int, Any]]:
        for x, y in pilot.batches(loader(own_generator)):
            noise = float(np.random.rand()) + random.random()
            loss = ((model(x) - y) ** 2).mean() * (1 + 0.1 * noise)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            pilot.step(loss)
            yield pilot.steps, x

    return model, optimizer, pilot, train()


@pytest.mark.parametrize("optimizer_name", OPTIMIZERS)
def test_every_tensor_comes_back(optimizer_name: str) -> None:
    model, optimizer, _, steps = run(optimizer_name, {3: KEEP, 4: WILD, 8: BACK}, 12)
    kept = None
    for step, _ in steps:
        if step == 3:
            kept = everything(model, optimizer)
        if step == 7:
            assert kept is not None
            assert not torch.equal(model.first.weight, kept["model.first.weight"])
        if step == 8:
            assert kept is not None
            assert_equal(kept, everything(model, optimizer))
            assert model.first.weight is model.tied.weight
            return


@pytest.mark.parametrize("own_generator", [False, True])
@pytest.mark.parametrize(("keep", "wild", "back"), [(3, 4, 5), (2, 3, 11), (6, 7, 8), (5, 6, 13)])
def test_after_a_roll_back_the_run_is_as_if_nothing_had_gone_wrong(
    keep: int, wild: int, back: int, own_generator: bool
) -> None:
    """Over epoch boundaries too: 6 batches are a pass."""
    lost = back - keep
    straight = run("adamw", {}, 20, own_generator=own_generator)
    batches = [x for _, x in straight[3]]
    end = everything(*straight[:2])
    detour = run("adamw", {keep: KEEP, wild: WILD, back: BACK}, 20 + lost,
                 own_generator=own_generator)  # fmt: skip
    seen = [x for _, x in detour[3]]
    assert len(batches) == 20
    repeated = seen[:keep] + seen[back:]
    assert all(torch.equal(a, b) for a, b in zip(batches, repeated, strict=True))
    assert_equal(end, everything(*detour[:2]))


def test_a_snapshot_may_be_restored_twice() -> None:
    model, optimizer, pilot, steps = run("adamw", {}, 30)
    for step, _ in steps:
        if step == 4:
            snapshot, kept = pilot.snapshot(), everything(model, optimizer)
        if step in (6, 9):
            pilot.restore(snapshot)
            assert_equal(kept, everything(model, optimizer))
        if step == 10:
            return


def test_a_snapshot_holds_what_can_change_and_no_more() -> None:
    *_, pilot, steps = run("adamw", {}, 3)
    next(steps)
    names = set(pilot.snapshot()["model"])
    assert not any(name.startswith("frozen") for name in names)
    assert {"first.weight", "norm.running_mean", "norm.num_batches_tracked"} <= names
    assert "tied.weight" not in names  # the same tensor as first.weight
