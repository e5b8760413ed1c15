"""The engine: one report, one chance of a false alarm; JSON and SARIF of it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from diagnose_runs import EVALS, at, curve, decay, healthy, noisy, planned, with_series
from hypothesis import given, settings
from hypothesis import strategies as st

import lrpilot.diagnose
from lrpilot.diagnose import RULES, Diagnosis, Finding, History, Series, Unjudged, diagnose
from lrpilot.diagnose.advice import band, higher, lower
from lrpilot.diagnose.export import to_json, to_sarif
from lrpilot.errors import InputError


def ids(found: Diagnosis) -> list[str]:
    return [finding.rule for finding in found.findings]


def spoilt() -> History:
    return with_series(
        "train_loss", np.r_[np.full(50, 0.7), np.full(50, np.nan)], max_grad_norm=0.1
    )


@dataclass(frozen=True)
class Probe:
    """A rule that only remembers which alpha it was given."""

    id: str
    statistical: bool
    weight: float = 1.0
    answer: Finding | Unjudged | None = None
    title: str = "probe"
    severity: str = "info"
    needs: str = ""
    threshold: str = ""
    remedy: str = ""
    source: str = ""
    shows: str = ""
    seen: list[float] = field(default_factory=list)

    def check(self, history: History, *, alpha: float) -> Finding | Unjudged | None:
        self.seen.append(alpha)
        return self.answer


def test_a_healthy_run_gets_a_clean_bill_that_says_what_was_looked_at() -> None:
    found = diagnose(healthy())
    assert found.findings == ()
    known = {rule.id for rule in RULES}
    assert {*found.passed, *(u.rule for u in found.unjudged)} == known
    assert len(found.passed) > 25
    assert all(u.needs for u in found.unjudged)


def test_the_worst_comes_first_and_nothing_is_lost() -> None:
    found = diagnose(spoilt())
    assert ids(found)[0] == "not-finite"
    severities = [f.severity for f in found.findings]
    assert severities == sorted(severities, key=["error", "warning", "info"].index)
    assert len(found.findings) + len(found.passed) + len(found.unjudged) == len(RULES)


def test_alpha_is_shared_by_weight_among_the_statistical_rules_that_can_judge() -> None:
    big, small = Probe("a", True, weight=3.0), Probe("b", True)
    blind = Probe("c", True, weight=100.0, answer=Unjudged(rule="c", needs="x"))
    exact = Probe("d", False)
    diagnose(healthy(), alpha=0.04, rules=(big, small, blind, exact))  # type: ignore[arg-type]
    assert big.seen[-1] == pytest.approx(0.03)
    assert small.seen[-1] == pytest.approx(0.01)
    assert blind.seen == [0.04]
    assert exact.seen == [0.04]


@pytest.mark.parametrize("alpha", [0.0, 1.0, -1.0, float("nan")])
def test_an_impossible_alpha_is_refused(alpha: float) -> None:
    with pytest.raises(InputError, match="alpha"):
        diagnose(healthy(), alpha=alpha)


@pytest.mark.parametrize("sd", [0.002, 0.02, 0.1])
def test_a_healthy_run_gets_a_false_alarm_with_a_chance_of_at_most_5_percent(sd: float) -> None:
    runs, alarms = 150, 0
    for seed in range(runs):
        held = noisy(np.full(EVALS, 0.35), sd, seed)
        train = noisy(curve(100, start=0.7, end=0.3), 0.05, seed + 10_000)
        run = with_series("train_loss", train, eval_loss=Series.of(at(EVALS), held), score=None)
        alarms += bool(diagnose(run).findings)
    assert alarms / runs <= 0.05 + 2.5 * (0.05 * 0.95 / runs) ** 0.5


@settings(max_examples=15, deadline=None)
@given(scale=st.floats(0.01, 100.0), seed=st.integers(0, 50))
def test_findings_do_not_depend_on_the_unit_of_the_loss(scale: float, seed: int) -> None:
    held = noisy(np.linspace(1, 1.2, EVALS), 0.02, seed)
    train = noisy(curve(100), 0.05, seed)
    one = with_series("train_loss", train, eval_loss=Series.of(at(EVALS), held), task=None,
                      model=None, score=None, score_name=None)  # fmt: skip
    two = replace(
        one,
        train_loss=Series.of(at(100), scale * train),
        eval_loss=Series.of(at(EVALS), scale * held),
    )
    assert ids(diagnose(one)) == ids(diagnose(two))


ODD = [0.0, -0.0, 1.0, 1e-300, 1e300, -1e300, np.nan, np.inf, -np.inf]


def hostile(rng: np.random.Generator) -> Series | None:
    """A series of any length with anything in it, over and over; or none."""
    if rng.random() < 0.4:
        return None
    n, k = int(rng.choice([1, 2, 5, 12, 40, 130])), int(rng.integers(1, 13))
    part = [rng.choice(ODD) if rng.random() < 0.4 else rng.uniform(-1e3, 1e3) for _ in range(k)]
    return Series.of(np.cumsum(rng.integers(1, 500, n)), np.resize(part, n))


@pytest.mark.parametrize("seed", range(60))
def test_nothing_in_a_log_breaks_a_rule(seed: int) -> None:
    rng = np.random.default_rng(seed)
    fields = ("train_loss", "eval_loss", "score", "lr", "grad_norm", "epoch")
    old = hostile(rng)
    others = {} if old is None else {"general_loss": old, "batch_size": old}
    run = healthy(
        **{name: hostile(rng) for name in fields},
        others=others,
        finished=[True, False, None][seed % 3],
        task=[None, "sentiment"][seed % 2],
    )
    found = diagnose(run)
    assert json.dumps(to_json([found], alpha=0.05), allow_nan=False)
    assert len(found.findings) + len(found.passed) + len(found.unjudged) == len(RULES)


def test_a_plan_is_judged_without_any_series() -> None:
    found = diagnose(planned(evaluates=False, schedule="constant", planned_lr=1.0))
    assert {"no-validation", "no-schedule", "lr-above-band", "optimizer-rate"} <= set(ids(found))


def test_what_was_not_read_is_said() -> None:
    assert diagnose(healthy(unread=("a line was broken",))).unread == ("a line was broken",)


def test_a_rate_that_failed_is_never_advised_again() -> None:
    run = healthy(lr=decay(peak=1e-3))
    down, up = lower(run), higher(healthy(lr=decay(peak=1e-8)))
    assert down is not None
    assert up is not None
    assert down.low <= down.lr <= down.high < 1e-3
    assert up.lr > 1e-8
    found = band(run)
    assert found is not None
    assert down.lr == found.peak_lr
    assert "published recipes" in down.because


def test_without_facts_the_advice_rests_on_the_run_and_says_so() -> None:
    run = healthy(model=None, task=None, lr=decay(peak=1e-3))
    down = lower(run)
    assert down is not None
    assert down.lr == pytest.approx(1e-4)
    assert "--model" in down.because
    assert lower(healthy(lr=None, planned_lr=None)) is None


def test_json_is_plain_and_complete() -> None:
    document = to_json([diagnose(spoilt()), diagnose(healthy())], alpha=0.05)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    first, second = document["runs"]
    assert first["worst"] == "error"
    assert second["worst"] is None
    assert {"rule", "severity", "summary", "remedy", "figures", "advice"} <= set(
        first["findings"][0]
    )


def test_infinite_figures_are_words_in_json() -> None:
    finding = Finding(rule="x", severity="info", summary="s", figures={"a": float("inf")})
    found = Diagnosis(where="w", format="f", findings=(finding,), passed=(), unjudged=())
    assert to_json([found], alpha=0.05)["runs"][0]["findings"][0]["figures"] == {"a": "inf"}


def test_sarif_has_what_the_standard_requires() -> None:
    log = to_sarif([diagnose(replace(spoilt(), where="a b/run.csv"))], RULES, version="1.2.3")
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"]
    assert driver["version"] == "1.2.3"
    assert [rule["id"] for rule in driver["rules"]] == [rule.id for rule in RULES]
    assert all(re.fullmatch(r"[A-Z][A-Za-z0-9]+", rule["name"]) for rule in driver["rules"])
    assert run["results"]
    for result in run["results"]:
        assert result["level"] in ("none", "note", "warning", "error")
        assert result["message"]["text"]
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        place = result["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"] == "a%20b/run.csv"
        assert place["region"]["startLine"] >= 1
    assert json.dumps(log, allow_nan=False)


def test_the_package_gives_the_rules_when_asked() -> None:
    assert lrpilot.diagnose.RULES is RULES
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = lrpilot.diagnose.nothing_like_it  # type: ignore[attr-defined]
