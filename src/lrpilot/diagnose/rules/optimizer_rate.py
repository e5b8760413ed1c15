"""An optimizer at a rate of another one's world."""

from __future__ import annotations

from lrpilot.diagnose.advice import band
from lrpilot.diagnose.finding import Advice
from lrpilot.diagnose.history import History
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.view import optimizer, peak_lr

# (lowest, highest, usual): outside of it the rate is another optimizer's
_WORLDS = {
    "adamw": (1e-9, 5e-2, "1e-5 to 1e-3"),  # assumed: each step moves a weight by about the rate
    "sgd": (1e-4, 1e3, "1e-3 to 1e-1"),  # measured: the recipes in recommend/data
    "lion": (1e-10, 1e-2, "1e-6 to 1e-4"),  # paper: 3 to 10 times lower than AdamW
    "adafactor": (1e-7, 5e-2, "1e-5 to 1e-3"),  # assumed: absolute, as Adam's
    "adafactor-relative": (1e-7, 5e-2, "1e-4 to 1e-3"),  # paper: 1e-3 constant for T5
}
_LARGE_ADAM = 3e-3  # assumed: for a known pretrained model
# assumed: the middle of what recipes take
_TYPICAL = {"adamw": 2e-5, "sgd": 1e-2, "lion": 5e-6, "adafactor": 5e-5,
            "adafactor-relative": 1e-3}  # fmt: skip


def _look(run: History, alpha: float) -> Seen | str | None:
    used, name = _used(run), optimizer(run)
    if used is None or name is None:
        return "the rate and the optimizer (--optimizer)"
    if name not in _WORLDS:
        return None
    low, high, usual = _WORLDS[name]
    found = band(run)
    if name in ("adamw", "lion") and found is not None and found.basis in ("model", "family"):
        high = max(_LARGE_ADAM / (3.0 if name == "lion" else 1.0), found.high)
    if low < used < high or (found is not None and found.low <= used <= found.high):
        return None  # an optimizer's own, or what recipes like this one take (prompt tuning's .3)
    side = "low" if used <= low else "high"
    return Seen(
        summary=f"{name} at {used:g} is far too {side}: its rates are {usual}",
        figures={"lr": used, "low": low, "high": high},
        advice=_advice(name, run),
    )


def _used(run: History) -> float | None:
    """The peak rate; where layer-wise decay is reversed, the log holds the lowest layer's."""
    facts = run.plan.facts
    if facts.layerwise_decay is not None and facts.layerwise_decay > 1.0:
        return facts.planned_lr
    return peak_lr(run)


def _advice(name: str, run: History) -> Advice:
    found = band(run)
    if found is not None and found.basis != "prior":
        why = f"recommended for these facts with {name}"
        return Advice(lr=found.peak_lr, low=found.low, high=found.high, because=why)
    lr = _TYPICAL[name]
    return Advice(lr=lr, low=lr / 3.0, high=lr * 3.0, because=f"usual for {name} in fine-tuning")


RULE = BasicRule(
    id="optimizer-rate",
    title="the rate belongs to another optimizer",
    severity="error",
    needs="the rate and the optimizer",
    threshold="AdamW from 0.05 on (3e-3 for a known pretrained model), SGD up to 1e-4, Lion from"
    " 0.01, Adafactor from 0.05 (assumed, around the ranges of published recipes), unless inside"
    " the recommended band",
    remedy="take a rate of this optimizer's own scale: SGD hundreds of times AdamW's, Lion a third"
    " to a tenth of it",
    source="lrpilot's table of recipes (docs/recommend.md); Chen et al. 2023, arXiv 2302.06675"
    " (Lion)",
    look=_look,
    shows="lr",
)
