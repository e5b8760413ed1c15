"""The results as tables, from the lines alone."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lrpilot.bench.score import (
    SEEDS,
    Line,
    Oracle,
    Score,
    bootstrap,
    comparable,
    scores,
    worst_by_chance,
)

_CAP = 10.0  # assumed: standard deviations at which one task's regret stops counting in a mean
NOTHING = f"No constant rate has {SEEDS} seeds yet: there is no oracle to compare with."
OTHER_START = (
    "Lines left out: {}. They began from other weights than the oracle of their task, pretrained"
    " on another machine. Run those policies and the oracle on one."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table with its title.

    Attributes:
        title: Its heading.
        text: What to know before reading it; may be empty.
        head: Column names.
        rows: Cells as text, as many as there are columns; the first names the row.
        bold: Row and column of the cells that stand out.
    """

    title: str
    text: str = ""
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    bold: frozenset[tuple[int, int]] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One policy over all tasks that it ran on.

    Attributes:
        policy: Its name.
        tasks: Number of tasks.
        regret: Mean over tasks of the regret in sd, each capped.
        low, high: A 95% bootstrap interval of it over tasks.
        worst: The task with the largest regret.
        cost: Mean cost in runs.
        failed: Share of seeds that failed.
    """

    policy: str
    tasks: int
    regret: float
    low: float
    high: float
    worst: Score
    cost: float
    failed: float


def summaries(found: Sequence[Score]) -> list[Summary]:
    """Every policy over its tasks: those on most tasks first, then by mean regret."""
    by_policy: dict[str, list[Score]] = defaultdict(list)
    for one in found:
        by_policy[one.policy].append(one)
    rows = []
    for policy, each in by_policy.items():
        capped = np.minimum([s.regret_sd for s in each], _CAP)
        low, high = bootstrap(capped)
        rows.append(
            Summary(
                policy=policy,
                tasks=len(each),
                regret=float(capped.mean()),
                low=low,
                high=high,
                worst=max(each, key=lambda s: s.regret_sd),
                cost=float(np.mean([s.cost for s in each])),
                failed=float(np.mean([s.failed for s in each])),
            )
        )
    return sorted(rows, key=lambda s: (-s.tasks, s.regret, s.policy))


def tables(oracles: Sequence[Oracle], found: Sequence[Score]) -> list[Table]:
    """Three tables: policies over all tasks, each task, and the oracles."""
    return [_summary(found, oracles), _tasks(found, oracles), _oracles(oracles)]


def markdown(lines: Sequence[Line]) -> str:
    """The tables as Markdown."""
    oracles, found = scores(lines)
    if not oracles:
        return f"{NOTHING}\n"
    parts: list[str] = []
    if other := comparable(lines)[1]:
        parts += [OTHER_START.format(other), ""]
    for table in tables(oracles, found):
        parts += [f"## {table.title}", ""]
        parts += [table.text, ""] if table.text else []
        parts += [_row(table.head), _row(["---"] * len(table.head))]
        for i, row in enumerate(table.rows):
            cells = [f"**{c}**" if (i, j) in table.bold else c for j, c in enumerate(row)]
            parts.append(_row(cells))
        parts.append("")
    return "\n".join(parts)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _summary(found: Sequence[Score], oracles: Sequence[Oracle]) -> Table:
    rows = []
    for s in summaries(found):
        interval = f"{s.low:+.1f} to {s.high:+.1f}" if math.isfinite(s.low) else "one task only"
        rows.append((s.policy, f"{s.tasks}/{len(oracles)}", f"{s.regret:+.2f}", interval,
                     f"{_sd(s.worst.regret_sd)} ({s.worst.task})", f"{s.cost:.2f}",
                     f"{s.failed:.0%}"))  # fmt: skip
    head = ("policy", "tasks", f"mean regret, sd (capped at {_CAP:g})",
            "95% interval over tasks", "worst task", "cost, runs", "failed seeds")  # fmt: skip
    seeds = [len(o.losses) for o in oracles]
    half, low, high = (worst_by_chance(seeds, share) for share in (0.5, 0.05, 0.95))
    text = (
        "Regret is the mean test loss less that of the oracle, the dense sweep's best rate, in"
        " standard deviations of the oracle over seeds. Seeds alone: a policy as good as the"
        " oracle, run on other seeds, has a worst task of"
        f" {half:+.1f} in the median ({low:+.1f} to {high:+.1f} nine times in ten)."
    )
    return Table(title="Policies, over all tasks", text=text, head=head, rows=tuple(rows))


def _sd(value: float) -> str:
    return "diverged" if math.isinf(value) else f"{value:+.1f}"


def _tasks(found: Sequence[Score], oracles: Sequence[Oracle]) -> Table:
    at = {(s.policy, s.task): s for s in found}
    rows = []
    for policy in dict.fromkeys(s.policy for s in found):
        cells = [policy]
        for truth in oracles:
            each = at.get((policy, truth.task))
            peak = f" at {each.peak_lr:.0e}" if each and each.peak_lr is not None else ""
            cells.append(f"{_sd(each.regret_sd)}{peak}" if each else "")
        rows.append(tuple(cells))
    return Table(
        title="Each task",
        text="Regret in sd, with the median peak.",
        head=("", *(o.task for o in oracles)),
        rows=tuple(rows),
    )


def _oracles(oracles: Sequence[Oracle]) -> Table:
    rates = sorted({rate for o in oracles for rate in o.rates})
    rows, bold = [], set()
    for i, truth in enumerate(oracles):
        at = dict(zip(truth.rates, truth.means, strict=True))
        cells = [truth.task, str(len(truth.losses))]
        for rate in rates:
            value = at.get(rate, math.nan)
            if rate == truth.best:
                bold.add((i, len(cells)))
            cells.append(
                "" if math.isnan(value) else "diverged" if math.isinf(value) else f"{value:.3f}"
            )
        edge = " (edge)" if truth.edge else ""
        rows.append((*cells, f"{truth.sd:.3f}", f"{truth.width:.1f}{edge}"))
    return Table(
        title="The oracle: a dense sweep of a constant peak with linear decay",
        text="Mean test loss; the rate that validation chooses is bold.",
        head=("task", "seeds", *(f"{r:.0e}" for r in rates), "sd", "width, powers of ten"),
        rows=tuple(rows),
        bold=frozenset(bold),
    )
