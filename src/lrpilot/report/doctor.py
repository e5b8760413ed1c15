"""How the report shows what the doctor said during the run: a section, and marks in the chart."""

from __future__ import annotations

import html
import textwrap

from lrpilot.diagnose.finding import Advice
from lrpilot.report.formats import rate
from lrpilot.report.tags import Cell, escape, prose, table
from lrpilot.report.values import FindingRow, ReportData

# The marks of a severity stand at one height of the rate's chart, as a share of it: at its foot,
# below the decisions, which are taken at the same steps.
HEIGHTS = {"error": 0.20, "warning": 0.12, "info": 0.04}
_HOVER_WIDTH = 56  # characters


def of(data: ReportData, severity: str) -> tuple[FindingRow, ...]:
    """The findings of one severity, in order."""
    return tuple(f for f in data.findings if f.severity == severity)


def section(data: ReportData) -> str:
    """The table of findings; nothing at all where there are none."""
    if not data.findings:
        return ""
    names = ("step", "severity", "rule", "what, and what to do")
    rows = [_row(finding) for finding in data.findings]
    return '<h2 id="doctor">What the doctor saw</h2>' + table(
        names, rows, caption="Each rule speaks once, at a validation or at the end", stack=True
    )


def hovers(data: ReportData, severity: str) -> dict[int, str]:
    """The label of each step's mark: all that was said there, escaped for Plotly."""
    said: dict[int, list[str]] = {}
    for finding in of(data, severity):
        said.setdefault(finding.step, []).append(_hover(finding))
    return {step: "<br>".join(labels) for step, labels in said.items()}


def _hover(finding: FindingRow) -> str:
    lines = textwrap.wrap(finding.summary, _HOVER_WIDTH)[:8]
    head = html.escape(f"step {finding.step:,}: {finding.severity}, {finding.rule}")
    return "<br>".join([f"<b>{head}</b>", *map(html.escape, lines)])


def _row(finding: FindingRow) -> list[Cell]:
    known = finding.severity in HEIGHTS
    mark = f'<span class="mark finding-{finding.severity}" aria-hidden="true"></span> '
    where = _where(finding)
    text = prose(_sentence(finding.summary))
    if where:
        text += f' <span class="soft nowrap">({where})</span>'
    if finding.remedy:
        text += f"<br>{prose(_sentence(finding.remedy))}"
    if finding.advice is not None:
        text += f"<br>{_try(finding.advice)}"
    return [
        Cell(f"{finding.step:,}", "num inline"),
        Cell(f"{mark if known else ''}{escape(finding.severity)}", "nowrap inline"),
        Cell(escape(finding.rule), "nowrap inline"),
        Cell(text, "wide"),
    ]


def _where(finding: FindingRow) -> str:
    first, last = finding.first_step, finding.last_step
    if first is None or last is None or first == last:
        step = last if first is None else first
        return "" if step is None else f"at step {step:,}"
    return f"steps {first:,} to {last:,}"


def _try(advice: Advice) -> str:
    text = (
        f'<strong class="nowrap">Try {rate(advice.lr)}</strong>, '
        f'<span class="nowrap">band {rate(advice.low)} to {rate(advice.high)}</span>'
    )
    because = f" Why: {_sentence(advice.because)}" if advice.because else ""
    return f'{text}.<span class="soft">{prose(because)}</span>'


def _sentence(text: str) -> str:
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."
