"""The batch size changed and the rate did not."""

from __future__ import annotations

import math

import numpy as np

from lrpilot.diagnose.finding import Advice
from lrpilot.diagnose.history import History, Series
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.view import figure, finite, lr_at
from lrpilot.stats import median

_TIMES = 1.9  # assumed: the batch at least about doubled or halved
_FOLLOWED = 1.2  # assumed: a rate that moved by a fifth has been scaled
_LEAST = 4
_MOST = 500  # assumed: a change of batch size lasts for a five-hundredth of the run


def _look(run: History, alpha: float) -> Seen | str | None:
    sizes = _batch_sizes(run)
    if sizes is None:
        return "the batch size over the run (batch_size, or epoch by step)"
    change = _change(sizes.values)
    if change is None:
        return None
    at, before, after = change
    step = float(sizes.steps[at])
    around = lr_at(run, np.array([sizes.steps[at - 1], sizes.steps[min(at + 1, len(sizes) - 1)]]))
    if around is None:
        return "the logged rate"
    ratio = after / before
    moved = float(around[1] / around[0]) if around[0] > 0 else 1.0
    if moved > _FOLLOWED if ratio > 1 else moved < 1.0 / _FOLLOWED:
        return None
    factor = math.sqrt(ratio)
    lr = float(around[1])
    return Seen(
        summary=f"from step {step:g} on a step sees {ratio:.3g} times as many examples, at the same"
        f" rate {figure(lr)}",
        first_step=step,
        figures={"ratio": ratio, "lr": lr, "factor": factor},
        advice=Advice(
            lr=float(f"{lr * factor:.1e}"),
            low=float(f"{min(lr, lr * factor):.1e}"),
            high=float(f"{max(lr, lr * ratio):.1e}") if ratio > 1 else float(f"{lr:.1e}"),
            because="the square-root rule for Adam; the linear one for SGD is the far end",
        ),
    )


def _batch_sizes(run: History) -> Series | None:
    """Relative batch sizes: as logged, else passes over the data a step."""
    for name, series in run.others.items():
        if name.split("/")[-1] in ("batch_size", "train_batch_size", "global_batch_size"):
            sizes = finite(series, least=2)
            return _turns(sizes) if sizes is not None and (sizes.values > 0).all() else None
    epoch = finite(run.epoch, least=2 * _LEAST)
    if epoch is None:
        return None
    every = np.unique(np.linspace(0, len(epoch) - 1, min(len(epoch), _MOST)).round().astype(int))
    pace = np.diff(epoch.values[every]) / np.diff(epoch.steps[every])
    if not (pace > 0).all():
        return None
    return Series(epoch.steps[every[1:]], pace)


def _turns(sizes: Series) -> Series:
    """Only the values around each change: a long log says the same size a million times."""
    turns = np.flatnonzero(np.diff(sizes.values))
    near = np.unique(
        np.clip(np.add.outer(turns, np.arange(-_LEAST, _LEAST + 1)), 0, None).astype(int)
    )
    near = near[near < len(sizes)][:_MOST]
    return Series(sizes.steps[near], sizes.values[near]) if near.size else _ends(sizes)


def _ends(sizes: Series) -> Series:
    """First and last of a size that never changes."""
    return Series(sizes.steps[[0, -1]], sizes.values[[0, -1]])


def _change(sizes: np.ndarray) -> tuple[int, float, float] | None:
    """Where the size changes for good, with the sizes before and after."""
    for at in range(1, sizes.size):
        before = median(sizes[max(0, at - _LEAST) : at])
        after = median(sizes[at : at + _LEAST])
        stays = median(np.abs(np.log(sizes[at : at + _LEAST] / after))) < 0.2
        jump = max(after / before, before / after)
        if jump >= _TIMES and stays and max(sizes[at] / before, before / sizes[at]) >= _TIMES:
            return at, before, after
    return None


RULE = BasicRule(
    id="batch-not-scaled",
    title="the batch size changed, the rate did not",
    severity="warning",
    needs="the batch size, or epochs, by step; the rate",
    threshold=f"{_TIMES:g} times the examples a step, the rate within {_FOLLOWED - 1:.0%}"
    " (assumed)",
    remedy="scale the rate with the square root of the batch size (Adam), or linearly (SGD)",
    source="Goyal et al. 2017, arXiv 1706.02677 (linear, SGD); Malladi et al. 2022, arXiv"
    " 2205.10287 (square root, Adam)",
    look=_look,
    shows="lr",
)
