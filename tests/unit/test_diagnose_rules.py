"""Every rule fires on a run with its mistake and stays silent on one without."""

from __future__ import annotations

import numpy as np
import pytest
from diagnose_runs import (
    EVALS,
    STEPS,
    at,
    curve,
    decay,
    healthy,
    noisy,
    planned,
    with_series,
)

from lrpilot.diagnose import RULES, Finding, Group, History, Series, Unjudged

BY_ID = {rule.id: rule for rule in RULES}
TRAIN = curve(100, start=0.7, end=0.3)
EVAL = curve(EVALS, start=0.7, end=0.35)
FLAT = noisy(np.full(100, 0.69), 0.01)
FLAT_EVAL = noisy(np.full(EVALS, 0.69), 0.002, 1)
NO_SCORE = {"score": None, "score_name": None}
CONSTANT = Series.of(at(100), np.full(100, 2e-5))
SHALLOW = noisy(curve(100, start=0.7, end=0.6), 0.01)
CONVERGED = noisy(curve(EVALS, time=0.05), 0.001)
SPOILT = noisy(0.35 * (1 + 0.3 * np.clip(np.linspace(-0.9, 1, EVALS), 0, 1)), 0.005)
U = np.linspace(0, 1, 101)[1:]
V = np.linspace(0, 1, EVALS + 1)[1:]


def stairs(falls: float) -> History:
    """Training losses that fall at epoch boundaries only."""
    epoch = Series.of(at(100), np.linspace(0, 4, 101)[1:])
    level = 1.0 - falls * np.minimum(3, np.floor(np.linspace(0, 4, 101)[1:] - 1e-9))
    return healthy(train_loss=Series.of(at(100), noisy(level, 0.01)), epoch=epoch)


def epochs(ratio: float) -> History:
    """Half-way every step sees `ratio` times as many examples; the rate stays."""
    pace = np.where(U <= 0.5, 1.0, ratio)
    passes = Series.of(at(100), np.cumsum(pace) / 50)
    return healthy(epoch=passes, lr=CONSTANT, schedule="constant")


def grown(values: np.ndarray, share: float) -> np.ndarray:
    """The values, rising by a share over their second half."""
    t = np.linspace(0, 1, values.size)
    return np.asarray(values * (1 + share * np.clip(2 * t - 1, 0, 1)))


def restarted() -> Series:
    lr = decay().values.copy()
    lr[60:] = lr[6:46]
    return Series.of(at(100), lr)


def spiked(height: float, *places: int) -> np.ndarray:
    values = noisy(TRAIN, 0.05)
    values[list(places)] = height
    return values


def layers(*rates: float) -> tuple[Group, ...]:
    return tuple(Group(name=f"layer.{i}", lr=lr) for i, lr in enumerate(rates))


def overflowing(count: int) -> Series:
    values = np.full(100, 2.0)
    values[::2][:count] = np.inf
    return Series.of(at(100), values)


def old(values: np.ndarray) -> dict[str, Series]:
    return {"eval_pretraining_loss": Series.of(at(EVALS), values)}


