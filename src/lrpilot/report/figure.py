"""The chart: rate with decisions above, losses below, on one axis of steps. Plotly draws it."""

from __future__ import annotations

import html
import math
import textwrap
from typing import Any

from lrpilot.errors import MissingExtraError
from lrpilot.report import doctor
from lrpilot.report.formats import number, rate, with_error
from lrpilot.report.values import DecisionRow, ReportData

# One palette for light and dark: each has a contrast of 3 or more with both backgrounds
# (tests/unit/test_report_page.py), and the marks differ in shape as well.
COLOURS = {
    "lr": "#2b7fd4",
    "train": "#848a94",
    "validation": "#d9650f",
    "raise": "#12946f",
    "cut": "#a968d6",
    "trial": "#12946f",
    "rollback": "#e0413a",
    "stop": "#e0413a",
    "error": "#e0413a",
    "warning": "#d9650f",
    "info": "#848a94",
}
SYMBOLS = {"raise": "triangle-up", "cut": "triangle-down", "trial": "circle", "rollback": "x",
           "stop": "square"}  # fmt: skip
NAMES = {"raise": "raise", "cut": "cut", "trial": "trial", "rollback": "roll-back", "stop": "stop"}
MOST_MARKED = 500  # assumed: more marks of losses that are not finite are one black bar
TAIL = 0.03  # assumed: the lowest rates, of an anneal's end, that may leave the axis
_MINOR = {"ticks": "outside", "ticklen": 3, "tickcolor": "#848a94", "dtick": "D1"}
_HOVER_WIDTH = 56  # characters


def build_figure(data: ReportData) -> Any:
    """The Plotly figure of a run.

    Raises:
        MissingExtraError: Plotly is not installed.
    """
    go = _graph_objects()
    traces = [_lr(data), *_decisions(data), *_findings(data), *_losses(data), *_validation(data)]
    return go.Figure(data=[go.Scatter(**t) for t in traces], layout=_layout(data))


def plotly_js() -> str:
    """Plotly's own script, which the page holds once.

    Raises:
        MissingExtraError: Plotly is not installed.
    """
    _graph_objects()
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def _graph_objects() -> Any:
    try:
        import plotly.graph_objects as go
    except ImportError as error:
        raise MissingExtraError(
            'a report needs plotly, which is not installed: pip install "lrpilot[report]"'
        ) from error
    return go


# -- traces ---------------------------------------------------------------------------------


def _lr(data: ReportData) -> dict[str, Any]:
    return {
        "x": data.lr.steps,
        "y": data.lr.values,
        "mode": "lines" if len(data.lr) > 1 else "markers",
        "line": {"color": COLOURS["lr"], "width": 2, "shape": "hv"},
        "name": "learning rate",
        "hovertemplate": "step %{x}: rate %{y:.2e}<extra></extra>",
    }


def _decisions(data: ReportData) -> list[dict[str, Any]]:
    traces = []
    for action, symbol in SYMBOLS.items():
        rows = data.taken(action)
        if not rows:
            continue
        traces.append(
            {
                "x": [d.step for d in rows],
                "y": [d.lr_before if d.lr_before is not None else d.lr_after for d in rows],
                "mode": "markers",
                "marker": {
                    "symbol": symbol,
                    "size": 13,
                    "color": COLOURS[action],
                    "line": {"width": 1, "color": "rgba(255,255,255,0.85)"},
                },
                "name": NAMES[action],
                "text": [_hover(d) for d in rows],
                "hovertemplate": "%{text}<extra></extra>",
            }
        )
    return traces


def _hover(decision: DecisionRow) -> str:
    reason = "<br>".join(
        html.escape(line) for line in textwrap.wrap(decision.reason, _HOVER_WIDTH)[:8]
    )
    head = f"step {decision.step:,}: {NAMES.get(decision.action, decision.action)}"
    return (
        f"<b>{html.escape(head)}</b> {rate(decision.lr_before)} → {rate(decision.lr_after)}"
        f"<br>{reason}"
    )


def _findings(data: ReportData) -> list[dict[str, Any]]:
    low, high = _rate_axis(data)["range"]
    return [
        {
            "x": list(marks),
            "y": [10.0 ** (low + doctor.HEIGHTS[severity] * (high - low))] * len(marks),
            "mode": "markers",
            "marker": {
                "symbol": "diamond",
                "size": 11,
                "color": COLOURS[severity],
                "line": {"width": 1, "color": "rgba(255,255,255,0.85)"},
            },
            "name": f"doctor: {severity}",
            "text": list(marks.values()),
            "hovertemplate": "%{text}<extra></extra>",
        }
        for severity in doctor.HEIGHTS
        if (marks := doctor.hovers(data, severity))
    ]


