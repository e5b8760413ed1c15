"""What a bench task is: a pretrained model, data in three parts, and a budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from lrpilot.facts import RunFacts

# assumed: half a power of ten a step, as in published sweeps; it should hold every optimum
GRID = (1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
Optimizer = Literal["adamw", "sgd"]


class Part(Protocol):
    """Examples that can be counted and drawn by number."""

    def __len__(self) -> int: ...

    def batch(self, indices: Any) -> Any:
        """The examples of these numbers (tensor of shape (batch,)), as `Workload.losses` takes."""


class Sealed:
    """A test part that nobody may look at."""

    def __len__(self) -> int:
        raise AssertionError("a policy opened the test part")

    def batch(self, indices: Any) -> Any:
        """Refused."""
        raise AssertionError("a policy opened the test part")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One task made ready for one seed.

    Attributes:
        new_model: Makes the pretrained model anew: the same weights at each call.
        losses: Loss of each example of a batch, shape (batch,), with gradients; units as the
            task's metric.
        correct: Whether each example is right, shape (batch,); None where that has no meaning.
        train, validation, test: The three parts.
    """

    new_model: Callable[[], Any]
    losses: Callable[[Any, Any], Any]
    correct: Callable[[Any, Any], Any] | None = None
    train: Part
    validation: Part
    test: Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A fine-tuning job that policies are compared on.

    Attributes:
        name: What the command line and the results call it.
        title: Model and data in a few words.
        tier: "fast" (seconds a run) or "real" (minutes).
        facts: What a user would know of the run before it starts.
        article_lr: What the article's table says for its row.
        steps, batch_size: The budget of one run, in optimizer steps and examples a step.
        optimizer: "adamw" or "sgd" (momentum .9).
        unit: Unit of the loss.
        build: Makes the workload of a seed; downloads or pretrains once and caches.
        rates: The oracle's grid.
    """

    name: str
    title: str
    tier: Literal["fast", "real"]
    facts: RunFacts
    article_lr: float
    steps: int
    batch_size: int
    optimizer: Optimizer = "adamw"
    unit: str = "nats"
    build: Callable[[int], Workload]
    rates: tuple[float, ...] = GRID
