"""What a rule is: an id, what it needs to see, its threshold's origin, a check, a remedy."""

from __future__ import annotations

from typing import Protocol

from lrpilot.diagnose.finding import Finding, Severity, Unjudged
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
    """

    id: str
    title: str
    severity: Severity
    needs: str
    threshold: str
    remedy: str
    source: str
    statistical: bool

    def check(self, history: History, *, alpha: float) -> Finding | Unjudged | None:
        """Look.

        Args:
            history: What there is to see.
            alpha: This rule's share of the chance of a false alarm; rules that are not
                statistical ignore it.

        Returns:
            A finding; None where all is well; `Unjudged` where this input cannot tell.
        """
