"""A constant peak with linear decay to zero: the oracle's rates, and everybody's first numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lrpilot.bench.lab import Lab, Result
from lrpilot.bench.task import Task


@dataclass(frozen=True, slots=True)
class Constant:
    """Train at one peak, whatever the task."""

    peak_lr: float

    @property
    def name(self) -> str:
        """As the results call it: `constant-1e-05`."""
        return f"constant-{self.peak_lr:.0e}"

    def run(self, lab: Lab) -> Result:
        """One run."""
        return Result(model=lab.start().constant(self.peak_lr), peak_lr=self.peak_lr)


@dataclass(frozen=True, slots=True)
class Stated:
    """Train at the peak that a rule states before training, after a linear warm-up if any."""

    name: str
    rule: Callable[[Task], float]
    warmup: float = 0.0

    def run(self, lab: Lab) -> Result:
        """One run."""
        peak_lr = self.rule(lab.task)
        model = lab.start().constant(peak_lr, warmup=self.warmup)
        return Result(model=model, peak_lr=peak_lr)


def _recommended(task: Task) -> float:
    from lrpilot.recommend import recommend

    return recommend(task.facts).peak_lr


POLICIES = (
    Stated("hf-default", lambda task: 5e-5),  # paper: transformers' TrainingArguments
    Stated("article", lambda task: task.article_lr),  # paper: the article's table
    Stated("recommend", _recommended),
    Stated("recommend-warmup", _recommended, warmup=0.1),  # assumed: the usual share
)
