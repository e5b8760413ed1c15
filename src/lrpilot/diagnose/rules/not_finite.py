"""NaN or infinity in a loss, a score or a gradient norm."""

from __future__ import annotations

import numpy as np

from lrpilot.diagnose.advice import lower
from lrpilot.diagnose.history import History
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.view import every_series


def _look(run: History, alpha: float) -> Seen | str | None:
    series = {k: s for k, s in every_series(run).items() if k in _LOOKED_AT}
    if not series:
        return "a loss, a score or a gradient norm"
    bad = {name: ~np.isfinite(s.values) for name, s in series.items()}
    hurt = {name: mask for name, mask in bad.items() if mask.any()}
    if not hurt or set(hurt) == {"grad_norm"}:  # a scaler skips such steps: rule fp16-overflow
        return None
    name = min(hurt, key=lambda k: series[k].steps[hurt[k]][0])
    steps = series[name].steps[hurt[name]]
    count = sum(int(mask.sum()) for mask in hurt.values())
    ended = bool(hurt[name][-1])
    return Seen(
        summary=f"{name} is not finite from step {steps[0]:g} on ({count} values in all)"
        if ended
        else f"{name} is not finite at {len(steps)} of {len(series[name])} logged steps",
        first_step=float(steps[0]),
        last_step=float(steps[-1]),
        figures={"first_step": float(steps[0]), "count": float(count)},
        advice=lower(run),
    )


_LOOKED_AT = ("train_loss", "eval_loss", "score", "grad_norm")
RULE = BasicRule(
    id="not-finite",
    title="NaN or infinity",
    severity="error",
    needs="a loss, a score or a gradient norm",
    threshold="one value (exact)",
    remedy="go back to the last checkpoint before it and train on at a tenth of the rate; if it"
    " comes back, look for empty batches, labels out of range, or fp16 where bf16 would do",
    source="https://github.com/keras-team/keras/issues/8332 (restore, cut, go on)",
    look=_look,
    shows="train_loss",
)
