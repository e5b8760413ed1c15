"""The corpus comes from training: its cases, their labels, and one run made anew."""

from __future__ import annotations

import importlib
import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="module", autouse=True)
def scripts_can_import_each_other() -> Any:
    sys.path.insert(0, str(SCRIPTS))
    yield
    sys.path.remove(str(SCRIPTS))


def test_labels_on_file_are_those_of_the_cases() -> None:
    corpus, cases = (importlib.import_module(n) for n in ("doctor_corpus", "doctor_cases"))
    found = {case.name: corpus.label(case) for case in cases.cases()}
    assert found == json.loads((corpus.RESULTS / "labels.json").read_text())


def test_a_run_is_trained_and_logged_as_trainer_does(tmp_path: Path) -> None:
    corpus, cases = (importlib.import_module(n) for n in ("doctor_corpus", "doctor_cases"))
    (case,) = (c for c in cases.cases() if c.name == "no-schedule-digits-0.005-s31")
    corpus.make(case, tmp_path)
    made = json.loads((tmp_path / "trainer_state.json").read_text())
    kept = json.loads((corpus.RESULTS / "corpus" / case.name / "trainer_state.json").read_text())
    assert [e.keys() for e in made["log_history"]] == [e.keys() for e in kept["log_history"]]
    rates = [e["learning_rate"] for e in made["log_history"] if "learning_rate" in e]
    assert rates == [0.005] * len(rates)
    first, again = (next(e["loss"] for e in s["log_history"]) for s in (made, kept))
    assert first == pytest.approx(again, rel=1e-3)


def test_the_schedule_of_each_mistake() -> None:
    """Against shares worked out by hand, of a run of 100 steps."""
    training = importlib.import_module("doctor_training")

    def shares(**options: Any) -> list[float]:
        run = training.Run(training.Setup(task="digits", lr=1e-2, warmup=0.0, **options))
        return [run.share(s) for s in (0, 50, 99)]

    assert shares() == pytest.approx([1.0, 0.5, 0.01])
    assert shares(schedule_frac=2.0) == pytest.approx([1.0, 0.75, 0.505])
    assert shares(schedule_frac=0.5) == pytest.approx([1.0, 0.0, 0.0])
    assert shares(schedule="cosine")[1] == pytest.approx(0.5 * (1 + math.cos(math.pi / 2)))
    assert shares(resume_at=0.5) == pytest.approx([1.0, 1.0, 0.02])


def test_nobody_opens_the_test_part() -> None:
    training = importlib.import_module("doctor_training")
    run = training.Run(training.Setup(task="digits", lr=1e-2))
    with pytest.raises(AssertionError, match="test part"):
        len(run.work.test)
