"""What a report shows, computed from a record: pure, nothing is drawn here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np

from lrpilot.diagnose.finding import Advice
from lrpilot.facts import Recommendation
from lrpilot.record import STRETCH, RunRecord
from lrpilot.report.series import Series, finite, smooth, thin
from lrpilot.report.values import (
    Axis,
    DecisionRow,
    End,
    FindingRow,
    Metric,
    ReportData,
    Sample,
    ScoreRow,
    Span,
    Validation,
)

BUCKETS = 1000  # assumed: more spans than a screen has pixels for two points each
SMOOTHED_SHARE = 0.025  # assumed: a fortieth of the run still shows its bends
LEAST_SPAN = 5.0  # assumed: fewer values average hardly any noise away
SAMPLES = 25  # assumed: enough to follow the run in a table, few enough to read
LOG_SPREAD = 20.0  # assumed: a loss so far above the median flattens all others on a linear axis


def report_data(record: RunRecord) -> ReportData:
    """Compute what a report shows.

    Args:
        record: A run, finished or not; events that lack their numbers are left out.
    """
    header = record.header
    metric = _metric(_mapping(header.get("metric")))
    budget = _mapping(header.get("budget"))
    steps = [e for e in record.of("step") if _is_step(e)]
    numbers = [int(e["step"]) for e in steps]
    loss = finite(numbers, [_number(e.get("loss")) for e in steps])
    lr = finite(numbers, [_number(e.get("lr")) for e in steps])
    validations = _validations(record)
    decisions = _decisions(record)
    undone = undone_stretches(decisions, validations, mode=metric.mode)
    ends = {d.step for d in decisions if d.action == "trial"}
    tried = {n for s in undone if s.end in ends for n in range(s.start + 1, s.end + 1)}
    meant = [i for i, n in enumerate(lr.steps) if n not in tried]
    peak = max(meant, key=lr.values.__getitem__, default=None)
    span = max(LEAST_SPAN, SMOOTHED_SHARE * len(loss))
    smoothed = smooth(loss, span=span, restarts=[s.end for s in undone])
    return ReportData(
        title=str(header.get("title") or ""),
        policy=str(header.get("policy") or ""),
        created=str(header.get("created") or ""),
        version=str(header.get("lrpilot") or ""),
        steps=max(numbers, default=0),
        budget_steps=_whole(budget.get("steps")),
        wall_s=_last_wall_s(record),
        end=_end(record),
        metric=metric,
        lr=thin(lr, buckets=BUCKETS),
        train_loss=thin(loss, buckets=BUCKETS),
        smoothed=thin(smoothed, buckets=BUCKETS),
        samples=_samples(numbers, lr, loss, smoothed),
        not_finite=_not_finite(steps),
        lr_start=lr.values[0] if lr.values else None,
        lr_peak=None if peak is None else lr.values[peak],
        lr_peak_step=None if peak is None else lr.steps[peak],
        loss_axis=_axis(loss.values),
        validations=validations,
        best=best_validation(validations, mode=metric.mode),
        decisions=decisions,
        findings=_findings(record),
        undone=undone,
        scores=tuple(_score(e) for e in record.of("score")),
        recommendation=_recommendation(header.get("recommendation")),
        facts=_mapping(header.get("facts")),
        budget=budget,
        environment=_mapping(header.get("environment")),
    )


def best_validation(validations: Sequence[Validation], *, mode: str) -> Validation | None:
    """The best finite validation, the first of equals; None if there is none."""
    sign = -1.0 if mode == "max" else 1.0
    usable = [v for v in validations if math.isfinite(v.mean)]
    return min(usable, key=lambda v: sign * v.mean, default=None)


def undone_stretches(
    decisions: Sequence[DecisionRow], validations: Sequence[Validation], *, mode: str
) -> tuple[Span, ...]:
    """The steps that each roll-back, and each return from a trial's higher branch, undid.

    An older record does not say where a roll-back returned to: the best validation before it.
    Steps between that and an earlier roll-back were undone then, and do not count twice.
    """
    spans: list[Span] = []
    for decision in decisions:
        if decision.action not in ("rollback", "trial") or decision.keeps_best:
            continue
        target = decision.back_to
        if target is None:
            earlier = [v for v in validations if v.step < decision.step]
            best = best_validation(earlier, mode=mode)
            target = 0 if best is None else best.step
        start = max(target, spans[-1].end if spans else 0)
        if start < decision.step:
            spans.append(Span(start=start, end=decision.step))
    return tuple(spans)


# -- reading events -------------------------------------------------------------------------


def _validations(record: RunRecord) -> tuple[Validation, ...]:
    return tuple(
        Validation(
            step=int(e["step"]),
            mean=_number(e.get("mean")),
            standard_error=_optional(e.get("standard_error")),
            n=_whole(e.get("n")) or 1,
            cause=str(e.get("cause") or ""),
        )
        for e in record.of("evaluation")
        if _is_step(e) and e.get("cause") != STRETCH  # no step led to those weights
    )


def _decisions(record: RunRecord) -> tuple[DecisionRow, ...]:
    rows = []
    lr: float | None = None
    for event in record.events:
        if event["kind"] == "step":
            lr = _optional(event.get("lr"))
        if event["kind"] != "decision" or not _is_step(event):
            continue
        figures = _mapping(event.get("figures"))
        action, rule = str(event.get("action") or ""), str(event.get("rule") or "")
        rows.append(
            DecisionRow(
                step=int(event["step"]),
                action="trial" if (action, rule) == ("rollback", "trial") else action,
                rule=rule,
                lr_before=lr,
                lr_after=_optional(event.get("lr")),
                reason=str(event.get("reason") or ""),
                figures=tuple((str(k), _number(v)) for k, v in figures.items()),
                back_to=_whole(event.get("back_to")),
            )
        )
    return tuple(rows)


def _findings(record: RunRecord) -> tuple[FindingRow, ...]:
    return tuple(
        FindingRow(
            step=int(e["step"]),
            severity=str(e.get("severity") or ""),
            rule=str(e.get("rule") or ""),
            summary=str(e.get("summary") or ""),
            first_step=_whole(e.get("first_step")),
            last_step=_whole(e.get("last_step")),
            remedy=str(e.get("remedy") or ""),
            advice=_advice(_mapping(e.get("advice"))),
        )
        for e in record.of("finding")
        if _is_step(e)
    )


def _advice(data: Mapping[str, Any]) -> Advice | None:
    """As recorded; None where a rate is missing or not one."""
    lr, low, high = (_number(data.get(name)) for name in ("lr", "low", "high"))
    if not all(math.isfinite(v) for v in (lr, low, high)):
        return None
    return Advice(lr=lr, low=low, high=high, because=str(data.get("because") or ""))


def _samples(
    steps: Sequence[int], lr: Series, loss: Series, smoothed: Series
) -> tuple[Sample, ...]:
    rates, losses, means = (dict(zip(s.steps, s.values, strict=True)) for s in (lr, loss, smoothed))
    chosen = sorted(
        {steps[round(i)] for i in np.linspace(0, len(steps) - 1, SAMPLES)} if steps else ()
    )
    return tuple(
        Sample(step=s, lr=rates.get(s), train_loss=losses.get(s), smoothed=means.get(s))
        for s in chosen
    )


def _score(event: Mapping[str, Any]) -> ScoreRow:
    return ScoreRow(
        name=str(event.get("name") or ""),
        split=str(event.get("split") or ""),
        metric=str(event.get("metric") or ""),
        unit=str(event.get("unit") or ""),
        value=_number(event.get("value")),
        standard_error=_optional(event.get("standard_error")),
        n=_whole(event.get("n")),
        steps=_whole(event.get("steps")),
    )


def _end(record: RunRecord) -> End:
    """The last end, unless the run was resumed after it."""
    last = [e for e in record.events if e["kind"] in ("end", "resume")]
    if not last or last[-1]["kind"] == "resume":
        return End(status="unfinished")
    event = last[-1]
    return End(
        status=str(event.get("status") or "unfinished"),
        cause=str(event.get("cause") or ""),
        remedy=str(event.get("remedy") or ""),
    )


def _recommendation(data: object) -> Recommendation | None:
    """As recorded; None where it is missing or not one."""
    try:
        return Recommendation.from_json(data) if isinstance(data, dict) else None
    except (TypeError, ValueError, AttributeError):
        return None


def _metric(data: Mapping[str, Any]) -> Metric:
    return Metric(
        name=str(data.get("name") or "validation loss"),
        unit=str(data.get("unit") if data.get("unit") is not None else "nats"),
        mode="max" if data.get("mode") == "max" else "min",
    )


def _not_finite(steps: Sequence[Mapping[str, Any]]) -> tuple[int, ...]:
    losses = ((int(e["step"]), e.get("loss")) for e in steps)
    return tuple(s for s, v in losses if v is not None and not math.isfinite(_number(v)))


def _axis(values: Sequence[float]) -> Axis:
    if not values or min(values) <= 0:
        return "linear"
    return "log" if max(values) > LOG_SPREAD * median(values) else "linear"


def _last_wall_s(record: RunRecord) -> float | None:
    walls = (_optional(e.get("wall_s")) for e in reversed(record.events))
    return next((w for w in walls if w is not None), None)


def _is_step(event: Mapping[str, Any]) -> bool:
    return _whole(event.get("step")) is not None


def _whole(value: object) -> int | None:
    number = _number(value)
    return int(number) if math.isfinite(number) else None


def _optional(value: object) -> float | None:
    number = _number(value)
    return None if math.isnan(number) else number


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