NAN_TAIL = np.r_[TRAIN[:60], np.full(40, np.nan)]
STORM = np.r_[0.7, noisy(np.full(15, 9.0), 0.3), noisy(np.full(84, 0.69), 0.02)]
WILD = np.r_[0.7, noisy(np.full(59, 2.0), 0.6, 3).clip(0.71), TRAIN[60:]]
EXPLODING = noisy(np.r_[np.full(20, 0.3), np.full(80, 60.0)], 0.3, 4)
DIVERGED = Series.of(at(100), grown(TRAIN, 2.0))
REVERSED = healthy(lr=Series.of(at(100), np.full(100, 0.8)), layerwise_decay=1.4)  # lowest layer's
ERRORS = {"eval_examples": None, "score": None}
FIRES: dict[str, list[History]] = {
    "not-finite": [with_series("train_loss", NAN_TAIL), with_series("eval_loss", [0.7, np.inf, 1])],
    "nothing-trains": [
        with_series("train_loss", np.full(100, 0.6931)),
        with_series("grad_norm", np.zeros(100)),
        with_series("lr", np.zeros(100)),
    ],
    "lr-too-high": [
        with_series("train_loss", STORM),
        with_series("train_loss", noisy(np.where(U < 0.6, TRAIN, 3 * TRAIN), 0.05)),
        with_series("train_loss", FLAT, lr=decay(peak=1.0), eval_loss=None, **NO_SCORE),
        with_series("train_loss", [10, 8, 8, 9, 20, 25], eval_loss=None, **NO_SCORE),
        with_series("eval_loss", np.r_[300.0, EVAL[1:]], train_loss=Series.of(at(100), WILD)),
        healthy(
            train_loss=Series.of(at(100), SHALLOW),
            eval_loss=Series.of(at(EVALS), noisy(np.full(EVALS, 0.69), 0.05)),
            score=Series.of(at(EVALS), np.full(EVALS, 0.5)),
        ),
        healthy(
            train_loss=Series.of(at(100), SHALLOW), grad_norm=Series.of(at(100), EXPLODING),
        ),
    ],
    "lr-too-low": [with_series("train_loss", FLAT, eval_loss=None, **NO_SCORE)],
    "loss-spikes": [
        with_series("train_loss", spiked(3.0, 50)),
        with_series("eval_loss", np.r_[EVAL[:12], 0.9, EVAL[13:]], train_loss=None),
    ],
    "loss-oscillates": [with_series("eval_loss", EVAL * (1 + 0.5 * (-1.0) ** np.arange(EVALS)))],
    "overfitting": [
        with_series("eval_loss", noisy(grown(EVAL, 0.1), 0.005)),
        with_series("score", noisy(0.9 - 0.1 * np.clip(2 * V - 1, 0, 1), 0.002), eval_loss=None),
    ],
    "underfitting": [
        with_series("train_loss", SHALLOW, eval_loss=None, **NO_SCORE)
    ],
    "no-validation": [healthy(eval_loss=None, **NO_SCORE), planned(evaluates=False)],
    "no-schedule": [
        with_series("lr", np.full(100, 2e-5), schedule=None),
        planned(schedule="constant_with_warmup"),
    ],
    "lr-above-band": [planned(planned_lr=1e-2)],
    "lr-below-band": [planned(planned_lr=1e-8)],
    "lr-above-pretraining": [planned(initial_lr=1e-5)],
    "optimizer-rate": [
        planned(planned_lr=0.1),
        planned(optimizer="sgd", planned_lr=1e-5),
        planned(optimizer="lion", planned_lr=3e-2),
        planned(optimizer="adafactor", planned_lr=0.3),
        planned(optimizer="adafactor-relative", planned_lr=0.3),
    ],
    "self-tuned-rate": [planned(optimizer="prodigy", planned_lr=1e-4)],
    "lora-rate": [planned(method="lora", planned_lr=1e-5), planned(planned_lr=2e-3)],
    "head-rate": [planned(new_head=True, steps=50)],
    "layerwise-reversed": [planned(layerwise_decay=1.2), planned(groups=layers(3e-5, 2e-5, 1e-5))],
    "batch-not-scaled": [epochs(8.0), epochs(0.25)],
    "schedule-mismatch": [
        planned(schedule_steps=STEPS // 2),
        planned(schedule_steps=STEPS * 2),
        with_series("lr", np.maximum(0.0, 2e-5 * (1 - 2 * U)), schedule_steps=None),
        with_series("lr", 2e-5 * (1 - U / 2), schedule_steps=None),
    ],
    "lr-restarted": [healthy(lr=restarted(), resumes=(600,)), healthy(lr=restarted())],
    "warmup-too-long": [
        planned(warmup_steps=STEPS * 2),
        planned(warmup_steps=600),
        with_series("lr", 2e-5 * U, warmup_steps=None),
    ],
    "no-warmup": [
        planned(warmup_steps=0, planned_lr=4e-4),
        with_series("train_loss", np.r_[0.7, np.full(10, 1.2), TRAIN[11:]], warmup_steps=0),
    ],
    "first-step-wasted": [
        healthy(lr=Series.of(np.arange(1, 21), 1e-5 * np.r_[0:10, 10:0:-1]), steps=20)
    ],
    "budget-too-short": [
        with_series("train_loss", noisy(2 - U, 0.01), eval_loss=None, lr=CONSTANT)
    ],
    "plateau": [
        with_series("eval_loss", CONVERGED, lr=CONSTANT)
    ],
    "loss-stairs": [stairs(0.25)],
    "forgetting": [
        healthy(others=old(noisy(2 + V, 0.01))),
        healthy(others=old(np.r_[2.0, noisy(np.full(9, 3.0), 0.01), noisy(np.full(10, 2), 0.01)])),
    ],
    "label-leak": [with_series("train_loss", np.full(100, 0.01) * (1 + 0.1 * np.sin(at(100))))],
    "best-not-kept": [
        with_series("eval_loss", SPOILT, keeps_best=False),
        with_series("eval_loss", SPOILT, keeps_best=None, checkpoints=(1000,)),
    ],
    "metric-direction": [
        planned(metric_mode="min"),
        planned(metric="eval_loss", metric_mode="max"),
    ],
    "eval-on-train": [
        planned(eval_on_train=True),
        with_series(
            "train_loss", noisy(curve(100, start=1.6, end=0.05), 0.05), eval_on_train=None,
            eval_loss=Series.of(at(EVALS), curve(EVALS, start=1.6, end=0.005)),
        ),
    ],
    "eval-too-rare": [
        with_series("eval_loss", [0.5, 0.4], score=None),
        planned(eval_every_steps=400),
    ],
    "eval-too-small": [
        planned(eval_examples=20),
        healthy(eval_loss=Series.of(at(5), EVAL[:5], errors=np.full(5, 0.5)), **ERRORS),
    ],
    "fp16-overflow": [
        healthy(skipped_steps=200, precision="fp16"),
        healthy(grad_norm=overflowing(20), precision="fp16"),
    ],
    "clipping-always": [healthy(max_grad_norm=0.5)],
    "frozen-parameters": [planned(groups=(Group(name="body", lr=1e-5, params=10, frozen=True),))],
}  # fmt: skip

SILENT: dict[str, list[History]] = {
    "not-finite": [with_series("grad_norm", np.r_[2.0, np.inf, np.full(98, 2.0)])],
    "lr-too-high": [
        with_series("train_loss", noisy(grown(TRAIN, 0.02), 0.05)),
        with_series("train_loss", spiked(3.0, 50)),
        with_series("train_loss", FLAT),
    ],
    "lr-too-low": [
        with_series("train_loss", STORM, eval_loss=None, **NO_SCORE),
        with_series("train_loss", [10, 8, 8, 9, 20, 25], eval_loss=None, **NO_SCORE),
        with_series("train_loss", FLAT, lr=Series.of(at(100), np.zeros(100))),
        with_series("train_loss", FLAT),
    ],
    "no-schedule": [with_series("lr", np.zeros(100), schedule=None)],
    "loss-oscillates": [with_series("eval_loss", noisy(EVAL, 0.1, 3))],
    "overfitting": [
        with_series("eval_loss", noisy(EVAL, 0.05, 4)),
        healthy(eval_loss=Series.of(at(EVALS), grown(EVAL, 0.5)), train_loss=DIVERGED),
    ],
    "no-validation": [planned(), healthy(eval_loss=None)],
    "optimizer-rate": [
        planned(optimizer="sgd", planned_lr=1e-2),
        planned(optimizer="lion"),
        REVERSED,
    ],
    "self-tuned-rate": [planned(optimizer="prodigy", planned_lr=1.0)],
    "lora-rate": [planned(method="lora", planned_lr=2e-4)],
    "lr-above-pretraining": [planned(initial_lr=1e-4), planned(method="lora", initial_lr=1e-5)],
    "layerwise-reversed": [planned(layerwise_decay=0.9), planned(groups=layers(1e-5, 2e-5, 3e-5))],
    "batch-not-scaled": [epochs(1.0)],
    "lr-restarted": [
        healthy(lr=restarted(), schedule="cosine_with_restarts"),
        healthy(lr=restarted(), format="lrpilot"),
    ],
    "no-warmup": [planned(warmup_steps=0, planned_lr=1e-5)],
    "plateau": [with_series("eval_loss", CONVERGED)],
    "loss-stairs": [stairs(0.0)],
    "forgetting": [healthy(others=old(noisy(np.full(EVALS, 2.0), 0.01, 5)))],
    "best-not-kept": [
        with_series("eval_loss", SPOILT, keeps_best=True),
        with_series("eval_loss", SPOILT, keeps_best=None, checkpoints=(500,)),
    ],
    "fp16-overflow": [healthy(skipped_steps=4, precision="fp16")],
    "clipping-always": [healthy(max_grad_norm=0.0)],
    "frozen-parameters": [planned(groups=(Group(name="body", lr=1e-5, params=10),))],
    "head-rate": [planned(new_head=True), planned(new_head=False, steps=50)],
    "eval-too-small": [
        healthy(eval_loss=Series.of(at(5), EVAL[:5], errors=np.full(5, 0.01)), **ERRORS),
    ],
}  # fmt: skip
ALPHA = 0.002  # what a rule gets at least in a whole report, roughly


def cases(table: dict[str, list[History]]) -> list[object]:
    return [pytest.param(n, r, id=f"{n}-{i}") for n, rs in table.items() for i, r in enumerate(rs)]


def test_every_rule_has_a_run_on_which_it_fires() -> None:
    assert set(FIRES) == set(BY_ID)
    assert len(BY_ID) == len(RULES) >= 30


@pytest.mark.parametrize(("name", "run"), cases(FIRES))
def test_fires(name: str, run: History) -> None:
    found = BY_ID[name].check(run, alpha=ALPHA)
    assert isinstance(found, Finding), found
    assert found.rule == name
    assert found.summary
    assert found.remedy
    assert found.source
    assert (
        found.first_step is None or found.last_step is None or found.first_step <= found.last_step
    )


@pytest.mark.parametrize(("name", "run"), cases(SILENT))
def test_stays_silent(name: str, run: History) -> None:
    assert BY_ID[name].check(run, alpha=ALPHA) is None


@pytest.mark.parametrize(("end", "severity"), [(2.3, "warning"), (2.1, "info")])
def test_what_was_forgotten_early_and_came_back_in_part(end: float, severity: str) -> None:
    worse = np.linspace(2.4, end, 15) + 0.0185 * np.random.default_rng(4).standard_normal(15)
    share = 0.05 * BY_ID["forgetting"].weight / sum(r.weight for r in RULES if r.statistical)
    run = healthy(others={"eval_pretraining_loss": Series.of(at(16), np.r_[2.03, worse])})
    found = BY_ID["forgetting"].check(run, alpha=share)
    assert isinstance(found, Finding)
    assert found.severity == severity


@pytest.mark.parametrize("name", BY_ID)
def test_stays_silent_on_a_healthy_run(name: str) -> None:
    assert not isinstance(BY_ID[name].check(healthy(), alpha=ALPHA), Finding)


@pytest.mark.parametrize("name", BY_ID)
def test_an_empty_history_is_not_judged(name: str) -> None:
    answer = BY_ID[name].check(History(where="x", format="csv"), alpha=ALPHA)
    assert isinstance(answer, Unjudged), answer
    assert answer.needs


@pytest.mark.parametrize("name", BY_ID)
def test_says_who_it_is(name: str) -> None:
    rule = BY_ID[name]
    assert rule.id == rule.id.lower().replace("_", "-")
    assert all((rule.title, rule.needs, rule.threshold, rule.remedy, rule.source))
    assert any(w in rule.threshold for w in ("assumed", "measured", "paper", "exact", "closed form",
                                             "article"))  # fmt: skip
    assert rule.weight > 0
