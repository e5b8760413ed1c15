"""The engine: every rule looks once, the statistical ones share one chance of a false alarm."""

from __future__ import annotations

from collections.abc import Sequence

from lrpilot.diagnose.finding import Diagnosis, Finding, Unjudged
from lrpilot.diagnose.history import History
from lrpilot.diagnose.rule import Rule
from lrpilot.errors import InputError

_RANK = {"error": 0, "warning": 1, "info": 2}


def diagnose(
    history: History, *, alpha: float = 0.05, rules: Sequence[Rule] | None = None
) -> Diagnosis:
    """What went wrong with a run, or would go wrong with a plan.

    Args:
        history: What the run left (`lrpilot.diagnose.readers.read`), or a plan without series.
        alpha: The chance that the report of a run in which nothing is wrong holds any finding
            that noise alone made. The statistical rules share it by their weights.
        rules: Which rules look; all of `RULES` when left out.

    Returns:
        The findings, the worst first, with what passed and what could not be judged.

    Raises:
        InputError: An alpha outside (0, 1).

    Example:
        >>> from lrpilot.diagnose import History, Series, diagnose
        >>> loss = Series.of(range(1, 6), [2.0, 1.5, float("nan"), float("nan"), float("nan")])
        >>> diagnose(History(where="run", format="csv", train_loss=loss)).findings[0].rule
        'not-finite'
    """
    if not 0.0 < alpha < 1.0:
        raise InputError(f"alpha is {alpha!r}: give a chance between 0 and 1")
    if rules is None:
        from lrpilot.diagnose.rules import RULES

        rules = RULES
    findings: list[Finding] = []
    passed: list[str] = []
    unjudged: list[Unjudged] = []
    for rule, answer in _answers(history, rules, alpha):
        if isinstance(answer, Finding):
            findings.append(answer)
        elif isinstance(answer, Unjudged):
            unjudged.append(answer)
        else:
            passed.append(rule.id)
    findings.sort(key=lambda finding: _RANK[finding.severity])
    return Diagnosis(
        where=history.where,
        format=history.format,
        findings=tuple(findings),
        passed=tuple(passed),
        unjudged=tuple(unjudged),
        unread=history.unread,
    )


def _answers(
    history: History, rules: Sequence[Rule], alpha: float
) -> list[tuple[Rule, Finding | Unjudged | None]]:
    """What each rule says at its part of alpha (Bonferroni, by weight).

    A rule that cannot judge this input gives its part to the others: whether it can depends on
    what was logged, not on the noise in it.
    """
    first = {rule.id: rule.check(history, alpha=alpha) for rule in rules}
    tested = [r for r in rules if r.statistical and not isinstance(first[r.id], Unjudged)]
    total = sum(rule.weight for rule in tested)
    again = {r.id: r.check(history, alpha=alpha * r.weight / total) for r in tested}
    return [(rule, (first | again)[rule.id]) for rule in rules]
