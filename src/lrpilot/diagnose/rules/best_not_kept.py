"""The best checkpoint is gone, and the last one is worse."""

from __future__ import annotations

from lrpilot.diagnose.history import History
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.statistics import LEAST
from lrpilot.diagnose.view import figure
from lrpilot.diagnose.worsening import watched, worsening


def _look(run: History, alpha: float) -> Seen | str | None:
    kept = run.plan.keeps_best
    if kept is None and not run.checkpoints:
        return "whether the best checkpoint is kept"
    if watched(run)[0] is None:
        return f"at least {LEAST} validations"
    worse = worsening(run, alpha)
    if worse is None or kept:
        return None
    rise, steps = worse.rise, worse.series.steps
    step = float(steps[rise.best])
    near = [c for c in run.checkpoints or () if _good(worse.sign, rise.low, rise.high, run, c)]
    if near:
        return None
    left = "" if run.checkpoints is None else f"; kept are {_few(run.checkpoints)}"
    return Seen(
        summary=f"the best weights (step {step:g}, {figure(worse.sign * rise.low)}) are not kept,"
        f" the last are at {figure(worse.sign * rise.high)}{left}",
        first_step=step,
        last_step=float(steps[-1]),
        figures={"best": worse.sign * rise.low, "end": worse.sign * rise.high, "p": rise.p},
    )


def _good(sign: float, low: float, high: float, run: History, checkpoint: int) -> bool:
    """Whether a kept checkpoint is nearer to the best level than to the last one."""
    series = watched(run)[0]
    if series is None:
        return False
    at = int(abs(series.steps - checkpoint).argmin())
    return float(sign * series.values[at]) < (low + high) / 2.0


def _few(steps: tuple[int, ...]) -> str:
    return ", ".join(map(str, steps[-3:])) or "none"


RULE = BasicRule(
    id="best-not-kept",
    title="the best checkpoint is not kept",
    severity="warning",
    needs="validations, and whether the best checkpoint is kept",
    threshold="the last validation is worse than the best by 0.3% (assumed) and by the test of"
    " overfitting at this rule's share of 5%",
    remedy="load_best_model_at_end=True with save_steps = eval_steps, save_total_limit=2",
    source="finetune-doctor 0.2.2: of 24 public runs that can be judged, 4 ended truly worse than"
    " their best",
    look=_look,
    statistical=True,
    weight=0.1,
    shows="eval_loss",
)
