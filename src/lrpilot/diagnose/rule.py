"""What a rule is: an id, what it needs to see, its threshold's origin, a check, a remedy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from lrpilot.diagnose.finding import NO_FIGURES, Advice, Finding, Severity, Unjudged
from lrpilot.diagnose.history import History


class Rule(Protocol):
    """Looks at a history for one mistake.

    Attributes:
        id: Kebab-case, never changed once released.
        title: A few words.
        severity: Its usual one.
        needs: What it looks at, in words a user knows.
        threshold: Its threshold and where that comes from (`paper`, `measured`, `assumed`).
        remedy: What to do, in general.
        source: A paper, an issue thread, a measurement.
        statistical: Whether it can raise a false alarm by noise; such rules share the report's 5%.
        weight: Its part of that share: alpha times weight over the sum of all weights.
        shows: Name of the series that a drawing of a finding shows; "" for none.
    """

    @property
    def id(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def severity(self) -> Severity: ...
    @property
    def needs(self) -> str: ...
    @property
    def threshold(self) -> str: ...
    @property
    def remedy(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def statistical(self) -> bool: ...
    @property
    def weight(self) -> float: ...
    @property
    def shows(self) -> str: ...

    def check(self, history: History, *, alpha: float) -> Finding | Unjudged | None:
        """Look.

        Args:
            history: What there is to see.
            alpha: This rule's share of the chance of a false alarm; rules that are not
                statistical ignore it.

        Returns:
            A finding; None where all is well; `Unjudged` where this input cannot tell.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a look found; the rule adds its id, source and usual words where they are left out."""

    summary: str
    first_step: float | None = None
    last_step: float | None = None
    figures: Mapping[str, float] = field(default_factory=lambda: NO_FIGURES)
    severity: Severity | None = None
    remedy: str = ""
    advice: Advice | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicRule:
    """A `Rule` around one function.

    Attributes:
        look: Of a history and this rule's alpha; says what it saw, None where all is well, or in
            words what it would need to tell.
    """

    id: str
    title: str
    severity: Severity
    needs: str
    threshold: str
    remedy: str
    source: str
    look: Callable[[History, float], Seen | str | None]
    statistical: bool = False
    weight: float = 1.0
    shows: str = ""

    def check(self, history: History, *, alpha: float) -> Finding | Unjudged | None:
        """Look, and put the answer in the words of a report."""
        seen = self.look(history, alpha)
        if seen is None:
            return None
        if isinstance(seen, str):
            return Unjudged(rule=self.id, needs=seen)
        return Finding(
            rule=self.id,
            severity=seen.severity or self.severity,
            summary=seen.summary,
            first_step=_whole(seen.first_step),
            last_step=_whole(seen.last_step),
            figures=seen.figures,
            remedy=seen.remedy or self.remedy,
            advice=seen.advice,
            source=self.source,
        )


def _whole(step: float | None) -> int | None:
    return None if step is None else int(step)
