"""Mixed precision overflows: steps are skipped, or gradients are infinite."""

from __future__ import annotations

import numpy as np

from lrpilot.diagnose.history import History
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.view import last_step

_SHARE = 0.05  # assumed: a scaler that starts at 2**16 skips a few steps at first, not a twentieth
_LEAST = 5


def _look(run: History, alpha: float) -> Seen | str | None:
    total = last_step(run)
    if run.skipped_steps is not None and total:
        share = run.skipped_steps / total
        if run.skipped_steps >= _LEAST and share > _SHARE:
            return _seen(run, f"{run.skipped_steps} of {total:g} steps were skipped", share)
    norm = run.grad_norm
    if norm is None:
        return None if run.skipped_steps is not None else "skipped steps, or gradient norms"
    bad = ~np.isfinite(norm.values)
    share = float(bad.mean())
    loss = run.train_loss
    sane = loss is None or bool(np.isfinite(loss.values).all())
    if bad.sum() < 2 or share <= _SHARE or not sane or _is_end(bad):
        return None
    if run.plan.precision in ("fp32", "bf16"):
        return None  # not-finite says it
    said = f"the gradient norm is not finite at {int(bad.sum())} of {bad.size} logged steps"
    return _seen(run, said, share, norm.steps[bad])


def _is_end(bad: np.ndarray) -> bool:
    """Whether it was well at first and never again: that is not-finite."""
    return not bad[0] and bool(bad[int(bad.argmax()) :].all())


def _seen(run: History, said: str, share: float, steps: np.ndarray | None = None) -> Seen:
    at = steps if steps is not None and steps.size else None
    return Seen(
        summary=f"{said}: numbers overflow in {run.plan.precision or 'half precision'}, and those"
        " steps train nothing",
        first_step=None if at is None else float(at[0]),
        last_step=None if at is None else float(at[-1]),
        figures={"share": share},
    )


RULE = BasicRule(
    id="fp16-overflow",
    title="half precision overflows and steps are skipped",
    severity="warning",
    needs="skipped steps, or gradient norms",
    threshold=f"{_SHARE:.0%} of the steps (assumed)",
    remedy="bf16=True instead of fp16; else a lower initial loss scale, clipping, a lower rate; and"
    " step the schedule only when the optimizer stepped",
    source="accelerate scheduler.py (optimizer_step_was_skipped); Micikevicius et al. 2018, arXiv"
    " 1710.03740",
    look=_look,
    shows="grad_norm",
)
