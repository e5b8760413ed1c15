"""The results as Markdown, from the lines alone."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from lrpilot.bench.score import Line, Oracle, Score, bootstrap, scores

_CAP = 10.0  # assumed: standard deviations at which one task's regret stops counting in a mean


def markdown(lines: Sequence[Line]) -> str:
    """Three tables: policies over all tasks, each task, and the oracles."""
    oracles, found = scores(lines)
    if not oracles:
        return "No constant rate has two seeds yet: there is no oracle to compare with.\n"
    parts = ["## Policies, over all tasks", "", *_summary(found, len(oracles)), ""]
    parts += ["## Each task", "", *_tasks(found, oracles), ""]
    parts += ["## The oracle: a dense sweep of a constant peak with linear decay", ""]
    parts += _oracles(oracles)
    return "\n".join(parts) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _head(cells: Sequence[str]) -> list[str]:
    return [_row(cells), _row(["---"] * len(cells))]


def _summary(found: Sequence[Score], tasks: int) -> list[str]:
    by_policy: dict[str, list[Score]] = defaultdict(list)
    for one in found:
        by_policy[one.policy].append(one)
    rows = []
    for policy, each in by_policy.items():
        capped = np.minimum([s.regret_sd for s in each], _CAP)
        low, high = bootstrap(capped)
        interval = f"{low:+.1f} to {high:+.1f}" if math.isfinite(low) else "one task only"
        worst = max(each, key=lambda s: s.regret_sd)
        cost = float(np.mean([s.cost for s in each]))
        failed = float(np.mean([s.failed for s in each]))
        cells = [policy, f"{len(each)}/{tasks}", f"{capped.mean():+.2f}", interval,
                 f"{_sd(worst.regret_sd)} ({worst.task})", f"{cost:.2f}",
                 f"{failed:.0%}"]  # fmt: skip
        rows.append((-len(each), float(capped.mean()), _row(cells)))
    head = _head(["policy", "tasks", f"mean regret, sd (capped at {_CAP:g})",
                  "95% interval over tasks", "worst task", "cost, runs",
                  "failed seeds"])  # fmt: skip
    return [*head, *(row for *_, row in sorted(rows))]


def _sd(value: float) -> str:
    return "diverged" if math.isinf(value) else f"{value:+.1f}"


def _tasks(found: Sequence[Score], oracles: Sequence[Oracle]) -> list[str]:
    policies = list(dict.fromkeys(s.policy for s in found))
    at = {(s.policy, s.task): s for s in found}
    lines = ["Regret in sd, with the median peak.", "", *_head(["", *(o.task for o in oracles)])]
    for policy in policies:
        cells = []
        for truth in oracles:
            each = at.get((policy, truth.task))
            peak = f" at {each.peak_lr:.0e}" if each and each.peak_lr is not None else ""
            cells.append(f"{_sd(each.regret_sd)}{peak}" if each else "")
        lines.append(_row([policy, *cells]))
    return lines


def _oracles(oracles: Sequence[Oracle]) -> list[str]:
    rates = sorted({rate for o in oracles for rate in o.rates})
    lines = ["Mean test loss; the rate that validation chooses is bold.", ""]
    lines += _head(["task", "seeds", *(f"{r:.0e}" for r in rates), "sd", "width, powers of ten"])
    for truth in oracles:
        at = dict(zip(truth.rates, truth.means, strict=True))
        cells = []
        for rate in rates:
            value = at.get(rate, math.nan)
            text = "" if math.isnan(value) else "diverged" if math.isinf(value) else f"{value:.3f}"
            cells.append(f"**{text}**" if rate == truth.best else text)
        edge = " (edge)" if truth.edge else ""
        lines.append(_row([truth.task, str(len(truth.losses)), *cells, f"{truth.sd:.3f}",
                           f"{truth.width:.1f}{edge}"]))  # fmt: skip
    return lines
