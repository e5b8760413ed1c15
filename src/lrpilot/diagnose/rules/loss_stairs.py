"""The training loss falls in stairs at epoch boundaries: the data are memorised."""

from __future__ import annotations

import math

import numpy as np

from lrpilot.diagnose.history import History
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.statistics import noise_sd
from lrpilot.diagnose.view import figure, finite
from lrpilot.stats import median, student_tail

_WIDTH = 5  # values on each side of a boundary at most
_LEAST = 4  # values in an epoch at least
_FALL = 0.1  # assumed: a tenth of the loss at one boundary


def _look(run: History, alpha: float) -> Seen | str | None:
    loss, epoch = finite(run.train_loss, least=3 * _LEAST), finite(run.epoch, least=2)
    if loss is None or epoch is None:
        return "training losses and epochs by step"
    at = np.interp(loss.steps, epoch.steps, epoch.values)
    edges = [int(np.searchsorted(at, e, side="right")) for e in range(1, int(at[-1]) + 1)]
    edges = [e for e in edges if _LEAST <= e <= len(loss) - _LEAST]
    if not edges or median(np.diff([0, *edges])) < _LEAST:
        return f"a whole epoch and more, with {_LEAST} logged losses in each"
    falls = np.array([_fall(loss.values, e) for e in edges])
    n = min(_WIDTH, _LEAST)
    error = noise_sd(loss.values) * math.sqrt(4.0 / n / len(edges))
    mean, level = float(falls.mean()), float(loss.values[edges[0] - n : edges[0]].mean())
    p = student_tail(mean / error, max(2.0, 0.5 * len(loss))) if error > 0 else float(mean <= 0)
    if p > alpha or mean < _FALL * level:
        return None
    return Seen(
        summary=f"the training loss falls by {figure(mean)} at each of {len(edges)} epoch"
        " boundaries and hardly between them: the examples are remembered",
        first_step=float(loss.steps[edges[0]]),
        last_step=float(loss.steps[edges[-1]]),
        figures={"fall": mean, "boundaries": float(len(edges)), "p": p},
    )


def _fall(values: np.ndarray, edge: int) -> float:
    """The fall across a boundary beyond what the slope inside the epoch explains."""
    n = min(_WIDTH, _LEAST)
    before, after = values[edge - n : edge], values[edge : edge + n]
    across = float(before.mean() - after.mean())
    half = n // 2
    inside = float(before[:half].mean() - before[half:].mean())
    return across - max(0.0, 2.0 * inside)


RULE = BasicRule(
    id="loss-stairs",
    title="the training loss falls in stairs",
    severity="info",
    needs="training losses and epochs by step, over more than one epoch",
    threshold=f"{_FALL:.0%} of the loss at a boundary (assumed), significant at the rule's share of"
    " 5%",
    remedy="train for one or two epochs, or at a third of the rate; judge by validation alone",
    source="https://github.com/lm-sys/FastChat/issues/356,"
    " https://github.com/OpenGVLab/InternVL/issues/175",
    look=_look,
    statistical=True,
    weight=0.05,
    shows="train_loss",
)
