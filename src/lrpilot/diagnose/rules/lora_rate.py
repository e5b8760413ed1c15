"""LoRA at a rate for full fine-tuning, or full fine-tuning at a rate for LoRA."""

from __future__ import annotations

from lrpilot.diagnose.advice import band, higher, lower
from lrpilot.diagnose.history import History
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.view import optimizer, peak_lr, says

_LORA = {"lora", "qlora", "dora", "rslora"}
_LOW_FOR_LORA = 4e-5  # paper: LoRA takes about ten times the 1e-5 to 2e-5 of full fine-tuning
_HIGH_FOR_FULL = 1e-4  # paper: 1e-4 to 3e-4 are LoRA's rates, ten times those of all weights
_LARGE = 5e7  # assumed: smaller models do take such rates for all weights


def _look(run: History, alpha: float) -> Seen | str | None:
    used, method = peak_lr(run), run.plan.facts.method
    if used is None or not says(run, "method"):
        return "the rate and the method (--method full or lora)"
    if optimizer(run) not in (None, "adamw"):
        return None
    if method in _LORA:
        if used > _LOW_FOR_LORA:
            return None
        return Seen(
            summary=f"LoRA at {used:g}: that is a rate for full fine-tuning",
            figures={"lr": used, "usual": 2e-4},
            advice=higher(run),
        )
    if method != "full" or used < _HIGH_FOR_FULL:
        return None
    params = run.plan.facts.params
    if params is not None and params < _LARGE:
        return None
    found = band(run)
    if found is None or (found.basis == "prior" and params is None):
        return "the model, or its size (--model)"
    if used <= found.high:
        return None
    return Seen(
        summary=f"all weights at {used:g}: that is a rate for LoRA",
        figures={"lr": used, "high": found.high},
        advice=lower(run),
    )


RULE = BasicRule(
    id="lora-rate",
    title="LoRA with a full fine-tuning rate, or the reverse",
    severity="warning",
    needs="the rate, the method, the model or its size",
    threshold=f"LoRA up to {_LOW_FOR_LORA:g}; all weights from {_HIGH_FOR_FULL:g} on and above the"
    " recommended band (paper: a factor of ten lies between the two)",
    remedy="LoRA: about ten times the rate of full fine-tuning, 1e-4 to 3e-4",
    source="LoRA Without Regret, Thinking Machines 2025 (factor 10);"
    " https://github.com/hiyouga/LlamaFactory/issues/4944",
    look=_look,
    shows="lr",
)
