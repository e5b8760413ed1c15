"""lrpilot's own record: `run.jsonl`, or the folder of a run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from lrpilot.diagnose.history import History, Plan, Series
from lrpilot.diagnose.readers.assemble import assemble
from lrpilot.diagnose.readers.bounded import count, lines, number
from lrpilot.diagnose.readers.collect import Collector
from lrpilot.diagnose.readers.format import Format, Place
from lrpilot.errors import InputError
from lrpilot.facts import RunFacts
from lrpilot.record import KINDS, STRETCH, VERSION

_NAME = "run.jsonl"


def _claims(place: Place) -> bool:
    if place.is_dir:
        return place.has_file(_NAME)
    start = place.text.lstrip()[:4000]
    return start.startswith("{") and '"kind"' in start and '"run"' in start and "version" in start


def _read(place: Place) -> list[History]:
    if not place.is_dir:
        return [_one(place.path)]
    found = [_one(place.path / _NAME)]
    inner = place.path / "baseline" / _NAME
    return [*found, _one(inner)] if inner.is_file() else found


def _one(path: Path) -> History:
    events = _events(path)
    header = next(events, None)
    if header is None or header.get("kind") != "run":
        raise InputError(f"{path} is not a run record: its first line is no run header")
    if header.get("version") != VERSION:
        raise InputError(
            f"{path} has version {header.get('version')!r}, this release reads {VERSION}:"
            " update lrpilot"
        )
    story = _Story(header)
    for event in events:
        story.take(event)
    return story.history(path)


def _events(path: Path) -> Iterator[dict[str, Any]]:
    """Each whole line, one in memory at a time; the last may be broken by a crash."""
    broken = 0
    for position, line in enumerate(lines(path), 1):
        if not line.strip():
            continue
        if broken:
            raise InputError(f"{path}, line {broken}: not a JSON event; the file is damaged")
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            broken = position
            continue
        if not isinstance(event, dict) or event.get("kind") not in KINDS:
            raise InputError(f"{path}, line {position}: not an event of a run record")
        yield event


class _Story:
    """The events of one run, summed up as they come."""

    def __init__(self, header: Mapping[str, Any]) -> None:
        self.header = header
        self.collected = Collector()
        self.resumes: list[int] = []
        self.evaluations: list[tuple[float, float, float]] = []
        self.examples: int | None = None
        self.end: Mapping[str, Any] = {}
        self.fitted: Mapping[str, Any] = {}  # into a limited time

    def take(self, event: Mapping[str, Any]) -> None:
        kind, step = event["kind"], number(event.get("step"))
        if step is None or not 0 <= step < 2**53:
            return
        if kind == "step":
            for name in ("loss", "lr", "grad_norm"):
                value = number(event.get(name))
                if value is not None:
                    self.collected.add(name, step, value)
        elif kind == "evaluation" and event.get("cause") != STRETCH:
            mean, error = number(event.get("mean")), number(event.get("standard_error"))
            if mean is not None:
                self.evaluations.append((step, mean, np.nan if error is None else error))
            self.examples = count(event.get("n")) or self.examples
        elif kind == "decision" and event.get("rule") == "time":
            self.fitted = _dict(event.get("figures"))
        elif kind == "resume":
            self.resumes.append(int(step))
            self.evaluations = [e for e in self.evaluations if e[0] <= step]
        elif kind == "end":
            self.end = event

    def history(self, path: Path) -> History:
        metric = _dict(self.header.get("metric"))
        is_loss = metric.get("mode", "min") == "min"
        plan = self._plan(metric)
        if not self.collected.names and not self.evaluations:
            raise InputError(f"{path} holds no step and no validation: the run never began")
        rest: dict[str, Any] = {"resumes": tuple(self.resumes)}
        if self.evaluations:
            validation = _validation(self.evaluations)
            rest["eval_loss" if is_loss else "score"] = validation
            if not is_loss:
                rest |= {"score_name": str(metric.get("name", "score")), "score_mode": "max"}
        if not self.collected.names:
            return History(where=str(path), format="lrpilot", plan=plan, **rest)
        status = self.end.get("status")
        return assemble(
            str(path), "lrpilot", self.collected, plan=plan,
            finished=None if status is None else status == "finished",
            best_checkpoint=count(self.end.get("best_step")), **rest,
        )  # fmt: skip

    def _plan(self, metric: Mapping[str, Any]) -> Plan:
        budget = {**_dict(self.header.get("budget")), **self.fitted}
        advice = _dict(self.header.get("recommendation"))
        given = _dict(self.header.get("facts"))
        known = {f.name for f in fields(RunFacts)}
        values = {k: v for k, v in given.items() if k in known}
        steps = count(budget.get("steps"))
        values |= {"steps": steps} if self.fitted else {}
        peak = number(advice.get("peak_lr"))
        try:
            facts = RunFacts(**{"steps": steps, "planned_lr": peak or None, **values})
        except (TypeError, ValueError):
            facts = RunFacts(steps=steps)
        evaluations = count(budget.get("evaluations"))
        return Plan(
            facts=facts,
            schedule=_schedule(self.header.get("policy"), budget),
            schedule_steps=steps,
            evaluates=bool(self.evaluations),
            eval_every_steps=steps // evaluations or None if steps and evaluations else None,
            eval_examples=self.examples,
            keeps_best=self.header.get("policy") != "constant",
            metric=str(metric["name"]) if "name" in metric else None,
            metric_mode="max" if metric.get("mode") == "max" else "min",
            stated=frozenset({*values, "steps", "schedule", "schedule_steps", "evaluates"}),
        )


def _schedule(policy: Any, budget: Mapping[str, Any]) -> str | None:
    """Every policy anneals to zero, unless a schedule of the user's does; a constant one only."""
    if policy != "constant":
        return "autopilot"
    return "linear" if budget.get("anneal", True) else None


def _validation(evaluations: list[tuple[float, float, float]]) -> Series:
    table = np.asarray(evaluations, dtype=np.float64)
    errors = table[:, 2] if np.isfinite(table[:, 2]).all() else None
    return Series.of(table[:, 0], table[:, 1], errors=errors)


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


FORMAT = Format(
    name="lrpilot",
    what="lrpilot's run.jsonl or the folder of a run",
    claims=_claims,
    read=_read,
)
