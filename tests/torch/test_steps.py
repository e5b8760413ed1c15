"""Only steps that really happened count; resuming goes on to the same numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch.utils.data import DataLoader, TensorDataset  # noqa: E402

from lrpilot.errors import InputError, RecordError  # noqa: E402
from lrpilot.integrations import _checkpoint  # noqa: E402
from lrpilot.integrations._torch_state import rng_state, set_rng_state  # noqa: E402
from lrpilot.record import RunRecord  # noqa: E402
from lrpilot.torch import Autopilot  # noqa: E402

X = torch.arange(240.0).reshape(60, 4) / 120 - 1
Y = X.sum(1, keepdim=True)


def net() -> tuple[Any, Any]:
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Dropout(0.2), torch.nn.Linear(8, 1)
    )
    return model, torch.optim.AdamW(model.parameters(), lr=1e-3)


def losses_of(model: Any) -> Any:
    return lambda: ((model(X[40:]) - Y[40:]) ** 2).squeeze(1)


def train(
    folder: Path, *, steps: int = 40, stop: int | None = None, resume: Path | None = None,
    broken: int | None = None, **more: Any,
) -> tuple[Any, Autopilot]:  # fmt: skip
    model, optimizer = net()
    loader = DataLoader(TensorDataset(X[:40], Y[:40]), batch_size=8, shuffle=True)
    more = {"start_lr": 1e-3} | more
    pilot = Autopilot(
        model, optimizer, total_steps=steps, steps_per_epoch=5, evaluate=losses_of(model),
        record=folder / "run.jsonl", resume_from=resume, **more,
    )  # fmt: skip
    for x, y in pilot.batches(loader):
        loss = ((model(x) - y) ** 2).mean()
        if pilot.steps + 1 == broken:
            loss = loss * float("nan")
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        pilot.step(loss)
        if pilot.steps == stop:
            pilot.save(folder / "checkpoint")
            break
    return model, pilot


def story(folder: Path) -> list[list[Any]]:
    record = RunRecord.read(folder)
    names = {"step": ("step", "loss", "lr"), "decision": ("step", "action", "rule", "lr")}
    return [[[e[n] for n in names[k]] for e in record.of(k)] for k in names]


@pytest.mark.parametrize("stop", [1, 5, 7, 23])
def test_a_resumed_run_goes_on_to_the_same_numbers(stop: int, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    expected, _ = train(whole)
    train(cut, stop=stop)
    resumed, pilot = train(cut, resume=cut / "checkpoint")
    assert pilot.outcome is not None
    for a, b in zip(expected.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)
    assert story(whole) == story(cut)


def test_a_resumed_run_that_goes_back_to_the_very_beginning_sees_its_batches(
    tmp_path: Path,
) -> None:
    """Saved in the first pass, after which the run begins anew."""
    (tmp_path / "cut").mkdir()
    expected, _ = train(tmp_path, start_lr=0.1)
    assert any(e.get("back_to") == 0 for e in RunRecord.read(tmp_path).of("decision"))
    train(tmp_path / "cut", start_lr=0.1, stop=7)
    resumed, _ = train(tmp_path / "cut", start_lr=0.1, resume=tmp_path / "cut" / "checkpoint")
    assert story(tmp_path) == story(tmp_path / "cut")
    for a, b in zip(expected.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_checkpoint_needs_no_pickle(tmp_path: Path) -> None:
    train(tmp_path, stop=7)
    files = list((tmp_path / "checkpoint").iterdir())
    assert {p.suffix for p in files} == {".safetensors", ".json"}
    for path in files:
        if path.suffix == ".json":
            json.loads(path.read_text())


def test_a_damaged_checkpoint_is_one_clear_error(tmp_path: Path) -> None:
    train(tmp_path, stop=7)
    (tmp_path / "checkpoint" / "current.safetensors").write_bytes(b"short")
    with pytest.raises(RecordError, match="checkpoint"):
        train(tmp_path, resume=tmp_path / "checkpoint")


def test_a_full_disk_leaves_the_older_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, pilot = train(tmp_path, stop=7)
    before = {p.name: p.read_bytes() for p in (tmp_path / "checkpoint").iterdir()}

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_checkpoint, "save_file", full)
    with pytest.raises(OSError, match="No space"):
        pilot.save(tmp_path / "checkpoint")
    assert {p.name: p.read_bytes() for p in (tmp_path / "checkpoint").iterdir()} == before
    assert not list(tmp_path.glob("*.part"))


def test_state_that_needs_pickle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="without pickle"):
        _checkpoint.save_tree({"a": object()}, tmp_path, "x")


def test_a_nan_loss_is_rolled_back_and_the_run_ends_finite(tmp_path: Path) -> None:
    model, pilot = train(tmp_path, broken=20)
    assert pilot.outcome is not None
    assert pilot.outcome.status == "finished"
    assert all(p.isfinite().all() for p in model.parameters())
    assert any(e["rule"] == "divergence" for e in RunRecord.read(tmp_path).of("decision"))


def test_a_micro_batch_is_no_step() -> None:
    model, optimizer = net()
    pilot = Autopilot(model, optimizer, total_steps=5, start_lr=1e-3)
    losses = []
    for i in range(9):
        loss = ((model(X[:8]) - Y[:8]) ** 2).mean() / 3
        loss.backward()
        if i % 3 == 2:
            optimizer.step()
            optimizer.zero_grad()
        pilot.step(float(i))
        losses.append(pilot.steps)
    assert losses == [0, 0, 1, 1, 1, 2, 2, 2, 3]


def test_the_loss_of_a_step_is_the_mean_of_its_micro_batches(tmp_path: Path) -> None:
    model, optimizer = net()
    pilot = Autopilot(model, optimizer, total_steps=2, start_lr=1e-3, record=tmp_path / "run.jsonl")
    for i in range(6):
        model(X[:8]).mean().backward()
        if i % 3 == 2:
            optimizer.step()
        pilot.step(float(i))
    assert [e["loss"] for e in RunRecord.read(tmp_path).of("step")] == [1.0, 4.0]


def test_a_step_that_a_scaler_skipped_does_not_count() -> None:
    """A scaler that finds an infinity leaves the optimizer alone; its loss harms nobody."""
    model, optimizer = net()
    pilot = Autopilot(model, optimizer, total_steps=5, start_lr=1e-3)
    lr = pilot.lr
    pilot.step(float("inf"))
    assert (pilot.steps, pilot.lr, pilot.last_decision) == (0, lr, None)
    model(X[:8]).mean().backward()
    optimizer.step()
    pilot.step(1.0)
    assert pilot.steps == 1


def test_a_fused_optimizer_that_was_told_of_an_infinity_does_not_count() -> None:
    model, _ = net()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
    pilot = Autopilot(model, optimizer, total_steps=5, start_lr=1e-3)
    model(X[:8]).mean().backward()
    optimizer.found_inf = torch.tensor(1.0)  # what GradScaler sets around a fused step
    optimizer.step()
    pilot.step(1.0)
    assert pilot.steps == 0
    optimizer.found_inf = torch.tensor(0.0)
    optimizer.step()
    pilot.step(1.0)
    assert pilot.steps == 1


def test_validation_leaves_no_trace(tmp_path: Path) -> None:
    """Dropout's random numbers, modes and weights are the same with 0 and with 16 validations."""
    ends = []
    for evaluations in (0, 16):
        folder = tmp_path / str(evaluations)
        folder.mkdir()
        model, _ = train(folder, policy="constant", evaluations=evaluations)
        ends.append([p.clone() for p in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


def test_the_users_modules_keep_their_modes() -> None:
    model, optimizer = net()
    model[0].eval()
    Autopilot(model, optimizer, total_steps=5, start_lr=1e-3, evaluate=losses_of(model))
    assert [m.training for m in model] == [False, True, True, True]


@pytest.mark.parametrize(
    "settings", [{"total_steps": 0}, {"start_lr": -1.0}, {"start_lr": float("nan")},
                 {"policy": "nosuch"}, {"steps_per_epoch": 0}],
)  # fmt: skip
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any]) -> None:
    model, optimizer = net()
    with pytest.raises(InputError):
        Autopilot(model, optimizer, **{"total_steps": 5, "start_lr": 1e-3, **settings})


def test_random_states_of_gpus_that_are_not_here_are_left_out(monkeypatch: Any) -> None:
    given: list[int] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, index: given.append(index))
    state = torch.zeros(16, dtype=torch.uint8)
    set_rng_state(rng_state() | {"cuda": [state, state, state]})
    assert given == [0]
