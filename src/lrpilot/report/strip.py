"""The recommended band on a log axis, beside the rates that the run really used."""

from __future__ import annotations

import math

from lrpilot.facts import Recommendation
from lrpilot.report.formats import rate
from lrpilot.report.tags import escape
from lrpilot.report.values import ReportData


def draw_strip(found: Recommendation, data: ReportData) -> str:
    """HTML boxes placed by percentages: they need no script and fit any width."""
    used = [v for v in (data.lr_start, data.lr_peak) if v is not None and v > 0]
    everything = [found.low, found.high, found.peak_lr, *used]
    first = math.floor(math.log10(min(everything)) - 0.05)
    last = math.ceil(math.log10(max(everything)) + 0.05)

    def place(value: float) -> float:
        return 100.0 * (math.log10(value) - first) / (last - first)

    parts = ['<span class="axis"></span>']
    for decade in range(first, last + 1):
        at = place(10.0**decade)
        parts.append(f'<span class="grid" style="left:{at:.2f}%"></span>')
        parts.append(f'<span class="tick" style="left:{at:.2f}%">1e{decade:+03d}</span>')
    if found.high > found.low:
        parts.append(_bar("band", place(found.low), place(found.high)))
    if used:
        parts.append(_bar("used", place(used[0]), place(used[-1])))
    at = place(found.peak_lr)
    side = f"left:{at:.2f}%" if at < 50 else f"right:{100 - at:.2f}%"
    parts.append(f'<span class="peak" style="left:{at:.2f}%"></span>')
    parts.append(f'<span class="label" style="{side}">peak {rate(found.peak_lr)}</span>')
    return (
        f'<div class="strip" role="img" aria-label="{escape(_said(found, used))}">'
        f'{"".join(parts)}</div><ul class="key soft">{_key(found, used)}</ul>'
    )


def _bar(kind: str, start: float, end: float) -> str:
    return f'<span class="{kind}" style="left:{start:.2f}%;width:{end - start:.2f}%"></span>'


def _said(found: Recommendation, used: list[float]) -> str:
    text = (
        f"Log axis of learning rates: recommended peak {rate(found.peak_lr)}, band"
        f" {rate(found.low)} to {rate(found.high)}"
    )
    return f"{text}; the run went from {rate(used[0])} up to {rate(used[-1])}" if used else text


def _key(found: Recommendation, used: list[float]) -> str:
    items = []
    if found.high > found.low:
        items.append(("area lr", "recommended band"))
    if used:
        items.append(("line validation", "from the first to the highest rate of this run"))
    return "".join(
        f'<li><span class="swatch {kind}" aria-hidden="true"></span>{label}</li>'
        for kind, label in items
    )
