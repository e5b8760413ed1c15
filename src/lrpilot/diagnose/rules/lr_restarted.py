"""The rate jumps up again after it had fallen, usually because a resume forgot the schedule."""

from __future__ import annotations

import numpy as np

from lrpilot.diagnose.history import History
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.view import figure, finite, schedule

_JUMP = 1.2  # assumed: a fifth more than before
_FELL = 0.95  # assumed: after the rate had fallen by a twentieth
_MEANT = ("restart", "cycl", "greedy", "onecycle", "sgdr", "warm-restarts", "lrpilot")


def _look(run: History, alpha: float) -> Seen | str | None:
    lr = finite(run.lr, least=4)
    if lr is None:
        return "the logged rates"
    if run.format == "lrpilot" or any(word in (schedule(run) or "") for word in _MEANT):
        return None  # it is raised on purpose
    peak = np.maximum.accumulate(lr.values)[:-1]
    low = np.minimum.accumulate(np.where(lr.values[:-1] < _FELL * peak, lr.values[:-1], np.inf))
    up = (lr.values[1:] > _JUMP * lr.values[:-1]) & np.isfinite(low)
    if not up.any():
        lost = _fresh_warmup(lr.values, peak)
        if lost is None:
            return None
        at = lost
    else:
        at = int(np.flatnonzero(up)[0])
    before, after = float(lr.values[at]), float(lr.values[at + 1 :].max())
    step = float(lr.steps[at + 1])
    resumed = any(abs(r - step) <= max(1.0, 2.0 * (step - lr.steps[at])) for r in run.resumes)
    return Seen(
        summary=f"the rate goes from {figure(before)} back up to {figure(after)} at step {step:g}"
        + (", where the run was resumed" if resumed else ""),
        first_step=step,
        last_step=float(lr.steps[-1]),
        figures={"before": before, "after": after},
    )


def _fresh_warmup(values: np.ndarray, peak: np.ndarray) -> int | None:
    """Where a second warm-up begins: three rises in a row after a fall."""
    if values.size < 5:
        return None
    rises = np.diff(values) > 0
    fallen = values[:-3] < _FELL * peak[:-2]
    begins = fallen & rises[:-2] & rises[1:-1] & rises[2:] & (values[3:] > _JUMP * values[:-3])
    return int(begins.argmax()) if begins.any() else None


RULE = BasicRule(
    id="lr-restarted",
    title="the rate is restarted",
    severity="warning",
    needs="the logged rates",
    threshold=f"a rise by {_JUMP - 1:.0%} after a fall of {1 - _FELL:.0%} (assumed), unless the"
    " schedule is one that restarts",
    remedy="restore the scheduler with the optimizer (resume_from_checkpoint with optimizer.pt and"
    " scheduler.pt); to train longer, re-warm on purpose to a third of the old peak",
    source="https://github.com/huggingface/transformers/issues/27749,"
    " https://github.com/mlfoundations/open_clip/issues/413",
    look=_look,
    shows="lr",
)
