"""The training loss rose far above where it had been, or started: the rate was too high."""

from __future__ import annotations

from lrpilot.diagnose.advice import band, lower
from lrpilot.diagnose.history import History
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.storm import ABOVE_START, END, HUMP, Storm, find_storm
from lrpilot.diagnose.view import figure, finite, peak_lr
from lrpilot.diagnose.worsening import no_progress


def _look(run: History, alpha: float) -> Seen | str | None:
    if finite(run.train_loss, least=5) is None and finite(run.eval_loss, least=5) is None:
        return "at least five finite losses"
    storm = find_storm(run, alpha)
    return _never_learned(run) if storm is None else _seen(run, storm)


def _seen(run: History, storm: Storm) -> Seen:
    loss, rise = storm.loss, storm.rise
    start, last = float(loss.values[0]), float(loss.steps[storm.stop - 1])
    return Seen(
        summary=_said(run, storm),
        first_step=float(loss.steps[rise.best]),
        last_step=last if storm.what != "score" else float(loss.steps[-1]),
        figures={"low": rise.low, "high": rise.high, "start": start, "noise": rise.sd, "p": rise.p},
        severity=None if storm.to_the_end or rise.high > HUMP * start else "warning",
        advice=lower(run),
    )


def _said(run: History, storm: Storm) -> str:
    """What was seen, in a sentence."""
    loss, rise = storm.loss, storm.rise
    if storm.what == "score":
        name = run.score_name or "the score"
        return (
            f"{name} is stuck at {figure(rise.high)} while the validation loss moves up and down:"
            " the model gives one answer to everything"
        )
    if storm.what == "validation loss":
        return (
            f"the validation loss stood at {figure(rise.high)}, the training loss had started at"
            f" {figure(rise.low)}: the weights were thrown far off"
        )
    said = (
        f"the {storm.what} rose from {figure(rise.low)} to {figure(rise.high)} between steps"
        f" {loss.steps[rise.best]:g} and {loss.steps[storm.stop - 1]:g}"
    )
    if storm.what != "loss":
        said += ", and the loss did not halve"
    elif rise.high > loss.values[0]:
        said += f", above the {figure(float(loss.values[0]))} it started with"
    return said if storm.to_the_end else f"{said}; it ended at {figure(float(loss.values[-1]))}"


def _never_learned(run: History) -> Seen | None:
    """A loss that stays where it began, at a rate above the recommended band."""
    stuck = no_progress(run)
    if stuck is None:
        return None
    used, found = peak_lr(run), band(run)
    if used is None or found is None or used <= found.high:
        return None
    return Seen(
        summary=f"the loss stayed at {figure(stuck.end)} from start to end, at a rate of {used:g},"
        f" above the band {found.low:g} to {found.high:g}",
        figures={"start": stuck.start, "end": stuck.end, "lr": used},
        advice=lower(run),
    )


RULE = BasicRule(
    id="lr-too-high",
    title="the rate was too high: the loss diverged, or rose above its start",
    severity="error",
    needs="training losses, five or more",
    threshold=f"the end {END:g} times the best level, a quarter of the descent lost, or"
    f" {ABOVE_START - 1:.0%} above the start (assumed; peers take 1.5 and 2 times the minimum), and"
    " a rise that noise alone explains with less than the rule's share of 5% (simulated null); or"
    " validation at twice the first training loss with training above it, or three times with"
    " training above 60% of it (assumed); or gradients that grew 30 times while the loss did not"
    " halve (measured on the corpus); or a score stuck to one value while the validation loss moves"
    " by 1% (assumed)",
    remedy="start again, or from the best checkpoint, at a tenth of the rate",
    source="article: too high a rate diverges, skips the optimum, is unstable; TheDeepChecker"
    " (loss twice its minimum)",
    look=_look,
    statistical=True,
    weight=1.6,
    shows="train_loss",
)
