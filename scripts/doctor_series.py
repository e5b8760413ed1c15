"""Simulated runs whose truth is known: healthy ones, and ones that overfit, diverge or stand still.

Losses are made of a true curve times one plus noise. The rate warms up and decays to zero, so that
rules on schedules have nothing to say. Steps go to 1,000; a hundred training losses are logged, or
as many as there are validations, with noise of 5%.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrpilot.diagnose import History, Series

Array = NDArray[np.float64]
STEPS, TRAIN_NOISE = 1000, 0.05  # assumed: a loss averaged over ten batches of 32
TURN = 0.5  # share of the run after which a curve gets worse


def learning(t: Array) -> Array:
    """The usual curve: most of it is learnt in the first tenth."""
    return 0.4 + 0.6 * np.exp(-t / 0.1)


def improving(t: Array) -> Array:
    """Still getting better at the end."""
    return 1.0 / (1.0 + 4.0 * t)


def stepped(t: Array) -> Array:
    """A rate that is cut twice: flat between, a fall after each cut."""
    return 0.4 + 0.6 * np.exp(-t / 0.05) - 0.08 * (t > 0.5) - 0.04 * (t > 0.75)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What is simulated.

    Attributes:
        validation, training: True losses by the share of the run.
        memory: Correlation of the noise from one validation to the next.
        tails: Degrees of freedom of its Student distribution; 0 for normal.
    """

    validation: Callable[[Array], Array]
    training: Callable[[Array], Array] = learning
    memory: float = 0.0
    tails: float = 0.0


def flat(t: Array) -> Array:
    """Converged before the first validation."""
    return np.full_like(t, 0.4)


HEALTHY: Mapping[str, Shape] = {
    "converged": Shape(validation=flat),
    "still improving": Shape(validation=improving, training=improving),
    "two decays of the rate": Shape(validation=stepped, training=stepped),
    "converged, noise correlated by 0.5": Shape(validation=flat, memory=0.5),
    "converged, Student's tails, 3 degrees": Shape(validation=flat, tails=3.0),
}


def overfitting(rise: float) -> Shape:
    """Validation turns half-way and ends worse by `rise`; training goes on falling."""

    def validation(t: Array) -> Array:
        return learning(t) * (1.0 + rise * np.clip((t - TURN) / (1 - TURN), 0, 1))

    def training(t: Array) -> Array:
        return 0.1 + 0.9 * np.exp(-t / 0.3)

    return Shape(validation=validation, training=training)


def diverging(factor: float) -> Shape:
    """From 80% of the run on both losses climb to `factor` times what they were."""

    def curve(t: Array) -> Array:
        return learning(t) * (1.0 + (factor - 1.0) * np.clip((t - 0.8) / 0.1, 0, 1))

    return Shape(validation=curve, training=curve)


def standing() -> Shape:
    """Nothing is learnt."""
    return Shape(validation=lambda t: np.full_like(t, 1.6), training=lambda t: np.full_like(t, 1.6))


def noise(rng: np.random.Generator, n: int, shape: Shape) -> Array:
    """Noise of unit variance, shape (n,)."""
    if shape.tails:
        return rng.standard_t(shape.tails, n) * np.sqrt((shape.tails - 2) / shape.tails)
    fresh = rng.standard_normal(n)
    for i in range(1, n if shape.memory else 0):
        fresh[i] = shape.memory * fresh[i - 1] + np.sqrt(1 - shape.memory**2) * fresh[i]
    return fresh


def simulate(shape: Shape, sd: float, evaluations: int, seed: int) -> dict[str, Series]:
    """One run's training loss, validation loss and rate."""
    rng = np.random.default_rng((seed, evaluations))
    at = np.round(np.linspace(0, STEPS, evaluations + 1)[1:])
    logged = np.round(np.linspace(0, STEPS, max(100, evaluations) + 1)[1:])
    t, u = at / STEPS, logged / STEPS
    eval_loss = shape.validation(t) * (1.0 + sd * noise(rng, evaluations, shape))
    train = shape.training(u) * (1.0 + TRAIN_NOISE * rng.standard_normal(logged.size))
    lr = 2e-5 * np.minimum(logged / 100.0, (STEPS - logged) / 900.0)
    return {
        "eval_loss": Series.of(at, np.maximum(eval_loss, 1e-4)),
        "train_loss": Series.of(logged, np.maximum(train, 1e-4)),
        "lr": Series.of(logged, lr),
    }


def as_history(series: Mapping[str, Series]) -> History:
    """As our doctor sees it."""
    return History(where="simulated", format="csv", finished=True, **series)


def as_trainer_state(series: Mapping[str, Series]) -> str:
    """As the peers see it."""
    entries: list[dict[str, Any]] = [
        {"epoch": s / 250, "learning_rate": float(r), "loss": float(v), "step": int(s)}
        for s, v, r in zip(
            series["train_loss"].steps,
            series["train_loss"].values,
            series["lr"].values,
            strict=True,
        )
    ]
    found = series["eval_loss"]
    entries += [
        {"epoch": s / 250, "eval_loss": float(v), "step": int(s)}
        for s, v in zip(found.steps, found.values, strict=True)
    ]
    entries.sort(key=lambda e: (e["step"], "eval_loss" in e))
    state = {"epoch": 4.0, "global_step": STEPS, "max_steps": STEPS, "num_train_epochs": 4}
    return json.dumps({**state, "best_metric": None, "log_history": entries})
