"""A new head at the body's rate, with too few and too small steps to grow from zero."""

from __future__ import annotations

from lrpilot.diagnose.finding import Advice
from lrpilot.diagnose.history import History
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.view import figure, optimizer, peak_lr, total_steps

_REACH = 2e-3  # closed form and assumed: a tenth of the 0.02 that heads are initialised with
_MEAN = 0.5  # closed form: the mean of a linear decay


def _look(run: History, alpha: float) -> Seen | str | None:
    plan, used, total = run.plan, peak_lr(run), total_steps(run)
    if plan.new_head is None:
        return "whether a head starts from random weights"
    if used is None or total is None:
        return "the rate and the length of the run"
    rate = plan.head_lr or used
    if not plan.new_head or rate > used or optimizer(run) not in (None, "adamw"):
        return None
    reach = _MEAN * rate * total
    if reach >= _REACH:
        return None
    lr = float(f"{min(1e-3, _REACH * 5 / total):.1e}")
    return Seen(
        summary=f"a new head at {figure(rate)} for {total:g} steps: Adam can move each of its"
        f" weights by {figure(reach)} at most, they start at about 0.02",
        figures={"reach": reach, "lr": rate, "steps": total},
        advice=Advice(
            lr=max(lr, 10 * rate),
            low=3 * rate,
            high=max(1e-3, 10 * rate),
            because="for the head alone; the body keeps its rate",
        ),
    )


RULE = BasicRule(
    id="head-rate",
    title="a new head cannot move at the body's rate",
    severity="info",
    needs="whether a head is new, the rate, the length of the run",
    threshold=f"the sum of all rates is below {_REACH:g} (closed form: Adam moves a weight by at"
    " most its rate a step; assumed: a tenth of the usual initial size)",
    remedy="train the head alone first (LP-FT), or give it ten times the body's rate",
    source="Kumar et al. 2022, arXiv 2202.10054 (LP-FT)",
    look=_look,
)
