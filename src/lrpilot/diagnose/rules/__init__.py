"""All rules, one file each; the order is that of a report within one severity."""

from __future__ import annotations

from lrpilot.diagnose.rule import Rule
from lrpilot.diagnose.rules import (
    divergence,
    no_schedule,
    no_validation,
    not_finite,
    overfitting,
)

RULES: tuple[Rule, ...] = (
    not_finite.RULE,
    divergence.RULE,
    no_validation.RULE,
    no_schedule.RULE,
    overfitting.RULE,
)
