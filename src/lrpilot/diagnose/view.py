"""What several rules ask of a history: its rates, its length, its losses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lrpilot.diagnose.history import History, Series
from lrpilot.errors import InputError
from lrpilot.facts import RunFacts

_ALL = ("train_loss", "eval_loss", "score", "lr", "grad_norm")
# a schedule's name, as frameworks write it, that never lowers the rate
FLAT = {
    "constant",
    "constant-with-warmup",
    "none",
    "off",
    "warmup",
    "warmup-only",
    "lambda-constant",
}
_HUGE = 1e100  # assumed: no loss or rate; its square is still a number
_WHOLE = 0.95  # assumed: a log that ends there was not cut short
_CLASSIFIES = {"text-classification", "text-pair", "image-classification", "audio"}
METRIC_DRIVEN = {"reduce-lr-on-plateau", "plateau", "reducelronplateau", "greedy"}


def finite(series: Series | None, *, least: int = 1) -> Series | None:
    """The part of a series that can be computed with, where at least so many values are there.

    What is larger than 1e100 counts as infinite, what is smaller than 1e-100 as zero.
    """
    if series is None:
        return None
    size = np.abs(series.values)
    good = np.isfinite(series.values) & (size < _HUGE)
    if int(good.sum()) < least:
        return None
    values = np.where(size < 1.0 / _HUGE, 0.0, series.values)[good]
    return Series(
        series.steps[good], values, None if series.errors is None else series.errors[good]
    )


def every_series(run: History) -> dict[str, Series]:
    """All series by name."""
    own = {name: s for name in _ALL if (s := getattr(run, name)) is not None}
    return {**own, **run.others}


def trained(run: History) -> bool:
    """Whether anything was logged: a plan alone has no series."""
    return bool(every_series(run))


def last_step(run: History) -> float | None:
    """The last step that any series knows."""
    ends = [float(s.steps[-1]) for s in every_series(run).values() if len(s)]
    return max(ends, default=None)


def planned_steps(run: History) -> float | None:
    """Optimizer steps of the whole run, as planned."""
    steps = run.plan.facts.planned_steps
    return None if steps is None else float(steps)


def total_steps(run: History) -> float | None:
    """Planned steps, or the steps seen where no plan is known."""
    return planned_steps(run) or last_step(run)


def peak_lr(run: History) -> float | None:
    """The highest rate that was used, or planned."""
    seen = finite(run.lr)
    if seen is not None and (top := float(seen.values.max())) > 0:
        return top
    return run.plan.facts.planned_lr


def schedule(run: History) -> str | None:
    """The schedule's name with one kind of separator."""
    name = run.plan.schedule
    return None if name is None else name.strip().lower().replace("_", "-").replace(" ", "-")


def lr_at(run: History, steps: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The logged rate at steps, held from the last log before each."""
    seen = finite(run.lr)
    if seen is None:
        return None
    at = np.clip(np.searchsorted(seen.steps, steps, side="right") - 1, 0, None)
    return seen.values[at]


def figure(value: float) -> str:
    """A number as a report says it: four digits, rates in powers of ten."""
    return f"{value:.3g}" if abs(value) < 1e-3 else f"{value:.4g}"


def is_partial(run: History) -> bool:
    """Whether the log ends well before the planned end of the run."""
    if run.finished is not None:
        return not run.finished
    end, planned = last_step(run), planned_steps(run)
    return end is not None and planned is not None and end < _WHOLE * planned


def says(run: History, *names: str) -> bool:
    """Whether the input itself says all of these facts, or they differ from what is assumed."""
    facts, usual = run.plan.facts, RunFacts()
    return all(
        n in run.plan.stated or getattr(facts, n, None) != getattr(usual, n, None) for n in names
    )


def optimizer(run: History) -> str | None:
    """The optimizer as the table of recipes calls it; None where the input does not say."""
    from lrpilot.recommend.vocabulary import read_optimizer

    if not says(run, "optimizer"):
        return None
    try:
        return read_optimizer(run.plan.facts.optimizer)
    except InputError:
        return run.plan.facts.optimizer.lower()


def is_classification(run: History) -> bool:
    """Whether the task is one of choosing a label, by its name or by a logged accuracy."""
    from lrpilot.recommend.vocabulary import read_task

    task = run.plan.facts.task
    if task is not None:
        name, group, _ = read_task(task)
        return "classification" in name or group in _CLASSIFIES
    return "acc" in (run.score_name or "").lower()
