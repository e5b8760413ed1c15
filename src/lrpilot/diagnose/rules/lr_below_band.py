"""The rate lies below what published recipes for this model and task use."""

from __future__ import annotations

from lrpilot.diagnose.advice import band, higher
from lrpilot.diagnose.history import History
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.view import peak_lr

_NEEDS = "the rate, and the model (--model, --task, --method)"
_KNOWN = 3.0  # assumed: half a power of ten below; errors low cost little (docs/recommend.md)
_UNSURE = 10.0  # assumed: where the very model is unknown, only a power of ten off is told


def _look(run: History, alpha: float) -> Seen | str | None:
    used, found = peak_lr(run), band(run)
    if used is None or found is None or found.basis == "prior":
        return _NEEDS
    edge = found.low / (_KNOWN if found.basis in ("model", "family") else _UNSURE)
    if used >= edge:
        return None
    return Seen(
        summary=f"the rate {used:g} lies {found.low / used:.2g} times below the band"
        f" {found.low:g} to {found.high:g}: it may hardly learn",
        figures={"lr": used, "low": found.low, "high": found.high, "peak_lr": found.peak_lr},
        advice=higher(run),
    )


RULE = BasicRule(
    id="lr-below-band",
    title="the rate lies below the recommended band",
    severity="warning",
    needs=_NEEDS,
    threshold="a third of the lower end of recommend's 80% band, calibrated on families it had not"
    " seen (measured: docs/recommend.md); a tenth of it where the model is not known (assumed)",
    remedy="take the recommended peak",
    source="lrpilot recommend: published recipes, docs/recommend.md",
    look=_look,
    shows="lr",
)
