"""On a GPU: the same promises as on a processor. Skipped where there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch.utils.data import DataLoader, TensorDataset  # noqa: E402

from lrpilot.integrations._torch_state import rng_state, set_rng_state  # noqa: E402
from lrpilot.record import RunRecord  # noqa: E402
from lrpilot.torch import Autopilot  # noqa: E402

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")

X = torch.arange(240.0).reshape(60, 4) / 120 - 1
Y = X.sum(1, keepdim=True)


def train(
    folder: Path, *, device: str = "cuda", stop: int | None = None, resume: Path | None = None,
    broken: int | None = None, fused: bool = False, half: bool = False,
) -> tuple[Any, Autopilot]:  # fmt: skip
    """Forty steps with dropout and batch norm, whole or up to a checkpoint."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU(), torch.nn.Dropout(0.2),
        torch.nn.Linear(8, 1),
    ).to(device)  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=fused)
    scaler = torch.amp.GradScaler(device, init_scale=2.0**40) if half else None
    x, y = X.to(device), Y.to(device)
    pilot = Autopilot(
        model, optimizer, total_steps=40, steps_per_epoch=5, start_lr=1e-3, scaler=scaler,
        evaluate=lambda: ((model(x[40:]) - y[40:]) ** 2).squeeze(1),
        record=folder / "run.jsonl", resume_from=resume,
    )  # fmt: skip
    loader = DataLoader(TensorDataset(X[:40], Y[:40]), batch_size=8, shuffle=True)
    for inputs, targets in pilot.batches(loader):
        with torch.autocast(device, enabled=half, dtype=torch.float16):
            loss = ((model(inputs.to(device)) - targets.to(device)) ** 2).mean()
        if pilot.steps + 1 == broken:
            loss = loss * float("nan")
        if scaler is None:
            loss.backward()
            optimizer.step()
        else:
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        optimizer.zero_grad()
        pilot.step(loss)
        if pilot.steps == stop:
            pilot.save(folder / "checkpoint")
            break
    if scaler is not None:
        assert scaler.get_scale() < 2.0**40, "no step was skipped"
    return model, pilot


def weights(model: Any) -> list[Any]:
    return [tensor.cpu() for tensor in model.state_dict().values()]


@pytest.mark.parametrize("fused", [False, True])
def test_a_resumed_run_goes_on_to_the_same_numbers(tmp_path: Path, fused: bool) -> None:
    whole, _ = train(tmp_path, fused=fused)
    train(tmp_path, stop=23, fused=fused)
    resumed, pilot = train(tmp_path, resume=tmp_path / "checkpoint", fused=fused)
    assert pilot.steps == 40
    assert next(resumed.parameters()).is_cuda
    for a, b in zip(weights(whole), weights(resumed), strict=True):
        assert torch.equal(a, b)


def test_a_checkpoint_from_the_gpu_goes_on_without_one(tmp_path: Path) -> None:
    train(tmp_path, stop=23)
    model, pilot = train(tmp_path, device="cpu", resume=tmp_path / "checkpoint")
    assert pilot.steps == 40
    assert all(torch.isfinite(tensor).all() for tensor in weights(model))


def test_a_loss_that_is_no_number_is_rolled_back(tmp_path: Path) -> None:
    model, pilot = train(tmp_path, broken=25)
    decisions = RunRecord.read(tmp_path / "run.jsonl").of("decision")
    assert 25 in [d["step"] for d in decisions if d["action"] == "rollback"]
    assert all(torch.isfinite(tensor).all() for tensor in weights(model))
    assert pilot.outcome is not None
    assert pilot.outcome.status == "finished"


@pytest.mark.parametrize("fused", [False, True])
def test_steps_that_the_scaler_skips_do_not_count(tmp_path: Path, fused: bool) -> None:
    _, pilot = train(tmp_path, half=True, fused=fused)
    steps = RunRecord.read(tmp_path / "run.jsonl").of("step")
    assert len(steps) == pilot.steps == 40
    assert all(step["loss"] == step["loss"] for step in steps)


def test_random_numbers_on_the_gpu_come_back() -> None:
    torch.rand(3, device="cuda")
    state = rng_state()
    first = torch.rand(3, device="cuda")
    set_rng_state(state)
    assert torch.equal(first, torch.rand(3, device="cuda"))


def test_the_bench_runs_there(tmp_path: Path) -> None:
    from lrpilot.bench import runner
    from lrpilot.bench.runner import Cell
    from lrpilot.errors import InputError

    path = tmp_path / "lines.jsonl"
    cells = [Cell("digits", policy, 0, device="cuda") for policy in ("autopilot", "hf-default")]
    runner.run(cells, path)
    lines = runner.read_lines(path)
    assert [line["device"] for line in lines] == ["cuda"] * 2
    assert all(line["test_loss"] < line["untrained_loss"] for line in lines)
    with pytest.raises(InputError, match="--device cuda"):
        runner.run([Cell("digits", "article", 0)], path)
