"""`lrpilot doctor`: exit status, formats, options, and one clear line for what is wrong."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from diagnose_runs import at, curve, noisy

from lrpilot.cli import main
from lrpilot.cli._doctor_text import sparkline
from lrpilot.diagnose import RULES, Series, diagnose
from lrpilot.diagnose.readers import read


def write_log(path: Path, *, spoilt: bool = False, constant: bool = False) -> Path:
    """A CSV of 100 steps with a validation each five; `spoilt`: its loss rises from half-way on."""
    train = noisy(curve(100, start=0.7, end=0.3), 0.02)
    held = noisy(curve(20, start=0.7, end=0.35), 0.002, 1)
    if spoilt:
        held = held * (1 + 0.5 * np.clip(np.linspace(-1, 1, 20), 0, 1))
    t = at(100, 100) / 100
    lr = np.full(100, 2e-5) if constant else 2e-5 * np.minimum(t / 0.06, (1 - t) / 0.94)
    lines = ["step,loss,learning_rate,eval_loss"]
    for i in range(100):
        last = f"{held[i // 5]:.5f}" if i % 5 == 4 else ""
        lines.append(f"{i + 1},{train[i]:.5f},{lr[i]:.4g},{last}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def doctor(*argv: object) -> int:
    return main(["doctor", *map(str, argv)])


def test_a_healthy_run_is_status_0_with_a_clean_bill(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor(write_log(tmp_path / "run.csv")) == 0
    said = capsys.readouterr().out
    assert "nothing wrong found" in said
    assert "looked at, fine" in said
    assert "cannot judge" in said


def test_what_cannot_be_judged_is_told_in_short_unless_all_is_wanted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_log(tmp_path / "run.csv")
    doctor(path)
    short = " ".join(capsys.readouterr().out.split())
    doctor(path, "--verbose")
    whole = " ".join(capsys.readouterr().out.split())
    left = int(re.search(r"and (\d+) more rules", short)[1])  # type: ignore[index]
    assert left >= 5
    assert "more rules" not in whole
    blind = {item.rule for item in diagnose(read(path)[0]).unjudged}
    assert all(f"{rule}" in whole for rule in blind)
    told = short.split("cannot judge:")[1]
    assert len([rule for rule in blind if rule not in told]) == left


def test_findings_are_status_1_with_steps_figures_a_drawing_and_a_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor(write_log(tmp_path / "run.csv", spoilt=True)) == 1
    said = capsys.readouterr().out
    assert "overfitting  steps" in said
    assert "▁" in said
    assert "load_best_model_at_end" in said


@pytest.mark.parametrize(("level", "status"), [("info", 1), ("warning", 1), ("error", 0),
                                               ("never", 0)])  # fmt: skip
def test_fail_on_sets_what_is_status_1(tmp_path: Path, level: str, status: int) -> None:
    path = write_log(tmp_path / "run.csv", constant=True)  # no-schedule: a warning
    assert doctor(path, "--fail-on", level) == status


def test_json_is_one_document_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [write_log(tmp_path / "a.csv"), write_log(tmp_path / "b.csv", spoilt=True)]
    assert doctor(*paths, "--format", "json") == 1
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert [run["worst"] for run in document["runs"]] == [None, "error"]
    assert said.err == ""


def test_sarif_is_one_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_log(tmp_path / "run.csv", spoilt=True)
    assert doctor(path, "--format", "sarif") == 1
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    assert "overfitting" in [result["ruleId"] for result in run["results"]]


def test_options_complete_what_the_log_does_not_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_log(tmp_path / "run.csv")
    options = ("--model", "bert-base-uncased", "--task", "sentiment", "--method", "lora",
               "--optimizer", "adamw", "--eval-examples", "20", "--format", "json")  # fmt: skip
    assert doctor(path, *options) == 1
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    found = {finding["rule"]: finding for finding in run["findings"]}
    assert {"lora-rate", "eval-too-small"} <= set(found)
    advice = found["lora-rate"]["advice"]
    assert advice["low"] <= advice["lr"] <= advice["high"]
    assert "optimizer-rate" in run["passed"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_explain_says_everything_about_a_rule(
    rule: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor("--explain", rule.id) == 0  # type: ignore[attr-defined]
    said = capsys.readouterr().out
    assert all(word in said for word in ("looks at", "threshold", "remedy", "source"))


def test_list_names_every_rule(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor("--list") == 0
    said = capsys.readouterr().out
    assert all(rule.id in said for rule in RULES)


@pytest.mark.parametrize(
    ("argv", "word"),
    [([], "PATH"), (["nowhere.csv"], "nowhere.csv"), (["--explain", "nothing"], "overfitting"),
     (["x", "--alpha", "2"], "x")],
)  # fmt: skip
def test_bad_input_is_one_line_and_status_2(
    argv: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor(*argv) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("lrpilot: ")
    assert said.err.count("\n") == 1
    assert word in said.err


def test_a_hook_may_pass_over_what_is_no_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "notes.py"
    other.write_text("print(1)\n", encoding="utf-8")
    run = write_log(tmp_path / "run.csv")
    assert doctor(other) == 2
    capsys.readouterr()
    assert doctor(other, run, "--skip-unreadable", "--format", "json") == 0
    said = capsys.readouterr()
    assert len(json.loads(said.out)["runs"]) == 1
    assert "notes.py" in said.err
    assert doctor(other, "--skip-unreadable") == 0


def test_an_impossible_fact_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor(write_log(tmp_path / "run.csv"), "--batch-size", "-3") == 2
    assert "batch_size" in capsys.readouterr().err


def test_a_start_loads_no_torch(tmp_path: Path) -> None:
    path = write_log(tmp_path / "run.csv")
    code = (
        "import sys; from lrpilot.cli import main;"
        "main(['doctor', sys.argv[1], '--format', 'json']);"
        "print([m for m in ('torch', 'transformers', 'pandas', 'plotly') if m in sys.modules],"
        "file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "[]"


def test_the_drawing_marks_what_is_not_finite() -> None:
    line, low, high = sparkline(Series.of(range(4), [1.0, 2.0, float("nan"), 3.0]))
    assert line == "▁▄!█" or line == "▁▅!█"
    assert (low, high) == (1.0, 3.0)
    assert len(sparkline(Series.of(range(1000), np.arange(1000.0)), width=10)[0]) == 10
