"""What a rule found, and what a whole diagnosis says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

Severity = Literal["info", "warning", "error"]
NO_FIGURES: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """A rate to try, with its band and why."""

    lr: float
    low: float
    high: float
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, or worth knowing.

    Attributes:
        rule: Id of the rule ("lr-too-high").
        severity: "error": the run is lost or wrong; "warning": it loses quality or may; "info".
        summary: One sentence with the figures.
        first_step, last_step: Where in the run; None where it concerns the plan.
        figures: The numbers that it rests on.
        remedy: What to set, as a concrete setting.
        advice: The rate to try, where the remedy is a rate.
        source: Where the rule comes from.
    """

    rule: str
    severity: Severity
    summary: str
    first_step: int | None = None
    last_step: int | None = None
    figures: Mapping[str, float] = field(default_factory=lambda: NO_FIGURES)
    remedy: str = ""
    advice: Advice | None = None
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unjudged:
    """A rule that this input could not answer, and what it would need."""

    rule: str
    needs: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What a run's history says.

    Attributes:
        where, format: Of the history.
        findings: The worst first.
        passed: Ids of the rules that looked and found nothing.
        unjudged: What cannot be judged from this input.
        unread: What the reader left out.
    """

    where: str
    format: str
    findings: tuple[Finding, ...]
    passed: tuple[str, ...]
    unjudged: tuple[Unjudged, ...]
    unread: tuple[str, ...] = ()
