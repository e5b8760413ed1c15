"""The evidence of the doctor: its corpus is whole, its counting is right, its promises hold."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="module", autouse=True)
def scripts_can_import_each_other() -> Any:
    sys.path.insert(0, str(SCRIPTS))
    yield
    sys.path.remove(str(SCRIPTS))


def script(name: str) -> ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


LABEL = {"mistake": "m", "must": [["a", "b"], ["c"]], "must_log_only": [["a"]], "may": ["d"]}


def test_a_group_needs_one_of_its_rules_and_side_effects_are_no_alarms() -> None:
    score = script("doctor_score")
    found = [score.Said((w,), "warning", w) for w in ("b", "d", "e")]
    verdict = score.judge("x", LABEL, found, with_plan=True)
    assert (verdict.groups, verdict.hit, verdict.missed) == (2, 1, ("c",))
    assert [s.name for s in verdict.right] == ["b", "d"]
    assert [s.name for s in verdict.wrong] == ["e"]


def test_without_the_plan_less_is_asked_and_as_much_is_allowed() -> None:
    score = script("doctor_score")
    verdict = score.judge("x", LABEL, [score.Said(("c",), "info", "c")], with_plan=False)
    assert (verdict.groups, verdict.hit) == (1, 0)
    assert not verdict.wrong


def test_the_interval_of_a_share() -> None:
    """Against values worked out by hand: no hit of ten, Wilson's upper end is z2 / (n + z2)."""
    wilson = script("doctor_score").wilson
    assert wilson(0, 10) == (0.0, pytest.approx(1.96**2 / (10 + 1.96**2)))
    low, high = wilson(50, 100)
    assert low + high == pytest.approx(1.0)
    assert wilson(0, 0) == (0.0, 1.0)


def test_every_word_of_the_labels_is_a_rule_or_a_word_for_one() -> None:
    from lrpilot.diagnose import RULES

    score = script("doctor_score")
    known = {rule.id for rule in RULES}
    means = {w for words in score.NAMES.values() for w in words}
    asked = {w for label in score.labels().values() for group in label["must"] for w in group}
    assert asked <= known | means


def test_the_corpus_is_as_large_as_it_has_to_be() -> None:
    labels = script("doctor_score").labels()
    healthy = [n for n, label in labels.items() if label["mistake"] == "healthy"]
    assert len(labels) >= 100
    assert len(healthy) >= 25
    assert not any(labels[n]["must"] for n in healthy)


def test_every_history_has_the_layout_that_trainer_writes() -> None:
    score = script("doctor_score")
    for name in score.labels():
        state = json.loads((score.CORPUS / name / "trainer_state.json").read_text())
        assert {"log_history", "global_step", "max_steps", "best_metric", "epoch"} <= state.keys()
        steps = [entry["step"] for entry in state["log_history"]]
        assert steps == sorted(steps)
        assert steps[-1] == state["global_step"]


def test_the_articles_mistakes_are_all_found_and_healthy_runs_pass() -> None:
    score = script("doctor_score")
    verdicts = score.ours(with_plan=True)
    for verdict in verdicts:
        if verdict.mistake in score.ARTICLE:
            assert not verdict.missed, verdict.name
    healthy = [v for v in verdicts if v.mistake == "healthy"]
    alarmed = [v.name for v in healthy if any(s.loud for s in v.wrong)]
    assert len(alarmed) <= 0.05 * len(healthy), alarmed


def test_the_peers_findings_are_translated() -> None:
    peers = script("doctor_peers")
    clipped = peers.translate("trainspotter", "grad_norm", "info", "Gradient clipping saturated")
    assert clipped.means == ("clipping-always",)
    other = peers.translate("trainspotter", "grad_norm", "warning", "Gradient-norm explosion")
    assert "lr-too-high" in other.means
    assert peers.translate("losslint", "new_check", "error", "").means == ()


def test_simulated_truth() -> None:
    """Without noise: overfitting ends worse by what was asked, healthy curves never rise."""
    series = script("doctor_series")
    t = np.linspace(0.0, 1.0, 101)
    for rise in (0.03, 0.5):
        values = series.overfitting(rise).validation(t)
        assert values[-1] / series.learning(t)[-1] == pytest.approx(1 + rise)
        assert (np.diff(values[t <= series.TURN]) <= 0).all()
    for shape in series.HEALTHY.values():
        assert (np.diff(shape.validation(t)) <= 1e-12).all()


@pytest.mark.parametrize("name", ["converged", "converged, noise correlated by 0.5",
                                  "converged, Student's tails, 3 degrees"])  # fmt: skip
def test_simulated_noise_has_the_spread_that_is_asked_for(name: str) -> None:
    series = script("doctor_series")
    shape = series.HEALTHY[name]
    values = [series.noise(np.random.default_rng(i), 50, shape) for i in range(400)]
    assert np.std(values) == pytest.approx(1.0, abs=0.1)


def test_both_doctors_see_the_same_series() -> None:
    series = script("doctor_series")
    made = series.simulate(series.HEALTHY["still improving"], 0.01, 10, seed=3)
    entries = json.loads(series.as_trainer_state(made))["log_history"]
    history = series.as_history(made)
    assert [e["eval_loss"] for e in entries if "eval_loss" in e] == list(history.eval_loss.values)
    assert [e["loss"] for e in entries if "loss" in e] == list(history.train_loss.values)


def test_tables_go_between_their_markers(tmp_path: Path) -> None:
    document = tmp_path / "a.md"
    document.write_text("x\n<!-- t: begin -->\nold\n<!-- t: end -->\ny\n")
    script("doctor_score").write_between("t", "new", document)
    assert document.read_text() == "x\n<!-- t: begin -->\nnew\n<!-- t: end -->\ny\n"


def test_our_level_is_moved_to_a_peers_false_alarms(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Ten healthy runs with p-values of 0 to .9, two alarms of the peer: what lies below .2."""
    alarms = script("doctor_false_alarms")
    for name, value in (("NOISES", (0.01,)), ("POWER_LENGTHS", (10,)), ("RISES", (0.1,))):
        monkeypatch.setattr(alarms, name, value)
    monkeypatch.setattr(alarms, "COUNTS", tmp_path / "counts.json")
    flat = alarms.HEALTHY["converged"]
    monkeypatch.setattr(
        alarms,
        "doubt",
        lambda shape, sd, n, seed: seed / 10 if shape is flat else seed / 100 + 0.15,
    )
    peer = alarms.PEERS[1]
    named = alarms.key(("named", "converged", 0.01, 10))
    counts = {named: {peer: [2, 10]}}
    alarms.run_matched(10, counts)
    cell = alarms.key(("overfitting", "0.1", 0.01, 10))
    assert counts[cell] == {alarms.at_alarms_of(peer): [5, 10]}  # .15 to .19


def test_our_rule_needs_less_doubt_where_more_rises() -> None:
    alarms = script("doctor_false_alarms")
    doubts = [alarms.doubt(alarms.overfitting(rise), 0.01, 20, seed=1) for rise in (0.03, 0.3)]
    assert doubts[1] < 0.01 < doubts[0] <= 1.0


def test_a_peer_ahead_is_printed_bold() -> None:
    alarms = script("doctor_false_alarms")
    peer = alarms.PEERS[0]
    ours = alarms.at_alarms_of(peer)
    assert alarms.versus({peer: [90, 100], ours: [50, 100]}, peer).startswith("**90")
    assert alarms.versus({peer: [55, 100], ours: [50, 100]}, peer).startswith("55")
    assert alarms.versus({}, peer) == "-"
