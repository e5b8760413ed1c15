"""The doctor in a PyTorch loop under the autopilot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from lrpilot.diagnose import BasicRule, History, Seen  # noqa: E402
from lrpilot.integrations._progress import Progress  # noqa: E402
from lrpilot.record import RunRecord  # noqa: E402
from lrpilot.torch import Autopilot  # noqa: E402

X = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
Y = X.sum(1, keepdim=True)


def third_validation(run: History, alpha: float) -> Seen | None:
    loss = run.eval_loss
    if loss is None or len(loss) < 3:
        return None
    return Seen(summary=f"three by step {loss.steps[-1]:g}", first_step=float(loss.steps[2]))


RULE = BasicRule(
    id="third", title="", severity="warning", needs="", threshold="", remedy="wait", source="",
    look=third_validation,
)  # fmt: skip


def train(folder: Path, *, stop: int | None = None, **more: Any) -> tuple[Any, Autopilot]:
    folder.mkdir(exist_ok=True)
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    pilot = Autopilot(
        model, optimizer, total_steps=40, start_lr=1e-3, record=folder / "run.jsonl",
        evaluate=lambda: ((model(X[40:]) - Y[40:]) ** 2).squeeze(1),
        **{"policy": "validation", **more},
    )  # fmt: skip
    loader = torch.utils.data.DataLoader(torch.arange(40), batch_size=8, shuffle=True)
    for chosen in pilot.batches(loader):
        loss = ((model(X[chosen]) - Y[chosen]) ** 2).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        pilot.step(loss)
        if pilot.steps == stop:
            pilot.save(folder / "checkpoint")
            break
    return model, pilot


def findings(folder: Path) -> list[dict[str, Any]]:
    return list(RunRecord.read(folder).of("finding"))


def test_a_finding_is_told_once_everywhere(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("lrpilot.diagnose.rules.RULES", (RULE,))
    seen: list[Progress] = []
    _, pilot = train(tmp_path, on_progress=seen.append)
    told = [f for p in seen for f in p.findings]
    assert [f.rule for f in told] == [f.rule for f in pilot.findings] == ["third"]
    (event,) = findings(tmp_path)
    third = RunRecord.read(tmp_path).of("evaluation")[2]["step"]
    assert event["step"] == event["first_step"] == third
    assert event["severity"] == "warning"
    assert event["remedy"] == "wait"


@pytest.mark.parametrize("stop", [1, 12, 30])
def test_a_resumed_run_repeats_no_finding(stop: int, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("lrpilot.diagnose.rules.RULES", (RULE,))
    expected, _ = train(tmp_path / "whole")
    train(tmp_path / "cut", stop=stop)
    resumed, _ = train(tmp_path / "cut", resume_from=tmp_path / "cut" / "checkpoint")
    assert torch.equal(expected.weight, resumed.weight)
    assert findings(tmp_path / "whole") == findings(tmp_path / "cut")


def test_the_doctor_changes_nothing_and_can_be_left_out(tmp_path: Path) -> None:
    watched, _ = train(tmp_path / "with")
    alone, pilot = train(tmp_path / "without", doctor=False)
    assert torch.equal(watched.weight, alone.weight)
    assert pilot.findings == ()
    assert pilot.spent.doctor_s == 0.0


def test_a_rate_far_too_high_is_found(tmp_path: Path) -> None:
    """The constant policy never validates: then the doctor looks at the end."""
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    pilot = Autopilot(model, optimizer, total_steps=60, start_lr=2.0, policy="constant")
    while not pilot.done:
        loss = ((model(X[:40]) - Y[:40]) ** 2).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        pilot.step(loss)
    assert {f.rule for f in pilot.findings} & {"lr-too-high", "not-finite"}
