"""The results as one HTML page with figures, from the lines alone; it loads nothing."""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from importlib.resources import files
from string import Template
from typing import Any

from lrpilot.bench.score import Line, Oracle, Score, comparable, scores
from lrpilot.bench.table import NOTHING, OTHER_START, Summary, Table, summaries, tables
from lrpilot.report.figure import plotly_js
from lrpilot.report.tags import escape, js_safe

_OURS, _OTHERS, _CURVE = "#d9650f", "#2b7fd4", "#848a94"
_COLUMNS = 3


def render(lines: Sequence[Line]) -> str:
    """The whole page.

    Raises:
        MissingExtraError: Plotly is not installed.
    """
    script = plotly_js()
    oracles, found = scores(lines)
    if not oracles:
        body, figures = f"<p>{NOTHING}</p>", {}
    else:
        figures = {"cost": _cost(summaries(found), len(oracles)), "curves": _curves(oracles, found)}
        over_all, *rest = (_table(table) for table in tables(oracles, found))
        other = comparable(lines)[1]
        body = "\n".join([
            f"<p>{OTHER_START.format(other)}</p>" if other else "",
            "<h2>Regret against cost</h2><p>Down and left is better. Bars are 95% intervals over"
            " tasks; hollow marks did not run on every task.</p><div id='cost'></div>",
            over_all,
            "<h2>Rate against loss</h2><p>The grey line is the dense sweep, its thin lines its"
            " seeds' standard deviation; marks are policies at their median peak.</p>"
            "<div id='curves'></div>",
            *rest,
        ])  # fmt: skip
    css = files("lrpilot.report").joinpath("page.css").read_text(encoding="utf-8")
    text = ",".join(f'"{name}": {figure.to_json()}' for name, figure in figures.items())
    page = Template(files("lrpilot.bench").joinpath("page.html").read_text(encoding="utf-8"))
    return page.substitute(css=css, body=body, plotly=script, figures=js_safe(f"{{{text}}}"))


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in table.head)
    rows = []
    for i, row in enumerate(table.rows):
        tags = ["td class='best'" if (i, j) in table.bold else "td" for j in range(len(row))]
        cells = [f"<{tag}>{escape(cell)}</td>" for tag, cell in zip(tags, row, strict=True)]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    text = f"<p>{escape(table.text)}</p>" if table.text else ""
    return (
        f"<h2>{escape(table.title)}</h2>{text}<div class='wide'><table><thead><tr>{head}</tr>"
        f"</thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _colour(policy: str) -> str:
    return _OURS if policy.startswith(("autopilot", "recommend")) else _OTHERS


def _cost(found: Sequence[Summary], tasks: int) -> Any:
    go: Any = importlib.import_module("plotly.graph_objects")
    marks = [
        go.Scatter(
            x=[s.cost],
            y=[s.regret],
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [s.high - s.regret if math.isfinite(s.high) else 0.0],
                "arrayminus": [s.regret - s.low if math.isfinite(s.low) else 0.0],
                "thickness": 1,
            },
            mode="markers+text",
            text=[s.policy],
            textposition="middle right" if i % 2 else "middle left",  # neighbours overlap
            textfont={"size": 11},
            name=s.policy,
            showlegend=False,
            marker={
                "color": _colour(s.policy),
                "size": 9,
                "symbol": "circle" if s.tasks == tasks else "circle-open",
            },
            hovertemplate=f"{s.policy}: %{{y:+.2f}} sd at %{{x:.2f}} runs, {s.tasks} tasks"
            "<extra></extra>",
        )
        for i, s in enumerate(sorted(found, key=lambda s: s.regret))
    ]
    dearest = max((s.cost for s in found), default=1.0)
    return go.Figure(
        data=marks,
        layout={
            "height": 620,
            "template": "plotly_white",
            "margin": {"t": 20},
            "xaxis": {
                "type": "log",
                "title": "cost, runs",
                "range": [math.log10(0.7), math.log10(1.4 * dearest)],  # room for names
            },
            "yaxis": {"title": "mean regret, sd of the oracle's seeds", "zeroline": True},
        },
    )


def _curves(oracles: Sequence[Oracle], found: Sequence[Score]) -> Any:
    go: Any = importlib.import_module("plotly.graph_objects")
    subplots: Any = importlib.import_module("plotly.subplots")
    rows = -(-len(oracles) // _COLUMNS)
    figure = subplots.make_subplots(
        rows=rows,
        cols=_COLUMNS,
        subplot_titles=[o.task for o in oracles],
        vertical_spacing=0.4 / rows / 2,
    )
    for i, truth in enumerate(oracles):
        place = {"row": i // _COLUMNS + 1, "col": i % _COLUMNS + 1}
        finite = [(r, m) for r, m in zip(truth.rates, truth.means, strict=True) if math.isfinite(m)]
        rates = [r for r, _ in finite]
        for shift in (-truth.sd, 0.0, truth.sd):
            line = {"color": _CURVE, "width": 0.6 if shift else 2}
            figure.add_trace(
                go.Scatter(x=rates, y=[m + shift for _, m in finite], mode="lines", line=line,
                           showlegend=False, hoverinfo="skip" if shift else None,
                           name="constant peak"),
                **place,
            )  # fmt: skip
        base = sum(truth.losses.values()) / len(truth.losses)
        for s in found:
            if s.task != truth.task or s.peak_lr is None or not math.isfinite(s.regret):
                continue
            figure.add_trace(
                go.Scatter(x=[s.peak_lr], y=[base + s.regret], mode="markers", showlegend=False,
                           marker={"color": _colour(s.policy), "size": 8}, name=s.policy,
                           hovertemplate=f"{s.policy}: %{{y:.3f}} at %{{x:.1e}}<extra></extra>"),
                **place,
            )  # fmt: skip
    figure.update_xaxes(type="log", tickformat=".0e", nticks=6)
    figure.update_layout(height=300 * rows, template="plotly_white", margin={"t": 40})
    return figure
