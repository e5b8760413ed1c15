"""A diagnosis as plain JSON types, and as SARIF 2.1.0 for code scanning."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from lrpilot.diagnose.finding import Diagnosis, Finding, Severity
from lrpilot.diagnose.rule import Rule

VERSION = 1
_LEVELS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "note"}
_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_HOME = "https://github.com/lrpilot/lrpilot/blob/main/docs/doctor.md"


def to_json(diagnoses: Sequence[Diagnosis], *, alpha: float) -> dict[str, Any]:
    """One document for all runs; NaN and infinity are the strings "nan", "inf" and "-inf"."""
    return {
        "version": VERSION,
        "alpha": alpha,
        "runs": [
            {**asdict_plain(d), "worst": d.findings[0].severity if d.findings else None}
            for d in diagnoses
        ],
    }


def asdict_plain(diagnosis: Diagnosis) -> dict[str, Any]:
    """The diagnosis with plain types all the way down."""
    out: dict[str, Any] = {
        "where": diagnosis.where,
        "format": diagnosis.format,
        "findings": [_finding(f) for f in diagnosis.findings],
        "passed": list(diagnosis.passed),
        "unjudged": [asdict(u) for u in diagnosis.unjudged],
        "unread": list(diagnosis.unread),
    }
    return out


def _finding(finding: Finding) -> dict[str, Any]:
    advice = None if finding.advice is None else asdict(finding.advice)
    return {
        "rule": finding.rule,
        "severity": finding.severity,
        "summary": finding.summary,
        "first_step": finding.first_step,
        "last_step": finding.last_step,
        "figures": {name: _number(value) for name, value in finding.figures.items()},
        "remedy": finding.remedy,
        "advice": advice,
        "source": finding.source,
    }


def _number(value: float) -> float | str:
    value = float(value)
    return value if math.isfinite(value) else str(value)


def to_sarif(
    diagnoses: Sequence[Diagnosis], rules: Sequence[Rule], *, version: str
) -> dict[str, Any]:
    """One SARIF run; each finding is a result at the file that was read.

    Source:
        OASIS, Static Analysis Results Interchange Format 2.1.0.
    """
    order = {rule.id: at for at, rule in enumerate(rules)}
    driver = {
        "name": "lrpilot doctor",
        "version": version,
        "informationUri": _HOME,
        "rules": [_descriptor(rule) for rule in rules],
    }
    results = [_result(d.where, f, order) for d in diagnoses for f in d.findings]
    run = {"tool": {"driver": driver}, "results": results, "columnKind": "unicodeCodePoints"}
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _descriptor(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "name": "".join(word.capitalize() for word in rule.id.split("-")),
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": f"Needs {rule.needs}. Threshold: {rule.threshold}."},
        "help": {"text": f"{rule.remedy}. Source: {rule.source}"},
        "helpUri": f"{_HOME}#{rule.id}",
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
    }


def _result(where: str, finding: Finding, order: dict[str, int]) -> dict[str, Any]:
    text = f"{finding.summary}. {sentence(finding)}".strip()
    place = {
        "physicalLocation": {"artifactLocation": {"uri": _uri(where)}, "region": {"startLine": 1}}
    }
    out: dict[str, Any] = {
        "ruleId": finding.rule,
        "level": _LEVELS[finding.severity],
        "message": {"text": text},
        "locations": [place],
        "partialFingerprints": {"lrpilot/v1": f"{finding.rule}:{where}"},
        "properties": {k: v for k, v in _finding(finding).items() if k not in ("rule", "summary")},
    }
    if finding.rule in order:
        out["ruleIndex"] = order[finding.rule]
    return out


def _uri(where: str) -> str:
    """A relative or absolute path as a URI reference."""
    from urllib.parse import quote

    return quote(where.replace("\\", "/"))


def sentence(finding: Finding) -> str:
    """The remedy in one sentence, with the rate to try where there is one."""
    words = finding.remedy
    if finding.advice is not None:
        a = finding.advice
        words += f"; try {a.lr:g}: band {a.low:g} to {a.high:g} because {a.because}"
    return words.removeprefix("; ")