def _losses(data: ReportData) -> list[dict[str, Any]]:
    raw, smoothed = data.train_loss, data.smoothed
    many = len(raw) > 1
    below = {"xaxis": "x2", "yaxis": "y2"}
    traces: list[dict[str, Any]] = [
        {
            **below,
            "x": raw.steps,
            "y": raw.values,
            "mode": "lines" if many else "markers",
            "line": {"color": COLOURS["train"], "width": 1},
            "opacity": 0.4 if many else 1.0,
            "name": "training loss, each step",
            "hovertemplate": "step %{x}: training loss %{y:.4g}<extra></extra>",
        }
    ]
    if many:
        traces.append(
            {
                **below,
                "x": smoothed.steps,
                "y": smoothed.values,
                "mode": "lines",
                "line": {"color": COLOURS["train"], "width": 2.5},
                "name": "training loss, smoothed",
                "hovertemplate": "step %{x}: smoothed training loss %{y:.4g}<extra></extra>",
            }
        )
    if data.not_finite:
        top = max(raw.values, default=1.0)
        marked = data.not_finite[:MOST_MARKED]
        traces.append(
            {
                **below,
                "x": marked,
                "y": [top] * len(marked),
                "mode": "markers",
                "marker": {"symbol": "x-thin-open", "size": 9, "color": COLOURS["rollback"]},
                "name": "loss not finite",
                "hovertemplate": "step %{x}: the training loss is not finite<extra></extra>",
            }
        )
    return traces


def _validation(data: ReportData) -> list[dict[str, Any]]:
    shown = [v for v in data.validations if v.mean - v.mean == 0.0]
    if not shown:
        return []
    row = "2" if data.metric.beside_training else "3"
    where = {"xaxis": f"x{row}", "yaxis": f"y{row}"}
    name = html.escape(data.metric.name)
    values = {
        **where,
        "x": [v.step for v in shown],
        "y": [v.mean for v in shown],
        "mode": "lines+markers",
        "line": {"color": COLOURS["validation"], "width": 1.5},
        "marker": {"size": 6, "color": COLOURS["validation"]},
        "error_y": {
            "array": [v.standard_error or 0.0 for v in shown],
            "color": COLOURS["validation"],
            "thickness": 1.2,
            "width": 3,
        },
        "name": name,
        "text": [with_error(v.mean, v.standard_error) for v in shown],
        "hovertemplate": f"step %{{x}}: {_plain(name)} %{{text}}<extra></extra>",
    }
    if data.best is None:
        return [values]
    best = {
        **where,
        "x": [data.best.step],
        "y": [data.best.mean],
        "mode": "markers",
        "marker": {
            "symbol": "star",
            "size": 16,
            "color": COLOURS["validation"],
            "line": {"width": 1, "color": "rgba(255,255,255,0.85)"},
        },
        "name": "best",
        "text": [with_error(data.best.mean, data.best.standard_error)],
        "hovertemplate": "<b>best</b>, step %{x}: %{text}<extra></extra>",
    }
    return [values, best]


def _plain(text: str) -> str:
    """Without the marks that a hover template reads as its own."""
    return text.replace("%", "").replace("{", "").replace("}", "")


# -- layout ---------------------------------------------------------------------------------


def _layout(data: ReportData) -> dict[str, Any]:
    third = bool(data.validations) and not data.metric.beside_training
    rows = [(0.70, 1.0), (0.38, 0.62), (0.0, 0.30)] if third else [(0.59, 1.0), (0.0, 0.5)]
    titles = ["learning rate, log scale", _loss_title(data)]
    if third:
        unit = f", {data.metric.unit}" if data.metric.unit else ""
        titles.append(f"{data.metric.name}{unit}")
    end = max(data.steps, data.budget_steps or 0, 1)
    layout: dict[str, Any] = {
        "template": "none",
        "height": 760 if third else 600,
        "margin": {"l": 58, "r": 14, "t": 26, "b": 44},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 12},
        "showlegend": False,
        "hovermode": "closest",
        "hoverlabel": {"bgcolor": "#22272e", "font": {"color": "#f2f4f7"}, "align": "left"},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "#848a94", "activecolor": "#2b7fd4"},
        "shapes": _undone(data, len(rows)),
        "annotations": [_row_title(text, top) for text, (_, top) in zip(titles, rows, strict=True)],
    }
    for index, domain in enumerate(rows, 1):
        suffix = "" if index == 1 else str(index)
        layout[f"xaxis{suffix}"] = _x_axis(index, len(rows), end)
        layout[f"yaxis{suffix}"] = {
            "domain": list(domain),
            "anchor": f"x{suffix}",
            "automargin": True,
            "gridcolor": "rgba(128,128,128,0.25)",
            "zeroline": False,
            "nticks": 6,
        }
    layout["yaxis"] |= _rate_axis(data)
    if data.loss_axis == "log":
        layout["yaxis2"] |= {"type": "log", "dtick": 1, "tickformat": "~g", "minor": _MINOR}
    return layout


