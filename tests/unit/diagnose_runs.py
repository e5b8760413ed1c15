"""Runs for the doctor's tests: a healthy one, and what is changed about it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from lrpilot.diagnose import History, Plan, Series
from lrpilot.facts import RunFacts

STEPS, EVALS = 1000, 20
PLAN_FIELDS = set(Plan.__dataclass_fields__)


def noisy(values: Any, noise: float, seed: int = 0) -> np.ndarray:
    """Values times one plus normal noise."""
    v = np.asarray(values, dtype=float)
    return v * (1.0 + noise * np.random.default_rng(seed).standard_normal(v.shape))


def curve(n: int, *, start: float = 1.6, end: float = 0.4, time: float = 0.15) -> np.ndarray:
    """An exponential fall over a run, at n even places."""
    t = np.linspace(0.0, 1.0, n + 1)[1:]
    return np.asarray(end + (start - end) * np.exp(-t / time))


def at(n: int, steps: int = STEPS) -> np.ndarray:
    """n even steps, the last at the end."""
    return np.round(np.linspace(0, steps, n + 1)[1:])


def decay(n: int = 100, *, peak: float = 2e-5, warmup: float = 0.06) -> Series:
    """A linear schedule with warm-up, to zero."""
    t = np.linspace(0.0, 1.0, n + 1)[1:]
    return Series.of(at(n), peak * np.minimum(t / warmup, (1 - t) / (1 - warmup)))


def healthy(**changes: Any) -> History:
    """A run in which nothing is wrong, with fields of the history, plan or facts changed."""
    plan = Plan(
        facts=RunFacts(
            model="bert-base-uncased", task="sentiment", method="full", optimizer="adamw",
            train_examples=10_000, batch_size=32, steps=STEPS, planned_lr=2e-5,
        ),
        schedule="linear", warmup_steps=60, schedule_steps=STEPS, max_grad_norm=10.0,
        evaluates=True, eval_every_steps=50, eval_examples=1000, keeps_best=True,
        metric="eval_accuracy", metric_mode="max", precision="bf16", eval_on_train=False,
        stated=frozenset({"method", "optimizer"}),
    )  # fmt: skip
    run = History(
        where="run", format="csv", plan=plan, finished=True,
        train_loss=Series.of(at(100), noisy(curve(100, start=0.7, end=0.3), 0.05)),
        eval_loss=Series.of(at(EVALS), noisy(curve(EVALS, start=0.7, end=0.35), 0.01, 1)),
        score=Series.of(at(EVALS), 0.9 - 0.4 * np.exp(-np.linspace(0.05, 1, EVALS) / 0.15)),
        score_name="eval_accuracy", lr=decay(),
        grad_norm=Series.of(at(100), noisy(np.full(100, 2.0), 0.2, 2)),
        epoch=Series.of(at(100), at(100) / 312.5),
    )  # fmt: skip
    return changed(run, **changes)


def changed(run: History, **changes: Any) -> History:
    """The run with fields of the history, the plan or the facts changed."""
    facts = {k: v for k, v in changes.items() if k in RunFacts.__dataclass_fields__}
    plan = {k: v for k, v in changes.items() if k in PLAN_FIELDS and k not in facts}
    rest = {k: v for k, v in changes.items() if k not in facts and k not in plan}
    new = replace(run.plan, facts=replace(run.plan.facts, **facts), **plan)
    return replace(run, plan=new, **rest)


def planned(**changes: Any) -> History:
    """A plan alone: no series."""
    bare = healthy(
        train_loss=None, eval_loss=None, score=None, lr=None, grad_norm=None, epoch=None,
        finished=None,
    )  # fmt: skip
    return changed(bare, **changes)


def with_series(name: str, values: Any, **changes: Any) -> History:
    """The healthy run with one series' values changed."""
    v = np.asarray(values, dtype=float)
    return healthy(**{name: Series.of(at(v.size), v)}, **changes)
