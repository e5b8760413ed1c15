"""Frozen parameters in the optimizer."""

from __future__ import annotations

from lrpilot.diagnose.history import History
from lrpilot.diagnose.rule import BasicRule, Seen


def _look(run: History, alpha: float) -> Seen | str | None:
    groups = run.plan.groups
    if not groups:
        return "the optimizer's parameter groups"
    frozen = [g for g in groups if g.frozen and g.lr > 0]
    if not frozen:
        return None
    all_of_it = all(g.frozen for g in groups)
    params = sum(g.params or 0 for g in frozen)
    size = f" ({params:,} parameters)" if params else ""
    names = ", ".join(g.name for g in frozen[:3]) + (" ..." if len(frozen) > 3 else "")
    return Seen(
        summary=f"the optimizer holds frozen parameters: {names}{size}"
        + ("; nothing else is there to train" if all_of_it else ""),
        figures={"groups": float(len(frozen)), "params": float(params)},
        severity="error" if all_of_it else None,
    )


RULE = BasicRule(
    id="frozen-parameters",
    title="frozen parameters in the optimizer",
    severity="warning",
    needs="the optimizer's parameter groups",
    threshold="a group that is frozen and has a rate (exact)",
    remedy="give the optimizer only [p for p in model.parameters() if p.requires_grad], or unfreeze"
    " the group; weight decay would still shrink what has a stale gradient",
    source="PyTorch documentation, torch.optim (parameters that the optimizer holds)",
    look=_look,
)
