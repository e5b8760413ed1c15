"""The rate never falls: no scheduler."""

from __future__ import annotations

from lrpilot.diagnose.advice import band
from lrpilot.diagnose.history import History, Series
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.view import FLAT, figure, finite, last_step, planned_steps, schedule

_FELL = 0.99  # assumed: the last rate below 99% of the peak is a fall
_SEEN = 0.5  # assumed: a decay shows by the middle of the run


def _look(run: History, alpha: float) -> Seen | str | None:
    name = schedule(run)
    lr = finite(run.lr, least=2)
    if lr is None:
        if name is None:
            return "the logged rate, or the schedule's name"
        return _finding(run, f'the schedule is "{name}"') if name in FLAT else None
    top, last = float(lr.values.max()), float(lr.values[-1])
    if (
        top <= 0.0
        or last < _FELL * top
        or (name is not None and name not in FLAT and not _told(run, lr))
    ):
        return None
    if name is None and not _told(run, lr):
        return "more of the run: the rate has not fallen yet"
    return _finding(run, f"the rate stays at {figure(last)} to the end")


def _told(run: History, lr: Series) -> bool:
    """Whether the rates cover enough of the run for a decay to show."""
    planned = planned_steps(run)
    return run.finished is True or planned is None or float(lr.steps[-1]) >= _SEEN * planned


def _finding(run: History, said: str) -> Seen:
    shape = found.schedule if (found := band(run)) is not None else "linear"
    warmup = found.warmup_frac if found is not None else 0.06
    shape = "linear" if shape == "constant" else shape
    return Seen(
        summary=f"{said}: no scheduler lowers it",
        last_step=last_step(run),
        figures={"warmup_frac": warmup},
        remedy=f'lr_scheduler_type="{shape}" with warmup_ratio={warmup:g}, to zero at the last'
        " step; or a schedule driven by validation (`lrpilot tune`)",
    )


RULE = BasicRule(
    id="no-schedule",
    title="no learning-rate schedule",
    severity="warning",
    needs="the logged rate, or the schedule's name",
    threshold="the last rate is within 1% of the peak (assumed)",
    remedy='lr_scheduler_type="linear" with a warm-up of 6%',
    source="article: no scheduler is a common mistake; Defazio et al. 2023, arXiv 2310.07831"
    " (linear decay to zero beats a constant rate)",
    look=_look,
    shows="lr",
)
