"""Logs that the frameworks themselves wrote (scripts/doctor_write_logs.py), and what is in them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from lrpilot.cli import main
from lrpilot.control.types import Budget
from lrpilot.diagnose import Advice, Finding, diagnose
from lrpilot.diagnose.history import History, Series
from lrpilot.diagnose.readers import FORMATS, read
from lrpilot.integrations._doctor import as_event
from lrpilot.record import RecordWriter

DATA = Path(__file__).parents[1] / "data" / "doctor"


def one(path: Path) -> History:
    (history,) = read(path)
    return history


def steps(series: Series | None) -> list[float]:
    assert series is not None
    return [float(s) for s in series.steps]


def values(series: Series | None) -> list[float]:
    assert series is not None
    return [float(v) for v in series.values]


@pytest.mark.parametrize("version", ["4.57.0", "5.23.0"])
def test_trainer_leaves_log_plan_and_checkpoints(version: str) -> None:
    run = one(DATA / f"hf-{version}" / "run")
    state = json.loads((DATA / f"hf-{version}" / "run" / "trainer_state.json").read_text())
    logged = [e for e in state["log_history"] if "loss" in e]
    assert run.format == "hf-trainer"
    assert steps(run.train_loss) == [e["step"] for e in logged] == [4, 8, 12, 16, 20, 24]
    assert values(run.train_loss) == [e["loss"] for e in logged]
    assert values(run.lr) == [e["learning_rate"] for e in logged]
    assert values(run.grad_norm) == [e["grad_norm"] for e in logged]
    assert steps(run.eval_loss) == steps(run.score) == [8, 16, 24]
    assert (run.score_name, run.score_mode) == ("eval_accuracy", "max")
    assert (run.checkpoints, run.best_checkpoint) == ((16, 24), state["best_global_step"])
    assert run.finished is True
    assert run.unread == ()
    plan = run.plan
    assert (plan.facts.planned_lr, plan.facts.batch_size) == (3e-3, 8)
    assert (plan.facts.steps, plan.facts.epochs, plan.facts.optimizer) == (24, 3.0, "adamw")
    assert (plan.schedule, plan.warmup_steps, plan.schedule_steps) == ("linear", 3, 24)
    assert (plan.evaluates, plan.eval_every_steps, plan.eval_examples) == (True, 8, 40)
    assert (plan.metric, plan.metric_mode, plan.keeps_best) == ("accuracy", "max", True)
    assert {"planned_lr", "method"} <= plan.stated
    assert "train_examples" not in plan.stated


def test_a_checkpoint_folder_is_the_run_up_to_there() -> None:
    run = one(DATA / "hf-5.23.0" / "run" / "checkpoint-16")
    assert steps(run.train_loss) == [4, 8, 12, 16]
    assert run.checkpoints is None
    assert run.finished is None


def test_checkpoints_of_one_run_are_one_history_and_the_latest_wins(tmp_path: Path) -> None:
    for step in (16, 24):
        shutil.copytree(
            DATA / "hf-5.23.0" / "run" / f"checkpoint-{step}", tmp_path / f"checkpoint-{step}"
        )
    run = one(tmp_path)
    assert steps(run.train_loss)[-1] == 24
    assert run.checkpoints == (16, 24)


def test_a_checkpoint_that_is_later_than_the_folders_own_state_wins(tmp_path: Path) -> None:
    run = DATA / "hf-5.23.0" / "run"
    shutil.copytree(run / "checkpoint-24", tmp_path / "checkpoint-24")
    shutil.copy(run / "checkpoint-16" / "trainer_state.json", tmp_path)
    assert steps(one(tmp_path).train_loss)[-1] == 24


def test_the_metric_of_the_best_checkpoint_is_found_without_arguments(tmp_path: Path) -> None:
    shutil.copy(DATA / "hf-5.23.0" / "run" / "trainer_state.json", tmp_path)
    run = one(tmp_path / "trainer_state.json")
    assert (run.plan.metric, run.plan.metric_mode) == ("accuracy", "max")


@pytest.mark.parametrize("version", ["0.12.0", "1.16.0"])
def test_trl_with_lora(version: str) -> None:
    run = one(DATA / f"trl-{version}" / "run")
    facts = run.plan.facts
    assert (facts.method, facts.lora_rank, facts.lora_alpha) == ("lora", 4, 8.0)
    assert (facts.planned_lr, run.plan.schedule) == (2e-4, "cosine")
    assert steps(run.eval_loss) == [4, 8, 12]


def test_trl_preference_and_reinforcement() -> None:
    run = one(DATA / "trl-1.16.0" / "dpo")
    assert run.plan.facts.method == "preference-full"
    assert (run.score_name, run.score_mode) == ("eval_rewards/accuracies", "max")
    run = one(DATA / "trl-1.16.0" / "grpo")
    assert run.train_loss is None
    assert run.eval_loss is None
    assert {"loss", "eval_loss"} <= run.others.keys()
    assert (run.score_name, run.score_mode) == ("eval_reward", "max")


@pytest.mark.parametrize("version", ["2.4.0", "2.6.6"])
def test_lightning_counts_from_nought_and_is_shifted(version: str) -> None:
    run = one(DATA / f"lightning-{version}" / "csv" / "version_0")
    assert run.format == "lightning-csv"
    assert steps(run.train_loss) == list(range(2, 25, 2))
    assert steps(run.eval_loss) == [8, 16, 24]
    assert (run.score_name, run.score_mode) == ("val_mae", "min")
    assert run.checkpoints == (16, 24)
    assert run.plan.facts.planned_lr == 1e-2
    assert run.plan.facts.batch_size == 8
    # LinearLR from 1 to 0 over 24 steps: the rate of step 2 is 1e-2 * (1 - 1/24)
    assert values(run.lr)[0] == pytest.approx(1e-2 * (1 - 1 / 24))
    assert "lr-AdamW/pg2" in run.others
    assert any("lr-AdamW/pg2" in said for said in run.unread)
    board = one(DATA / f"lightning-{version}" / "tb" / "version_0")
    assert steps(board.train_loss) == steps(run.train_loss)
    assert board.checkpoints == run.checkpoints


@pytest.mark.parametrize("version", ["2.15.0", "2.21.0"])
def test_tensorboard_folders(version: str) -> None:
    place = DATA / f"tensorboard-{version}"
    run = one(place / "plain")
    assert steps(run.train_loss) == list(range(1, 21))
    np.testing.assert_allclose(values(run.train_loss), 1 / np.arange(1, 21), rtol=1e-6)
    assert (run.score_name, run.score_mode) == ("val/accuracy", "max")
    tensors = one(place / "tensors")
    np.testing.assert_allclose(values(tensors.eval_loss), 1.1 / np.arange(1, 21), rtol=1e-15)
    together = one(place / "together")
    assert steps(together.train_loss) == steps(together.eval_loss) == list(range(1, 21))
    resumed = one(place / "resumed")
    assert resumed.resumes == (15,)
    assert values(resumed.train_loss)[13:15] == pytest.approx([1 / 14, 2 / 15])
    assert len(read(place)) == 4


def test_tensorboard_agrees_with_its_own_library() -> None:
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    ).EventAccumulator
    place = DATA / "tensorboard-2.21.0" / "plain"
    theirs = accumulator(str(place)).Reload()
    ours = one(place)
    for tag, series in {"train/loss": ours.train_loss, "val/accuracy": ours.score}.items():
        assert [(e.step, e.value) for e in theirs.Scalars(tag)] == list(
            zip(steps(series), values(series), strict=True)
        )


def test_tensorboardx_and_hf_event_files() -> None:
    assert len(steps(one(DATA / "tensorboardx-2.6.5" / "plain").train_loss)) == 20
    run = one(DATA / "hf-5.23.0" / "run" / "runs")
    assert steps(run.train_loss) == [4, 8, 12, 16, 20, 24]
    assert (run.plan.facts.planned_lr, run.plan.eval_every_steps) == (3e-3, 8)


@pytest.mark.parametrize("version", ["3.5.0", "3.15.1"])
def test_keras(version: str) -> None:
    place = DATA / f"keras-{version}"
    for name in ("history.json", "training.csv"):
        run = one(place / name)
        assert run.format == "keras"
        assert steps(run.train_loss) == steps(run.eval_loss) == list(range(1, 9))
        assert values(run.epoch) == steps(run.train_loss)
        assert (run.score_name, run.score_mode) == ("val_accuracy", "max")
        assert any("epochs" in said for said in run.unread)
    run = one(place / "with-params.json")
    assert steps(run.train_loss) == [6 * epoch for epoch in range(1, 9)]
    assert (run.plan.facts.steps, run.plan.facts.epochs) == (48, 8.0)


@pytest.mark.parametrize("version", ["0.18.0", "0.31.0"])
def test_wandb_offline(version: str) -> None:
    run = one(DATA / f"wandb-{version}")
    assert run.format == "wandb"
    assert steps(run.train_loss) == [10 * s for s in range(1, 41)]
    assert values(run.train_loss) == [1 / s for s in range(1, 41)]
    assert steps(run.eval_loss) == [100, 200, 300, 400]
    assert run.finished is True
    assert (run.plan.facts.planned_lr, run.plan.facts.batch_size) == (2e-5, 8)


@pytest.mark.parametrize("version", ["2.16.0", "3.17.2"])
def test_mlflow(version: str) -> None:
    for run in read(DATA / f"mlflow-{version}"):
        assert run.format == "mlflow"
        assert values(run.train_loss) == [1 / s for s in range(1, 21)]
        assert steps(run.eval_loss) == [5, 10, 15, 20]
        assert (run.score_name, run.finished) == ("eval/f1", True)
        assert run.plan.facts.planned_lr == 2e-5


def test_mlflow_has_both_of_its_stores() -> None:
    assert len(read(DATA / "mlflow-3.17.2")) == 2


def record(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    writer = RecordWriter(folder / "run.jsonl")
    writer.write(
        "run", version=1, policy="autopilot", facts={"model": "bert-base-uncased", "epochs": 2},
        recommendation={"peak_lr": 2e-5}, metric={"name": "loss", "mode": "min"},
        budget={"steps": Budget(steps=20).steps, "evaluations": 4},
    )  # fmt: skip
    for step in range(1, 15):
        loss = float("nan") if step == 3 else 1 / step
        writer.write("step", step=step, loss=loss, lr=1e-5, grad_norm=None, wall_s=0.0)
        if step % 5 == 0:
            writer.write("evaluation", step=step, mean=0.5, standard_error=0.1, n=7, values=[])
    writer.write("resume", step=12)
    for step in range(13, 21):
        writer.write("step", step=step, loss=2.0, lr=1e-5, grad_norm=1.0, wall_s=0.0)
    writer.write("end", status="finished", best_step=10, step=20)
    writer.close()
    return folder


def test_our_own_record(tmp_path: Path) -> None:
    run = one(record(tmp_path / "run"))
    assert run.format == "lrpilot"
    assert steps(run.train_loss) == list(range(1, 21))
    assert np.isnan(values(run.train_loss)[2])
    assert values(run.train_loss)[11:14] == [1 / 12, 2.0, 2.0]
    assert run.eval_loss is not None
    assert run.eval_loss.errors is not None
    assert list(run.eval_loss.errors) == [0.1, 0.1]
    assert (run.resumes, run.finished, run.best_checkpoint) == ((12,), True, 10)
    assert (run.plan.facts.planned_lr, run.plan.facts.steps) == (2e-5, 20)
    assert run.plan.eval_examples == 7


def test_findings_and_stretched_weights_change_nothing_that_is_read(tmp_path: Path) -> None:
    plain, told = record(tmp_path / "plain"), record(tmp_path / "told")
    advice = Advice(lr=1e-5, low=1e-6, high=1e-4, because="so")
    seen = Finding(rule="lr-too-high", severity="error", summary="up", first_step=3, advice=advice)
    first, *rest = (told / "run.jsonl").read_text().splitlines(keepends=True)
    (told / "run.jsonl").write_text(first)
    writer = RecordWriter(told / "run.jsonl")
    writer.write("finding", step=3, **as_event(seen))
    writer.write("finding", step=15, **as_event(seen))
    stretched = {"mean": 9.0, "standard_error": 0.1, "n": 7, "values": [], "cause": "stretch"}
    writer.write("evaluation", step=20, **stretched)
    writer.close()
    with (told / "run.jsonl").open("a") as file:
        file.writelines(rest)
    a, b = one(plain), one(told)
    for name in ("train_loss", "eval_loss", "lr", "grad_norm"):
        assert steps(getattr(a, name)) == steps(getattr(b, name)), name
        np.testing.assert_array_equal(values(getattr(a, name)), values(getattr(b, name)))
    assert (a.plan, a.finished, a.resumes, a.unread) == (b.plan, b.finished, b.resumes, b.unread)
    assert diagnose(a).findings == diagnose(b).findings
    assert main(["doctor", str(told)]) in (0, 1)


def test_a_record_whose_time_was_limited_has_the_steps_that_fitted(tmp_path: Path) -> None:
    folder = record(tmp_path / "run")
    plan = one(folder).plan
    assert (plan.facts.steps, plan.schedule_steps, plan.eval_every_steps) == (20, 20, 5)
    writer = RecordWriter(folder / "run.jsonl")
    figures = {"steps": 12, "evaluations": 2}
    writer.write("decision", step=4, action="hold", rule="time", reason="slow", figures=figures)
    writer.close()
    plan = one(folder).plan
    assert (plan.facts.steps, plan.schedule_steps, plan.eval_every_steps) == (12, 12, 6)


def test_a_trainer_that_went_on_after_its_end(tmp_path: Path) -> None:
    log = [{"step": s, "loss": 1 / s} for s in range(1, 11)]
    log.insert(5, {"step": 5, "train_runtime": 1.0, "train_loss": 0.5})
    state = {"best_metric": None, "log_history": log, "global_step": 10, "max_steps": 10}
    (tmp_path / "trainer_state.json").write_text(json.dumps(state))
    run = one(tmp_path)
    assert (run.resumes, run.finished) == ((5,), True)


def test_a_synced_wandb_run_has_its_config_beside(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "wandb-history.jsonl").write_text('{"_step": 1, "train/loss": 2}\n')
    (tmp_path / "files" / "config.yaml").write_text(
        "_wandb:\n  value: {}\nlearning_rate:\n  desc: null\n  value: 3.0e-05\n"
    )
    assert one(tmp_path).plan.facts.planned_lr == 3e-5


def test_a_folder_of_runs_gives_each_of_them(tmp_path: Path) -> None:
    record(tmp_path / "a")
    shutil.copytree(DATA / "hf-5.23.0" / "run", tmp_path / "b" / "run")
    shutil.copytree(DATA / "keras-3.5.0", tmp_path / "c")
    (tmp_path / "loop").symlink_to(tmp_path)
    found = sorted({h.format for h in read(tmp_path)})
    assert found == ["hf-trainer", "keras", "lrpilot"]


def test_no_name_of_a_machine_is_in_the_data() -> None:
    for file in DATA.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert b"/tmp/" not in content
            assert b"/root" not in content
            assert b"/home/" not in content


def test_every_format_has_its_own_name() -> None:
    names = [f.name for f in FORMATS]
    assert len(set(names)) == len(names)
