"""The rate lies above what published recipes for this model and task use."""

from __future__ import annotations

from lrpilot.diagnose.advice import band, lower
from lrpilot.diagnose.history import History
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.view import peak_lr

_NEEDS = "the rate, and the model (--model, --task, --method)"
_KNOWN, _FAR = 1.25, 3.0  # assumed: a band's end is known to a quarter; far is half a power of ten
_UNSURE = 10.0  # assumed: where the very model is unknown, only a power of ten off is told


def _look(run: History, alpha: float) -> Seen | str | None:
    used, found = peak_lr(run), band(run)
    if used is None or found is None or found.basis == "prior":
        return _NEEDS
    edge = found.high * (_KNOWN if found.basis in ("model", "family") else _UNSURE)
    if used <= edge:
        return None
    return Seen(
        summary=f"the rate {used:g} lies {used / found.high:.2g} times above the band"
        f" {found.low:g} to {found.high:g}: it may diverge or forget",
        figures={"lr": used, "low": found.low, "high": found.high, "peak_lr": found.peak_lr},
        severity="info" if used < _FAR * found.high else None,
        advice=lower(run, times=1.0 if found.peak_lr < used else 3.0),
    )


RULE = BasicRule(
    id="lr-above-band",
    title="the rate lies above the recommended band",
    severity="warning",
    needs=_NEEDS,
    threshold="a quarter above the upper end of recommend's 80% band, calibrated on families it had"
    " not seen (measured: docs/recommend.md), a remark up to three times it; ten times it where the"
    " model is not known (assumed)",
    remedy="take the recommended peak",
    source="lrpilot recommend: published recipes, docs/recommend.md",
    look=_look,
    shows="lr",
)
