"""What a report says in words: the verdict, and what the record cannot tell."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lrpilot.report.formats import listed, number, plural, rate, with_error
from lrpilot.report.values import DecisionRow, ReportData, ScoreRow, Validation

FEW_EXAMPLES = 100  # assumed: below this a standard error is itself known to 7 % or worse
NEVER_RAISED = 1.01  # assumed: rates that differ by less than 1 % are the same to a reader


def headline(data: ReportData) -> str:
    """How the run ended, in a few words."""
    taken = plural(data.steps, "step")
    planned = f" of {data.budget_steps:,}" if data.budget_steps else ""
    return {
        "finished": f"Finished {taken}{planned if _fewer_steps(data) else ''}.",
        "interrupted": f"Interrupted after {taken}{planned}.",
        "diverged": f"Diverged: stopped after {taken}{planned}.",
        "out-of-budget": f"Out of budget after {taken}{planned}.",
    }.get(data.end.status, f"Unfinished: {taken}{planned} recorded so far.")


def verdict(data: ReportData) -> tuple[str, ...]:
    """What happened, a sentence each: why it stopped, the rate, validation, the test."""
    sentences = (
        _why_stopped(data),
        _rate(data),
        _interventions(data),
        _validation(data),
        *_scores(data.scores),
    )
    return tuple(s for s in sentences if s)


def _why_stopped(data: ReportData) -> str:
    cause = data.end.cause.strip().rstrip(".")
    told = _fewer_steps(data) if data.end.status == "finished" else data.end.status == "diverged"
    return f"Why: {cause}." if cause and told else ""


def _fewer_steps(data: ReportData) -> bool:
    return data.steps < (data.budget_steps or 0)


def _rate(data: ReportData) -> str:
    if data.lr_start is None or data.lr_peak is None:
        return "No learning rate was recorded."
    if data.lr_peak <= NEVER_RAISED * data.lr_start:
        return f"The rate started at {rate(data.lr_start)} and was never raised."
    raises = f" in {plural(data.count('raise'), 'raise')}" if data.count("raise") else ""
    return (
        f"The rate went from {rate(data.lr_start)} up to {rate(data.lr_peak)} at step"
        f" {data.lr_peak_step:,}{raises}."
    )


def _interventions(data: ReportData) -> str:
    parts = []
    if trials := data.taken("trial"):
        parts.append(_times(trials, "trial of a higher rate", "trials of a higher rate"))
    if rollbacks := data.taken("rollback"):
        parts.append(_times(rollbacks, "roll-back") + _why(rollbacks))
    if cuts := data.taken("cut"):
        parts.append(_times(cuts, "cut") + _why(cuts))
    if not parts:
        return ""
    text = "; ".join(parts)
    if lost := sum(s.end - s.start for s in data.undone):
        text += f" ({plural(lost, 'step')} undone)" if len(parts) == 1 else ""
    return text[0].upper() + text[1:] + "."


def _times(decisions: Sequence[DecisionRow], what: str, many: str | None = None) -> str:
    steps = [d.step for d in decisions]
    at = "step" if len(steps) == 1 else "steps"
    return f"{plural(len(steps), what, many)} at {at} {listed(steps)}"


def _why(decisions: Sequence[DecisionRow]) -> str:
    return " for overfitting" if all(d.rule == "overfitting" for d in decisions) else ""


def _validation(data: ReportData) -> str:
    best = data.best
    if best is None:
        return ""
    value = with_error(best.mean, best.standard_error)
    if best.step == 0:
        return f"No {data.metric.name} was better than the untouched model's {value}."
    kept = ", and that state was kept" if any(d.keeps_best for d in data.decisions) else ""
    return f"Best {data.metric.name} {value} at step {best.step:,}{kept}."


def _scores(scores: Sequence[ScoreRow]) -> list[str]:
    """One sentence a split and metric: the first score against the others."""
    groups: dict[tuple[str, str], list[ScoreRow]] = {}
    for score in scores:
        groups.setdefault((score.split, score.metric), []).append(score)
    sentences = []
    for (split, metric), group in groups.items():
        first, *others = group
        name = f"{split} {metric}".strip() or "score"
        text = f"{name[0].upper()}{name[1:]} {with_error(first.value, first.standard_error)}"
        against = [f"{with_error(s.value, s.standard_error)} for {s.name}" for s in others]
        sentences.append(f"{text} against {listed(against)}." if against else f"{text}.")
    return sentences


# -- what cannot be judged ------------------------------------------------------------------


def caveats(data: ReportData) -> tuple[str, ...]:
    """What the record cannot tell, or tells only weakly, in full sentences."""
    found = (
        _unfinished(data),
        _few_steps(data),
        _non_finite(data),
        *_about_validation(data),
        _about_best(data),
        _about_scores(data),
        "This is one run with one seed: how far another seed would land from it is not known.",
    )
    return tuple(text for text in found if text)


def _unfinished(data: ReportData) -> str:
    if data.end.status == "finished":
        return ""
    if data.end.status == "unfinished":
        return (
            "The record has no end: the run still trains, was killed, or waits to be resumed."
            " What is said here holds for the steps so far."
        )
    remedy = f" What to do: {data.end.remedy}." if data.end.remedy else ""
    return f"The run did not finish its budget: {data.end.cause or data.end.status}.{remedy}"


def _few_steps(data: ReportData) -> str:
    if data.steps == 0:
        return "No step was recorded, so there is nothing to see yet."
    if len(data.train_loss) == 0 and not data.not_finite:
        return "The training loss was not recorded."
    return "One step shows no trend." if data.steps == 1 else ""


def _non_finite(data: ReportData) -> str:
    lost = data.not_finite
    if not lost:
        return ""
    return (
        f"The training loss was NaN or infinite at {plural(len(lost), 'step')}"
        f" (first at step {lost[0]:,}); {'it is' if len(lost) == 1 else 'they are'} marked in the"
        " chart and left out of the smoothed line."
    )


def _about_validation(data: ReportData) -> list[str]:
    shown = data.validations
    if not shown:
        return [
            "There was no validation: nothing here says whether the rate was too high or too low,"
            " or whether the model overfitted."
        ]
    found = []
    bad = [v for v in shown if not math.isfinite(v.mean)]
    if bad:
        found.append(
            f"{plural(len(bad), 'validation')} gave no finite value (first at step"
            f" {bad[0].step:,})."
        )
    n = max(v.n for v in shown)
    if n == 1:
        found.append(
            "Validations came as bare means, without a value for each example: their error bars"
            " are not known."
        )
    elif n < FEW_EXAMPLES:
        found.append(
            f"Validation holds only {n} examples. Two evaluations of the same examples still"
            " compare well, but the value itself says little about other examples."
        )
    return found


def _about_best(data: ReportData) -> str:
    best, last = data.best, _last_finite(data.validations)
    if best is None or last is None or len(data.validations) < 3:
        return ""
    if best.step == last.step and data.end.status == "finished":
        return (
            "The last validation is the best: validation was still improving, so more steps might"
            " have gone further."
        )
    return ""


def _last_finite(validations: Sequence[Validation]) -> Validation | None:
    return next((v for v in reversed(validations) if math.isfinite(v.mean)), None)


def _about_scores(data: ReportData) -> str:
    if data.scores or data.best is None or data.best.step == 0:
        return ""
    return (
        "There is no score on test data. The best validation value is a little too good: it was"
        " picked because it looked best on these very examples."
    )


def chart_summary(data: ReportData) -> str:
    """What the chart shows, for those who cannot see it."""
    loss = data.smoothed.values
    fell = (
        f"The smoothed training loss goes from {number(loss[0], 3)} to {number(loss[-1], 3)}. "
        if loss
        else ""
    )
    seen = f" and {plural(len(data.findings), 'finding')} of the doctor" if data.findings else ""
    return (
        f"Two charts over {plural(data.steps, 'step')}: the learning rate on a log scale with"
        f" {plural(len(data.decisions), 'decision')}{seen}, and the losses. {fell}"
        f"{' '.join(verdict(data))} All values are in the tables that follow."
    )
