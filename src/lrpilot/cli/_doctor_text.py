"""A diagnosis on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rich.console import Console

    from lrpilot.diagnose import Diagnosis, Finding, History, Rule, Series

_MARKS = {
    "error": ("✗ error", "bold red"),
    "warning": ("! warning", "yellow"),
    "info": ("· info", "cyan"),
}
_BLOCKS = "▁▂▃▄▅▆▇█"
_BROKEN = "!"  # a value that is not finite
_WIDTH = 48
_FEW = 3  # of what could not be judged, unless --verbose


def show(
    console: Console,
    history: History,
    found: Diagnosis,
    rules: Sequence[Rule],
    *,
    verbose: bool = False,
) -> None:
    """Print the findings of one run, then what was looked at and what could not be judged."""
    from rich.markup import escape

    console.print(f"[bold]{escape(found.where)}[/bold] [dim]({escape(found.format)})[/dim]")
    shows = {rule.id: rule.shows for rule in rules}
    said: set[object] = set()  # drawings and advice that stand above already
    for finding in found.findings:
        _show_finding(console, history, finding, shows.get(finding.rule, ""), said)
    if not found.findings:
        console.print(
            f"[bold green]✓ nothing wrong found[/bold green] by {len(found.passed)} rules"
        )
    _paragraph(console, "looked at, fine: ", ", ".join(found.passed), style="dim")
    _paragraph(console, "cannot judge: ", _blind(found, verbose), style="dim")
    for sentence in found.unread:
        _paragraph(console, "not read: ", sentence, style="dim")
    console.print()


def _show_finding(
    console: Console, history: History, finding: Finding, series: str, said: set[object]
) -> None:
    from rich.markup import escape

    mark, style = _MARKS[finding.severity]
    console.print(f"[{style}]{mark}[/{style}] [bold]{finding.rule}[/bold]{escape(_where(finding))}")
    _paragraph(console, "  ", finding.summary)
    drawn = _series(history, series)
    if drawn is not None and series not in said:
        line, low, high = sparkline(drawn)
        name = series if drawn is getattr(history, series) else history.score_name or "score"
        console.print(f"    {line} [dim]{escape(name)} {low:.4g} to {high:.4g}[/dim]")
    _paragraph(console, "  → ", finding.remedy)
    if finding.advice is not None and finding.advice not in said:
        a = finding.advice
        _paragraph(
            console, "  → ", f"try {a.lr:g}: band {a.low:g} to {a.high:g}, because {a.because}"
        )
    said.update({series, finding.advice} - {"", None})


def _where(finding: Finding) -> str:
    first, last = finding.first_step, finding.last_step
    if first is None or last is None or first == last:
        step = last if first is None else first
        return "" if step is None else f"  step {step}"
    return f"  steps {first} to {last}"


def _blind(found: Diagnosis, verbose: bool) -> str:
    """The rules that could not judge and what they need; the first few unless all are wanted."""
    groups = [(f"{', '.join(names)} (needs {needs})", len(names)) for needs, names in
              _by_need(found).items()]  # fmt: skip
    shown = groups if verbose else groups[:_FEW]
    text = "; ".join(words for words, _ in shown)
    left = sum(count for _, count in groups[len(shown) :])
    return f"{text}; and {left} more rules (--verbose says what they need)" if left else text


def _by_need(found: Diagnosis) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for item in found.unjudged:
        groups.setdefault(item.needs, []).append(item.rule)
    return groups


def _series(history: History, name: str) -> Series | None:
    series = getattr(history, name, None) if name else None
    if series is None and name == "eval_loss":
        series = history.score
    return series if series is not None and len(series) >= 4 else None


def sparkline(series: Series, *, width: int = _WIDTH) -> tuple[str, float, float]:
    """A line of blocks, "!" where a value is not finite, with the lowest and highest value."""
    n = len(series)
    edges = np.linspace(0, n, min(n, width) + 1).round().astype(int)
    cells = [series.values[a:b] for a, b in pairwise(edges)]
    means = [float(c.mean()) if np.isfinite(c).all() else np.nan for c in cells]
    good = [m for m in means if np.isfinite(m)]
    low, high = (min(good), max(good)) if good else (np.nan, np.nan)
    span = (high - low) or 1.0
    blocks = [_BROKEN if np.isnan(m) else _BLOCKS[round(7 * (m - low) / span)] for m in means]
    return "".join(blocks), low, high


def _paragraph(console: Console, lead: str, text: str, *, style: str = "") -> None:
    from textwrap import fill

    from rich.markup import escape

    if not text:
        return
    width = max(40, console.width)
    body = fill(text, width, initial_indent=lead, subsequent_indent="    ", break_on_hyphens=False)
    console.print(escape(body), style=style or None, soft_wrap=True)


def explain(console: Console, rule: Rule) -> None:
    """Everything that one rule says of itself."""
    console.print(f"[bold]{rule.id}[/bold]: {rule.title} [dim](usually {rule.severity})[/dim]")
    for title, text in (
        ("looks at", rule.needs),
        ("threshold", rule.threshold),
        ("remedy", rule.remedy),
        ("source", rule.source),
        ("false alarms", _alarms(rule)),
    ):
        _paragraph(console, f"{title}: ", text)


def _alarms(rule: Rule) -> str:
    if not rule.statistical:
        return "none by noise: it reads settings, or a value that noise does not make"
    return "shares the report's 5% with the other statistical rules (docs/doctor.md)"
