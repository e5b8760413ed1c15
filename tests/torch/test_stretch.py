"""The weights on the line from an earlier state, and beyond: through the session, and resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from lrpilot.control import Budget, Decision, Observation  # noqa: E402
from lrpilot.facts import Recommendation  # noqa: E402
from lrpilot.torch import Autopilot  # noqa: E402

STEPS = 6


class Script:
    """Keeps the first step as the origin, then the last one, and goes half as far again."""

    name = "script"

    def init(self, recommendation: Recommendation, budget: Budget) -> int:
        return 0

    def update(self, state: int, seen: Observation) -> tuple[Decision, int]:
        more: dict[str, Any] = {}
        if seen.step == 1:
            more = {"keep": True, "origin": True}
        if seen.step == STEPS:
            more = {"keep": True, "stretch": 1.5}
        return Decision(action="hold", lr_scale=1.0, rule="script", **more), seen.step

    def dump(self, state: int) -> dict[str, Any]:
        return {"step": state}

    def load(self, data: dict[str, Any]) -> int:
        return int(data["step"])


def new_model() -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(4, 6), torch.nn.BatchNorm1d(6), torch.nn.ReLU(), torch.nn.Linear(6, 1)
    )


def train(model: Any, folder: Path | None = None) -> tuple[list[dict[str, Any]], Autopilot]:
    """The weights after each step, as training left them; saved after the third."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    resumed = folder is not None and folder.exists()
    pilot = Autopilot(model, optimizer, total_steps=STEPS, start_lr=0.1, policy=Script(),
                      resume_from=folder if resumed else None)  # fmt: skip
    seen: list[dict[str, Any]] = []
    for step in range(pilot.steps, STEPS):
        x = torch.randn(8, 4, generator=torch.Generator().manual_seed(step))
        loss = ((model(x) - x.sum(1, keepdim=True)) ** 2).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        seen.append({k: v.clone() for k, v in model.state_dict().items()})
        pilot.step(loss)
        if folder is not None and step == 2 and not resumed:
            pilot.save(folder)
    return seen, pilot


def test_the_session_stretches_from_the_origin_through_the_kept_state() -> None:
    model = new_model()
    seen, _ = train(model)
    for name, found in model.state_dict().items():
        start, end = seen[0][name], seen[-1][name]
        if name.endswith("running_var"):
            torch.testing.assert_close(found, end * (end / start) ** 0.5)
        elif found.is_floating_point():
            torch.testing.assert_close(found, start + 1.5 * (end - start))
        else:
            assert torch.equal(found, end), name


def test_a_resumed_run_is_stretched_from_the_same_origin(tmp_path: Path) -> None:
    straight, resumed = new_model(), new_model()
    train(straight, tmp_path / "saved")
    train(resumed, tmp_path / "saved")
    for name, found in resumed.state_dict().items():
        torch.testing.assert_close(found, straight.state_dict()[name], msg=name)


def test_variances_stay_positive_however_far() -> None:
    model = torch.nn.BatchNorm1d(2)
    pilot = Autopilot(
        model, torch.optim.SGD(model.parameters(), lr=0.1), total_steps=9, start_lr=0.1
    )
    origin = pilot.snapshot()
    model.running_var.mul_(0.01)
    pilot.stretch(origin, pilot.snapshot(), 2.0)
    torch.testing.assert_close(model.running_var, torch.full((2,), 1e-4))
