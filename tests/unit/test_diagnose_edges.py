"""Each rule on both sides of its thresholds: how bad, nothing, or not to be judged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from diagnose_runs import EVALS, STEPS, at, curve, decay, healthy, noisy, planned, with_series

from lrpilot.diagnose import RULES, Finding, Group, History, Series, Unjudged

BY_ID = {rule.id: rule for rule in RULES}
U = np.linspace(0, 1, 101)[1:]
EVAL = curve(EVALS, start=0.7, end=0.35)
TRAIN = curve(100, start=0.7, end=0.3)
FLAT = noisy(np.full(100, 0.69), 0.01)
BARE: dict[str, Any] = {"eval_loss": None, "score": None, "score_name": None}
UNKNOWN: dict[str, Any] = {"model": "no-such-model", "params": None}
CONSTANT = Series.of(at(100), np.full(100, 1e-5))
MIDDLE = ("layer.1", 2e-5, False)
BOTTOM, FROZEN = ("embeddings", 3e-5, False), ("embeddings", 3e-5, True)
JUMPED = noisy(np.where(U < 0.6, TRAIN, 3 * TRAIN), 0.05)
HUMP = np.r_[0.7, noisy(np.full(15, 0.85), 0.01), TRAIN[16:]]
HIGH = noisy(np.r_[0.7, np.full(99, 3.0)], 0.05)
SHALLOW = noisy(curve(100, start=0.7, end=0.54), 0.01)
STEEP = noisy(2 - U, 0.01)
NOTHING, BLIND = None, "unjudged"


def lr(values: Any) -> Series:
    v = np.asarray(values, dtype=float)
    return Series.of(at(v.size), v)


def train(values: Any, **changes: Any) -> History:
    return with_series("train_loss", values, **changes)


def alone(values: Any, **changes: Any) -> History:
    """Training losses and no validation."""
    return train(values, **BARE, **changes)


def held(values: Any, **changes: Any) -> History:
    return with_series("eval_loss", values, **changes)


def rates(values: Any, **changes: Any) -> History:
    return with_series("lr", values, **{"schedule_steps": None, "warmup_steps": None, **changes})


def cut(steps: int, **changes: Any) -> History:
    """A log that ends early, at a constant rate."""
    short = Series.of(at(100)[:steps], np.full(steps, 1e-5))
    return healthy(lr=short, finished=None, **changes)


def one_loss(step: int) -> History:
    """A single training loss, and nothing else."""
    one = Series.of([step], [0.7])
    return healthy(train_loss=one, lr=None, grad_norm=None, epoch=None, finished=None, **BARE)


def grouped(*groups: tuple[str, float, bool]) -> History:
    return planned(groups=tuple(Group(name=n, lr=r, params=9, frozen=f) for n, r, f in groups))


def evals(*values: float, **changes: Any) -> History:
    return with_series("eval_loss", values, score=None, **changes)


def risen(share: float, noise: float = 0.001) -> np.ndarray:
    """Flat validations that rise by a share over their second half."""
    return noisy(0.35 * (1 + share * np.clip(np.linspace(-1, 1, EVALS), 0, 1)), noise)


def norms(bad: slice, **changes: Any) -> History:
    values = np.full(100, 2.0)
    values[bad] = np.inf
    return with_series("grad_norm", values, **changes)


def old(share: float) -> History:
    return healthy(others={"mmlu_loss": Series.of(at(EVALS), risen(share))})


def spike(height: float, noise: float = 0.02) -> np.ndarray:
    values = noisy(np.full(60, 1.0) + np.linspace(1, 0, 60), noise)
    values[40] *= height
    return values


def batches(after: float, rate: float) -> History:
    """The logged batch size changes half-way from 8, and the rate by a factor."""
    size = lr(np.where(U <= 0.5, 8.0, after))
    return healthy(others={"batch_size": size}, lr=lr(np.where(U <= 0.5, 2e-5, 2e-5 * rate)))


def warmed(first: int, *, peak_first: bool = True, **changes: Any) -> History:
    """No word of a warm-up; rates logged from a step on, and a storm in the first steps."""
    steps = at(100)[first:]
    rates = 2e-5 * (1 - (np.arange(100)[first:] / 100.0))
    rates[0] = rates[0] if peak_first else 1e-7
    loss = Series.of(at(100), np.r_[0.7, noisy(np.full(8, 1.2), 0.02), TRAIN[9:]])
    return healthy(lr=Series.of(steps, rates), warmup_steps=None, train_loss=loss, **changes)


def learned(end: float, held: float, passes: float) -> History:
    """Training to a share of its start, validation at a multiple of that, over some epochs."""
    return healthy(
        train_loss=Series.of(at(100), noisy(curve(100, start=1.6, end=1.6 * end), 0.05)),
        eval_loss=Series.of(at(EVALS), curve(EVALS, start=1.6, end=1.6 * end * held)),
        epoch=Series.of(at(100), U * passes), eval_on_train=None,
    )  # fmt: skip


def stairs(fall: float) -> History:
    level = 1.0 - fall * np.minimum(3, np.floor(np.linspace(0, 4, 101)[1:] - 1e-9))
    epoch = Series.of(at(100), np.linspace(0, 4, 101)[1:])
    return healthy(train_loss=Series.of(at(100), noisy(level, 0.002)), epoch=epoch)


FLAT_EVAL = noisy(np.full(EVALS, 0.69), 0.001)
SLOW = np.linspace(0.9, 0.5, 100)
FAST = curve(100, start=0.9, end=0.05, time=0.02)
TAILS = 0.7 * np.exp(0.2 * np.random.default_rng(1).standard_t(3, 200))
CASES: list[tuple[str, History, str | None]] = [
    ("batch-not-scaled", batches(32.0, 1.0), "warning"),
    ("batch-not-scaled", batches(32.0, 2.0), NOTHING),
    ("batch-not-scaled", batches(2.0, 1.0), "warning"),
    ("batch-not-scaled", batches(2.0, 0.5), NOTHING),
    ("batch-not-scaled", batches(10.0, 1.0), NOTHING),
    ("batch-not-scaled", with_series("epoch", np.zeros(100)), BLIND),
    ("budget-too-short", alone(2 - 0.02 * U, lr=CONSTANT), NOTHING),
    ("budget-too-short", alone(STEEP), NOTHING),
    ("budget-too-short", alone([3, 2.5, 2, 1.5, 1, 0.5]), BLIND),
    ("budget-too-short", alone(STEEP, finished=False), BLIND),
    ("clipping-always", healthy(max_grad_norm=1.0), "info"),
    ("clipping-always", healthy(max_grad_norm=0.1), "warning"),
    ("clipping-always", healthy(max_grad_norm=2.0), NOTHING),
    ("clipping-always", with_series("grad_norm", [9.0] * 5, max_grad_norm=1.0), BLIND),
    ("eval-on-train", learned(0.05, 0.1, 10), "info"),
    ("eval-on-train", learned(0.05, 0.8, 10), NOTHING),
    ("eval-on-train", learned(0.05, 0.1, 1), NOTHING),
    ("eval-on-train", learned(0.5, 0.1, 10), NOTHING),
    ("eval-on-train", evals(0.5, 0.4, eval_on_train=None), BLIND),
    ("eval-too-rare", evals(0.5, 0.4), "warning"),
    ("eval-too-rare", evals(0.6, 0.5, 0.4), "info"),
    ("eval-too-rare", evals(0.7, 0.6, 0.5, 0.4, 0.3), NOTHING),
    ("eval-too-rare", evals(0.5, 0.4, finished=False, eval_every_steps=None), BLIND),
    ("eval-too-small", planned(eval_examples=29), "warning"),
    ("eval-too-small", planned(eval_examples=30), "info"),
    ("eval-too-small", planned(eval_examples=100), NOTHING),
    ("first-step-wasted", healthy(lr=Series.of(range(1, 6), [0, 1, 2, 1, 0]), steps=5), "info"),
    ("first-step-wasted", healthy(lr=Series.of(range(1, 6), [0, 1, 2, 1, 0])), NOTHING),
    ("first-step-wasted", healthy(lr=Series.of(range(1, 6), [1, 2, 2, 1, 0]), steps=5), NOTHING),
    ("first-step-wasted", healthy(lr=Series.of(range(2, 7), [0, 1, 2, 1, 0]), steps=5), BLIND),
    ("forgetting", old(0.01), NOTHING),
    ("forgetting", old(0.1), "warning"),
    ("forgetting", old(0.5), "error"),
    ("fp16-overflow", norms(slice(0, 10), precision="fp16"), "warning"),
    ("fp16-overflow", norms(slice(0, 10), precision="bf16"), NOTHING),
    ("fp16-overflow", norms(slice(0, 2), precision="fp16"), NOTHING),
    ("fp16-overflow", norms(slice(50, 100), precision=None), NOTHING),
    ("fp16-overflow", healthy(skipped_steps=40, precision="fp16"), NOTHING),
    ("frozen-parameters", grouped(("a", 1e-5, True), ("b", 1e-5, False)), "warning"),
    ("frozen-parameters", grouped(("a", 0.0, True), ("b", 1e-5, False)), NOTHING),
    ("frozen-parameters", grouped(("a", 1e-5, True)), "error"),
    ("head-rate", planned(new_head=True, steps=50, head_lr=1e-3), NOTHING),
    ("head-rate", planned(new_head=True, steps=50, optimizer="sgd"), NOTHING),
    ("label-leak", train(0.2 * np.exp(-U)), NOTHING),
    ("label-leak", healthy(train_loss=Series.of([500, 1000], [0.01, 0.01]), eval_loss=None), BLIND),
    ("label-leak", train(np.full(100, 0.01), task="chat"), BLIND),
    ("layerwise-reversed", grouped(*[(f"layer.{i}", 1e-5, False) for i in range(4)]), NOTHING),
    ("layerwise-reversed", grouped(BOTTOM, MIDDLE, ("head", 1e-5, False)), "error"),
    ("layerwise-reversed", grouped(FROZEN, MIDDLE, ("head", 1e-5, False)), BLIND),
    ("layerwise-reversed", planned(layerwise_decay=1.0), NOTHING),
    ("lora-rate", planned(planned_lr=5e-5), NOTHING),
    ("lora-rate", planned(planned_lr=2e-3, params=1e6), NOTHING),
    ("lora-rate", planned(planned_lr=2e-3, optimizer="sgd"), NOTHING),
    ("lora-rate", planned(method="lora", planned_lr=5e-5), NOTHING),
    ("lora-rate", planned(planned_lr=2e-3, stated=frozenset()), BLIND),
    ("loss-oscillates", held(np.r_[3.0, noisy(np.full(19, 0.1), 0.4, 2)]), NOTHING),
    ("loss-oscillates", evals(1, 2, 1, 2, 1, 2), BLIND),
    ("loss-spikes", train(spike(2.0)), "warning"),
    ("loss-spikes", train(spike(1.3)), NOTHING),
    ("loss-spikes", train(spike(1.9, 0.2)), NOTHING),
    ("loss-spikes", train(TAILS), NOTHING),
    ("loss-spikes", train(spike(3.0) - 5.0), "warning"),
    ("loss-spikes", train([1, 1, 9, 1, 1, 1], eval_loss=None), BLIND),
    ("loss-stairs", stairs(0.02), NOTHING),
    ("loss-stairs", stairs(0.2), "info"),
    ("loss-stairs", train(TRAIN, epoch=lr(U / 2)), BLIND),
    ("lr-above-band", planned(planned_lr=2e-4), "info"),
    ("lr-above-band", planned(planned_lr=8e-3), "warning"),
    ("lr-above-band", planned(planned_lr=8e-4, **UNKNOWN, architecture="encoder"), BLIND),
    ("lr-above-band", planned(planned_lr=8e-4, model=None, task=None), BLIND),
    ("lr-below-band", planned(planned_lr=1e-7), "warning"),
    ("lr-below-band", planned(planned_lr=1.2e-5), NOTHING),
    ("lr-above-pretraining", planned(planned_lr=2e-5, initial_lr=2e-5), "info"),
    ("lr-above-pretraining", planned(planned_lr=1e-2, initial_lr=1e-4), "warning"),
    ("lr-restarted", healthy(lr=lr([1e-5, 2e-5, 1e-5])), BLIND),
    ("lr-restarted", healthy(lr=lr(np.r_[1 - U[:60], 0.42, 0.46, 0.5, 0.52])), "warning"),
    ("lr-restarted", healthy(lr=lr(np.r_[1 - U[:60], 0.41, 0.4, 0.41, 0.4])), NOTHING),
    ("lr-too-high", train(JUMPED), "error"),
    ("lr-too-high", train(HUMP), "warning"),
    ("lr-too-high", held(noisy(EVAL, 0.05), score=Series.of(at(EVALS), np.ones(EVALS))), NOTHING),
    ("lr-too-high", held(FLAT_EVAL, score=Series.of(at(EVALS), np.full(EVALS, 0.5))), NOTHING),
    ("lr-too-high", held(np.r_[3.5, EVAL[1:]], train_loss=Series.of(at(100), SLOW)), "error"),
    ("lr-too-high", held(np.r_[3.5, EVAL[1:]], train_loss=Series.of(at(100), FAST)), NOTHING),
    ("lr-too-low", alone(FLAT), "warning"),
    ("lr-too-low", healthy(train_loss=Series.of(at(100)[10:], FLAT[10:]), **BARE), "info"),
    ("lr-too-low", alone(FLAT, lr=decay(peak=1.0)), NOTHING),
    ("lr-too-low", alone(noisy(0.7 - 0.08 * U, 0.01)), NOTHING),
    ("lr-too-low", alone(FLAT, finished=False), NOTHING),
    ("no-schedule", cut(20, schedule=None), BLIND),
    ("no-schedule", cut(20), NOTHING),
    ("no-schedule", cut(80), "warning"),
    ("no-schedule", rates(1e-5 * (1 - 0.1 * U), schedule=None), NOTHING),
    ("no-validation", one_loss(100), BLIND),
    ("no-validation", one_loss(800), "warning"),
    ("no-validation", planned(evaluates=None), BLIND),
    ("no-warmup", warmed(0), "warning"),
    ("no-warmup", warmed(0, peak_first=False), NOTHING),
    ("no-warmup", warmed(30), BLIND),
    ("no-warmup", warmed(0, optimizer="sgd"), NOTHING),
    ("no-warmup", planned(warmup_steps=0, planned_lr=4e-4), "info"),
    ("no-warmup", planned(warmup_steps=10, planned_lr=4e-4), NOTHING),
    ("no-warmup", planned(warmup_steps=None, warmup_frac=0.0, planned_lr=4e-4), "info"),
    ("optimizer-rate", planned(planned_lr=6e-3), "error"),
    ("optimizer-rate", planned(planned_lr=6e-3, model=None), NOTHING),
    ("optimizer-rate", planned(optimizer="made-up", planned_lr=6.0), NOTHING),
    ("optimizer-rate", planned(stated=frozenset()), BLIND),
    ("optimizer-rate", planned(model="t5-base", architecture="encoder-decoder", method="prompt",
                               task="summarization", optimizer="adafactor", planned_lr=0.3),
     NOTHING),
    ("overfitting", held(risen(0.008, 0.0002)), "info"),
    ("overfitting", held(risen(0.05)), "warning"),
    ("overfitting", held(risen(0.5)), "error"),
    ("overfitting", held(risen(0.001, 0.0001)), NOTHING),
    ("overfitting", evals(0.5, 0.4, 0.5, 0.6), BLIND),
    ("plateau", held(np.linspace(0.7, 0.4, 20), lr=CONSTANT), NOTHING),
    ("plateau", evals(*[0.5] * 6, lr=CONSTANT), BLIND),
    ("schedule-mismatch", planned(schedule_steps=STEPS + 50), NOTHING),
    ("schedule-mismatch", planned(schedule_steps=STEPS * 2, schedule="constant"), NOTHING),
    ("schedule-mismatch", rates(1e-5 * (1 - 0.9 * U)), NOTHING),
    ("schedule-mismatch", rates(np.maximum(0.0, 1 - U / 0.95)), NOTHING),
    ("schedule-mismatch", rates(1e-5 * (1 - 0.5 * U), finished=False), BLIND),
    ("schedule-mismatch", rates(np.full(100, 1e-5), schedule=None), NOTHING),
    ("underfitting", alone(SHALLOW), "info"),
    ("underfitting", alone(FLAT), "warning"),
    ("underfitting", alone(HIGH), NOTHING),
    ("underfitting", alone([0.7, 0.7, 0.7]), BLIND),
    ("underfitting", alone(FLAT, task="chat"), BLIND),
    ("underfitting", alone(FLAT, finished=False), BLIND),
    ("warmup-too-long", planned(warmup_steps=STEPS), "error"),
    ("warmup-too-long", planned(warmup_steps=STEPS - 1), "warning"),
    ("warmup-too-long", planned(warmup_steps=499), NOTHING),
    ("warmup-too-long", planned(warmup_steps=None, warmup_frac=0.9), "warning"),
    ("warmup-too-long", rates(1e-5 * (0.8 + 0.2 * U)), NOTHING),
    ("warmup-too-long", rates(1e-5 * np.sin(3 * U)), "warning"),
    ("warmup-too-long", rates(1e-5 * np.sin(6 * U) ** 2), NOTHING),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "run", "expected"), [pytest.param(*c, id=f"{i}-{c[0]}") for i, c in enumerate(CASES)]
)
def test_edge(name: str, run: History, expected: str | None) -> None:
    answer = BY_ID[name].check(run, alpha=0.002)
    if isinstance(answer, Finding):
        assert answer.severity == expected, answer.summary
    elif isinstance(answer, Unjudged):
        assert expected == BLIND, answer.needs
    else:
        assert expected is NOTHING
