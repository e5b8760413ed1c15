"""What a policy may touch: fresh models, training and validation data, and a meter."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from lrpilot.bench.task import Part, Sealed, Task, Workload
from lrpilot.facts import RunFacts

_BACKWARD = 2.0  # assumed: a backward pass costs two forward passes, as in the scaling literature
_EVALUATION_BATCH = 128  # examples; changes nothing but the speed


class DivergedError(Exception):
    """A training loss was not finite."""


@dataclass(slots=True)
class Meter:
    """Forward passes of one example, a backward pass counted as two."""

    passes: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a policy hands back.

    Attributes:
        model: The fine-tuned model, to be scored.
        peak_lr: The peak that it settled on, absolute; None where there is no such number.
        note: A word on how it came to that.
    """

    model: torch.nn.Module
    peak_lr: float | None = None
    note: str = ""


@dataclass(slots=True)
class Lab:
    """A task with one seed, without its test part.

    Two trainings started from one lab begin with the same weights and see the same batches in the
    same order, so policies are compared on paired seeds.
    """

    task: Task
    seed: int
    _workload: Workload
    meter: Meter = field(default_factory=Meter)

    def __post_init__(self) -> None:
        self._workload = replace(self._workload, test=Sealed())

    @property
    def facts(self) -> RunFacts:
        """What a user would know."""
        return self.task.facts

    @property
    def cost(self) -> float:
        """What was spent so far, in multiples of one run."""
        return self.meter.passes / (self.task.steps * self.task.batch_size * (1 + _BACKWARD))

    def start(self) -> Training:
        """A fresh training: pretrained weights, optimizer, data from the beginning."""
        return Training(self.task, self.seed, self._workload, self.meter)


class Training:
    """One model in training."""

    def __init__(self, task: Task, seed: int, workload: Workload, meter: Meter) -> None:
        torch.manual_seed(seed)
        self.model: torch.nn.Module = workload.new_model()
        self.model.train()
        self.optimizer = new_optimizer(task, self.model)
        self.steps_per_epoch = max(1, len(workload.train) // task.batch_size)
        self._task, self._workload, self._meter = task, workload, meter
        order = torch.Generator().manual_seed(seed)
        self.loader: Any = torch.utils.data.DataLoader(
            torch.arange(len(workload.train)),  # type: ignore[arg-type]
            batch_size=task.batch_size,
            shuffle=True,
            drop_last=len(workload.train) >= task.batch_size,
            generator=order,
        )
        self._stream = self._endless()
        self._takes_loss = False

    def _endless(self) -> Iterator[torch.Tensor]:
        while True:
            yield from self.loader

    def use(self, optimizer: torch.optim.Optimizer, *, takes_loss: bool = False) -> None:
        """Train with another optimizer from here on; its step may want the training loss."""
        self.optimizer = optimizer
        self._takes_loss = takes_loss

    def loss(self, indices: torch.Tensor) -> torch.Tensor:
        """The mean training loss of these examples; its backward pass is counted with it."""
        self._meter.passes += len(indices) * (1 + _BACKWARD)
        batch = self._workload.train.batch(indices)
        mean: torch.Tensor = self._workload.losses(self.model, batch).mean()
        return mean

    def step(self, lr: float | None = None) -> float:
        """One optimizer step on the next batch, at `lr` if given; return the training loss.

        Raises:
            DivergedError: The loss was not finite; nothing was changed.
        """
        if lr is not None:
            for group in self.optimizer.param_groups:
                group["lr"] = lr
        loss = self.loss(next(self._stream))
        value = float(loss.detach())
        if not math.isfinite(value):
            raise DivergedError
        loss.backward()  # type: ignore[no-untyped-call]
        apply: Any = self.optimizer.step
        apply(**({"loss": loss} if self._takes_loss else {}))
        self.optimizer.zero_grad()
        return value

    def validate(self, examples: int | None = None) -> torch.Tensor:
        """Loss of each validation example, shape (n,): all, or the same random ones each time."""
        part = self._workload.validation
        chosen = torch.randperm(len(part), generator=torch.Generator().manual_seed(0))[:examples]
        self._meter.passes += len(chosen)
        return losses_on(self.model, part, self._workload, chosen)

    def constant(
        self,
        peak_lr: float,
        *,
        warmup: float = 0.0,
        after: Callable[[int], None] = lambda step: None,
    ) -> torch.nn.Module:
        """Train for the whole budget at a constant peak with linear decay to zero.

        Args:
            peak_lr: Where the line of the decay begins.
            warmup: Share of the steps in which the rate rises to that line, linearly.
            after: Called after each step with the number of steps done.
        """
        steps = self._task.steps
        warm = max(1.0, warmup * steps)
        for step in range(steps):
            self.step(peak_lr * (1 - step / steps) * min(1.0, (step + 1) / warm))
            after(step + 1)
        return self.model


def new_optimizer(task: Task, model: torch.nn.Module) -> torch.optim.Optimizer:
    """The task's optimizer over what trains, with torch's own defaults but for the rate."""
    trained = [p for p in model.parameters() if p.requires_grad]
    if task.optimizer == "sgd":
        return torch.optim.SGD(trained, lr=1e-3, momentum=0.9)
    return torch.optim.AdamW(trained, lr=1e-3, weight_decay=0.01)


def losses_on(
    model: torch.nn.Module, part: Part, workload: Workload, indices: torch.Tensor | None = None
) -> torch.Tensor:
    """Loss of each example in evaluation mode, shape (n,); the model's mode comes back."""
    return _each(model, part, workload.losses, indices)


def accuracy_on(model: torch.nn.Module, part: Part, workload: Workload) -> float | None:
    """Share of right examples; None where that has no meaning."""
    if workload.correct is None:
        return None
    return float(_each(model, part, workload.correct, None).double().mean())


def _each(
    model: torch.nn.Module, part: Part, measure: Any, indices: torch.Tensor | None
) -> torch.Tensor:
    chosen = torch.arange(len(part)) if indices is None else indices
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            found = [measure(model, part.batch(i)) for i in torch.split(chosen, _EVALUATION_BATCH)]
    finally:
        model.train(training)
    return torch.cat(found)
