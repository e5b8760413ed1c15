"""Passes over the data, out of an epoch number that a log repeats in every row of the epoch."""

from __future__ import annotations

import numpy as np

from lrpilot.diagnose.history import Series


def passes(epoch: Series) -> Series | None:
    """Passes over the data done at each step, or None where the numbers do not tell.

    Fractions (HF's "epoch": 1.25) are such already. Whole numbers, one row each, are epochs that
    have ended; if they begin with 0, epoch 0 has ended at the first. Whole numbers that repeat are
    the epoch that a step lies in: within it the passes rise evenly, from the last step of the
    epoch before to its own last logged step; the last epoch counts as long as the one before.
    """
    numbers, steps = epoch.values, epoch.steps
    if not np.isfinite(numbers).all() or (np.diff(numbers) < 0).any():
        return None
    if (numbers != np.floor(numbers)).any():
        return epoch
    if (np.diff(numbers) > 0).all():
        return Series(steps, numbers + 1 if numbers[0] == 0 else numbers)
    first = 0.0 if numbers[0] == 0 else 1.0
    last = np.flatnonzero(np.diff(numbers) > 0)
    if not last.size:
        return None  # no epoch has ended: how long one is, is unknown
    ends = np.concatenate([[0.0], steps[last]])
    ends = np.append(ends, max(steps[-1], 2 * ends[-1] - ends[-2]))
    counted = np.append(np.unique(numbers), numbers[-1] + 1) - first
    return Series(steps, np.interp(steps, ends, counted))
