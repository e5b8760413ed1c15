"""Doctor: what went wrong with a fine-tuning, read off its logs or its plan, and what to do.

`diagnose` asks every rule of `RULES` about a `History`; `lrpilot.diagnose.readers.read` makes
histories from what frameworks leave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lrpilot.diagnose.engine import diagnose
from lrpilot.diagnose.finding import Advice, Diagnosis, Finding, Severity, Unjudged
from lrpilot.diagnose.history import Group, History, Plan, Series
from lrpilot.diagnose.rule import BasicRule, Rule, Seen

if TYPE_CHECKING:
    from lrpilot.diagnose.rules import RULES

__all__ = [
    "RULES",
    "Advice",
    "BasicRule",
    "Diagnosis",
    "Finding",
    "Group",
    "History",
    "Plan",
    "Rule",
    "Seen",
    "Series",
    "Severity",
    "Unjudged",
    "diagnose",
]


def __getattr__(name: str) -> Any:
    if name == "RULES":  # loaded when asked for: readers need only the words above
        from lrpilot.diagnose.rules import RULES

        return RULES
    raise AttributeError(f"module 'lrpilot.diagnose' has no attribute {name!r}")