def _rate_axis(data: ReportData) -> dict[str, Any]:
    """A log axis, at least one decade high, that leaves the last plunge to zero out."""
    rates = sorted(v for v in data.lr.values if v > 0)
    marked = [v for a in SYMBOLS for d in data.taken(a) if (v := d.lr_before)]
    shown = [*rates[int(TAIL * len(rates)) :], *marked] or [1e-5]
    low, high = math.log10(min(shown)), math.log10(max(shown))
    pad = max(0.08 * (high - low), (1.0 - (high - low)) / 2)
    return {
        "type": "log",
        "range": [low - pad, high + pad],
        "dtick": 1 if high - low + 2 * pad > 1.8 else "D2",
        "tickformat": ".0e",
    }


def _loss_title(data: ReportData) -> str:
    both = bool(data.validations) and data.metric.beside_training
    what = "training and validation loss" if both else "training loss"
    unit = f", {data.metric.unit}" if data.metric.beside_training else ""
    return f"{what}{unit}{', log scale' if data.loss_axis == 'log' else ''}"


def _x_axis(index: int, count: int, end: int) -> dict[str, Any]:
    last = index == count
    axis: dict[str, Any] = {
        "anchor": "y" if index == 1 else f"y{index}",
        "range": [-0.01 * end, 1.01 * end],
        "gridcolor": "rgba(128,128,128,0.25)",
        "zeroline": False,
        "showticklabels": last,
        "tickformat": ",d",
        "nticks": 10,
    }
    if index > 1:
        axis["matches"] = "x"
    if last:
        axis["title"] = {"text": "optimizer step", "standoff": 8}
    return axis


def _row_title(text: str, top: float) -> dict[str, Any]:
    return {
        "text": f"<b>{html.escape(text)}</b>",
        "xref": "paper",
        "yref": "paper",
        "x": 0,
        "y": top,
        "xanchor": "left",
        "yanchor": "bottom",
        "yshift": 4,
        "showarrow": False,
    }


def _undone(data: ReportData, rows: int) -> list[dict[str, Any]]:
    return [
        {
            "type": "rect",
            "xref": "x" if row == 1 else f"x{row}",
            "yref": "y domain" if row == 1 else f"y{row} domain",
            "x0": span.start,
            "x1": span.end,
            "y0": 0,
            "y1": 1,
            "fillcolor": COLOURS["rollback"],
            "opacity": 0.16,
            "line": {"width": 0},
            "layer": "below",
        }
        for span in data.undone
        for row in range(1, rows + 1)
    ]


def describe_marks(data: ReportData) -> list[tuple[str, str]]:
    """The marks that the chart uses, as (kind, label), for its key."""
    key = [("line lr", "learning rate")]
    key += [
        (f"mark {action}", f"{NAMES[action]} ({data.count(action)})")
        for action in SYMBOLS
        if data.count(action)
    ]
    for severity in doctor.HEIGHTS:
        if count := len(doctor.of(data, severity)):
            key.append((f"mark finding-{severity}", f"doctor: {severity} ({count})"))
    if data.undone:
        lost = sum(s.end - s.start for s in data.undone)
        key.append(("area rollback", f"undone ({number(lost)} steps)"))
    if len(data.train_loss):
        key += [("line raw", "training loss, each step"), ("line train", "smoothed")]
    if data.not_finite:
        key.append(("mark bad", f"training loss not finite ({number(len(data.not_finite))})"))
    if data.best is not None:
        key.append(("line validation", f"{data.metric.name} ± standard error"))
        key.append(("mark best", f"best, step {data.best.step:,}"))
    return key
