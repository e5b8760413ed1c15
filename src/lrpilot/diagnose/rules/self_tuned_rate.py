"""A parameter-free optimizer whose lr is a multiplier, set as if it were a rate."""

from __future__ import annotations

from lrpilot.diagnose.history import History
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.view import figure

_NAMES = ("prodigy", "dadapt", "dog", "ldog", "momo")
_LOW, _HIGH = 0.09, 3.0  # assumed: authors' advice is 1; a schedule lowers it


def _look(run: History, alpha: float) -> Seen | str | None:
    name = run.plan.facts.optimizer.lower().replace("-", "").replace("_", "")
    if not name.startswith(_NAMES):
        return None if "optimizer" in run.plan.stated else "the optimizer (--optimizer)"
    used = run.plan.facts.planned_lr
    if used is None:
        return "the rate that was set (--planned-lr)"
    if _LOW <= used <= _HIGH or name.startswith("momo"):
        return None
    return Seen(
        summary=f"{run.plan.facts.optimizer} with lr={figure(used)}: its lr is a multiplier of the"
        " rate that it finds itself",
        figures={"lr": used},
    )


RULE = BasicRule(
    id="self-tuned-rate",
    title="a parameter-free optimizer with a rate",
    severity="error",
    needs="the optimizer and the lr that was set",
    threshold="lr outside 0.09 to 3 (assumed; the authors say 1)",
    remedy="leave lr at 1.0 and cap it by d_coef, or d0, instead",
    source="Mishchenko and Defazio 2023, arXiv 2306.06101 (Prodigy);"
    " https://github.com/konstmish/prodigy/issues/27",
    look=_look,
)
