"""Schedulers that a validation metric steers: torch's plateau, GreedyLR, the article's words.

None of them says how often to validate; each gets the same validations, `EVALUATIONS` a run on
`EXAMPLES` examples. Where one wants a rate to start from, it is said beside its name.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from lrpilot.bench.lab import Lab, Result
from lrpilot.bench.task import Task
from lrpilot.errors import MissingExtraError

EVALUATIONS, EXAMPLES = 16, 96  # assumed: patience is counted in these


class Scheduler(Protocol):
    """What is told each validation and sets the optimizer's rate."""

    def step(self, metrics: float) -> Any:
        """One validation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Steered:
    """One run, steered by such a scheduler.

    Attributes:
        name: As the results call it.
        start: The first rate of a task.
        make: The scheduler of an optimizer.
    """

    name: str
    start: Callable[[Task], float]
    make: Callable[[torch.optim.Optimizer], Scheduler]

    def run(self, lab: Lab) -> Result:
        """One run."""
        training = lab.start()
        groups = training.optimizer.param_groups
        for group in groups:
            group["lr"] = self.start(lab.task)
        scheduler = self.make(training.optimizer)
        every = max(1, lab.task.steps // EVALUATIONS)
        highest = 0.0
        for step in range(1, lab.task.steps + 1):
            highest = max(highest, groups[0]["lr"])
            training.step()
            if step % every == 0:
                scheduler.step(float(training.validate(EXAMPLES).mean()))
        return Result(model=training.model, peak_lr=highest)


class Article:
    """The article's example, word for word: raise while validation is stable, else reduce.

    It gives no figures for how much; both are assumed.
    """

    raise_factor, cut_factor = 1.1, 0.5  # assumed

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer
        self._best: float | None = None

    def step(self, metrics: float) -> None:
        """One validation: no worse than the best raises the rate, else it is cut."""
        stable = self._best is None or metrics <= self._best
        self._best = metrics if self._best is None else min(self._best, metrics)
        for group in self._optimizer.param_groups:
            group["lr"] *= self.raise_factor if stable else self.cut_factor


def _greedy(**options: Any) -> Callable[[torch.optim.Optimizer], Scheduler]:
    def make(optimizer: torch.optim.Optimizer) -> Scheduler:
        try:
            scheduler: Any = importlib.import_module("transformers.optimization").GreedyLR
        except (ImportError, AttributeError):
            raise MissingExtraError(
                "GreedyLR needs a transformers that has it: pip install 'lrpilot[bench]'"
            ) from None
        made: Scheduler = scheduler(optimizer, **options)
        return made

    return make


POLICIES = (
    # paper: 1e-3 is torch's own default of Adam and AdamW
    Steered(
        name="reduce-on-plateau",
        start=lambda task: 1e-3,
        make=torch.optim.lr_scheduler.ReduceLROnPlateau,
    ),
    Steered(name="article-procedure", start=lambda task: task.article_lr, make=Article),
    # paper: 5e-5 is the default of transformers' TrainingArguments
    Steered(name="greedy-lr", start=lambda task: 5e-5, make=_greedy()),
    # assumed: no patience, for 16 validations leave no room for ten; bounds that allow a cut
    Steered(
        name="greedy-lr-sane",
        start=lambda task: 5e-5,
        make=_greedy(min_lr=1e-7, max_lr=1e-1, patience=0, factor=0.5),
    ),
)
