"""The run starts at its peak rate, where that matters."""

from __future__ import annotations

from lrpilot.diagnose.advice import band
from lrpilot.diagnose.history import History
from lrpilot.diagnose.hump import LEAST, find_hump
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.view import finite, optimizer, peak_lr, total_steps

_AT_PEAK = 0.9  # assumed: the first logged rate is that close to the peak
_EARLY = 0.2  # assumed: the first fifth of the run
_HURT = 1.05  # assumed: the loss rose by a twentieth there
_SHARE = 0.06  # assumed: warm-up of most recipes (recommend/plan.py)


def _look(run: History, alpha: float) -> Seen | str | None:
    steps = _warmup_steps(run)
    if steps is None:
        return "the warm-up, or the rates of the first fifth of the run"
    if steps > 0 or optimizer(run) == "sgd":
        return None
    early = finite(run.train_loss, least=LEAST)
    if early is not None:
        hump = find_hump(early.values[: round(_EARLY * len(early))])
        if hump is not None and hump.p <= alpha and hump.high >= _HURT * abs(hump.low):
            said = f"the loss rose from {hump.low:.4g} to {hump.high:.4g} in the first steps"
            return _seen(run, said, None)
    found, used = band(run), peak_lr(run)
    sure = found is not None and found.basis != "prior"
    if found is not None and sure and used is not None and used > found.peak_lr:
        return _seen(run, f"the rate {used:g} is above the usual {found.peak_lr:g}", "info")
    return None


def _warmup_steps(run: History) -> float | None:
    """As stated, or as the log shows; None where neither tells."""
    plan = run.plan
    if plan.warmup_steps is not None:
        return plan.warmup_steps
    if plan.warmup_frac is not None:
        return plan.warmup_frac
    lr, total = finite(run.lr, least=3), total_steps(run)
    if lr is None or total is None or lr.steps[0] > _EARLY * total:
        return None
    return 0.0 if lr.values[0] >= _AT_PEAK * lr.values.max() else 1.0


def _seen(run: History, why: str, severity: str | None) -> Seen:
    found, total = band(run), total_steps(run)
    share = found.warmup_frac if found is not None and found.warmup_frac else _SHARE
    steps = "" if total is None else f", here warmup_steps={max(1, round(share * total))}"
    return Seen(
        summary=f"no warm-up, and {why}",
        first_step=0.0,
        figures={"warmup_frac": share},
        severity="info" if severity == "info" else None,
        remedy=f"warm up over {share:.0%} of the steps{steps}",
    )


RULE = BasicRule(
    id="no-warmup",
    title="no warm-up where it matters",
    severity="warning",
    needs="the warm-up, or the rates of the first fifth of the run",
    threshold="the first rate is 90% of the peak, and the early loss rises by 5% or the rate is"
    " above the recommended peak (assumed); not for plain SGD",
    remedy="warm up over 6% of the steps",
    source="Mosbach et al. 2021, arXiv 2006.04884 (warm-up against failed BERT runs); Ma and Yarats"
    " 2021, arXiv 1910.04209 (Adam needs it for its second moments)",
    look=_look,
    statistical=True,
    weight=0.05,
    shows="train_loss",
)
