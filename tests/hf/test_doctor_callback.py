"""The doctor in transformers' Trainer, with the autopilot and without."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from lrpilot.diagnose import BasicRule, Finding, History, Seen  # noqa: E402
from lrpilot.record import RunRecord  # noqa: E402
from lrpilot.transformers import AutopilotCallback, DoctorCallback  # noqa: E402


def net() -> Any:
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=30, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=16, num_labels=2,
    )  # fmt: skip
    return transformers.BertForSequenceClassification(config)


def rows(count: int, seed: int) -> list[dict[str, Any]]:
    words = torch.randint(5, 30, (count, 8), generator=torch.Generator().manual_seed(seed))
    return [{"input_ids": w.tolist(), "labels": int(w[0] > 17)} for w in words]


def trainer(folder: Path, callback: Any, **arguments: Any) -> Any:
    settings = {
        "max_steps": 24, "per_device_train_batch_size": 8, "learning_rate": 5e-5, "seed": 3,
        "report_to": [], "disable_tqdm": True, "dataloader_pin_memory": False,
        "logging_steps": 1, "eval_strategy": "steps", "eval_steps": 4,
        "save_strategy": "steps", "save_steps": 12, **arguments,
    }  # fmt: skip
    made = transformers.Trainer(
        model=net(), args=transformers.TrainingArguments(str(folder), **settings),
        train_dataset=rows(96, 1), eval_dataset=rows(40, 2), callbacks=[callback],
    )  # fmt: skip
    made.remove_callback(transformers.PrinterCallback)
    return made


def counting(name: str, least: int) -> BasicRule:
    def look(run: History, alpha: float) -> Seen | None:
        loss = run.eval_loss
        if loss is None or len(loss) < least:
            return None
        return Seen(summary=f"{least} by {loss.steps[-1]:g}")

    return BasicRule(
        id=name, title="", severity="warning", needs="", threshold="", remedy="wait", source="",
        look=look,
    )  # fmt: skip


RULES = (counting("second", 2), counting("fifth", 5), counting("plateau", 1))


def test_it_speaks_once_at_the_evaluation_that_shows_it(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("lrpilot.diagnose.rules.RULES", RULES)
    heard: list[Finding] = []
    trainer(tmp_path, DoctorCallback(on_finding=heard.append)).train()
    assert [(f.rule, f.summary) for f in heard] == [
        ("second", "2 by 8"), ("fifth", "5 by 20"), ("plateau", "1 by 24"),
    ]  # fmt: skip


def test_after_a_resume_it_repeats_nothing(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("lrpilot.diagnose.rules.RULES", RULES)
    trainer(tmp_path, DoctorCallback(on_finding=lambda f: None)).train()
    heard: list[str] = []
    again = trainer(tmp_path, DoctorCallback(on_finding=lambda f: heard.append(f.rule)))
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-12"))
    assert heard == ["fifth", "plateau"]


def test_without_a_listener_it_writes_to_the_log(
    tmp_path: Path, monkeypatch: Any, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("lrpilot.diagnose.rules.RULES", RULES[:1])
    with caplog.at_level(logging.WARNING, logger="lrpilot"):
        trainer(tmp_path, DoctorCallback()).train()
    assert [r.message for r in caplog.records if r.name == "lrpilot"] == ["warning: 2 by 8. wait."]


def test_it_changes_nothing(tmp_path: Path) -> None:
    watched = trainer(tmp_path / "a", DoctorCallback(on_finding=lambda f: None))
    watched.train()
    alone = trainer(tmp_path / "b", transformers.TrainerCallback())
    alone.train()
    for a, b in zip(watched.model.parameters(), alone.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_real_rules_see_a_constant_rate_without_validation(tmp_path: Path) -> None:
    heard: list[str] = []
    trainer(
        tmp_path, DoctorCallback(on_finding=lambda f: heard.append(f.rule)),
        eval_strategy="no", lr_scheduler_type="constant",
    ).train()  # fmt: skip
    assert {"no-validation", "no-schedule"} <= set(heard)


def test_the_autopilot_brings_it_along(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("lrpilot.diagnose.rules.RULES", RULES)
    pilot = AutopilotCallback(record=tmp_path / "run.jsonl", start_lr=1e-2)
    trainer(tmp_path, pilot, eval_strategy="no").train()
    assert [f.rule for f in pilot.findings] == ["second", "fifth", "plateau"]
    assert [e["rule"] for e in RunRecord.read(tmp_path).of("finding")] == [
        "second", "fifth", "plateau",
    ]  # fmt: skip


def test_the_autopilot_resumes_without_repeating(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("lrpilot.diagnose.rules.RULES", RULES)
    trainer(
        tmp_path, AutopilotCallback(start_lr=1e-5, policy="validation"), eval_strategy="no"
    ).train()
    pilot = AutopilotCallback(start_lr=1e-5, policy="validation")
    again = trainer(tmp_path, pilot, eval_strategy="no")
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-12"))
    assert [f.rule for f in pilot.findings] == ["plateau"]
