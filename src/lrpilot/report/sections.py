"""The sections of the page, in the order in which they are read."""

from __future__ import annotations

from collections.abc import Callable

from lrpilot.facts import Recommendation
from lrpilot.report import doctor
from lrpilot.report.figure import NAMES, describe_marks
from lrpilot.report.formats import NOTHING, duration, number, rate, shown, with_error
from lrpilot.report.strip import draw_strip
from lrpilot.report.tags import Cell, escape, link, pairs, prose, table
from lrpilot.report.values import DecisionRow, ReportData, Validation
from lrpilot.report.words import caveats, chart_summary, headline, verdict

CHANGES = ("raise", "cut", "trial", "rollback", "stop")
LABELS = {
    "params": "parameters",
    "lora_rank": "LoRA rank",
    "lora_alpha": "LoRA alpha",
    "initial_lr": "rate of the pretraining",
    "anneal": "annealed to zero by lrpilot",
    "evaluations": "planned validations",
    "p_worse": "p (not worse)",
    "level": "test level",
}


def _head(data: ReportData) -> str:
    context = " · ".join(
        escape(part)
        for part in (
            "lrpilot report",
            f"policy {data.policy}" if data.policy else "",
            data.created[:16].replace("T", " "),
        )
        if part
    )
    sentences = " ".join(prose(s) for s in verdict(data))
    return (
        f'<header><p class="eyebrow">{context}</p>'
        f"<h1>{escape(data.title or 'Fine-tuning run')}</h1>"
        f'<p class="verdict"><strong>{escape(headline(data))}</strong> {sentences}</p>'
        f"{_tiles(data)}</header>"
    )


def _tiles(data: ReportData) -> str:
    tiles = [("highest rate", rate(data.lr_peak), f"started at {rate(data.lr_start)}")]
    if data.best is not None:
        value = with_error(data.best.mean, data.best.standard_error)
        tiles.append((f"best {data.metric.name}", value, f"at step {data.best.step:,}"))
    if data.scores:
        first, *others = data.scores
        value = with_error(first.value, first.standard_error)
        beside = f"{number(others[0].value, 3)} for {others[0].name}" if others else first.name
        tiles.append((f"{first.split} {first.metric}".strip(), value, beside))
    planned = f"of {data.budget_steps:,} planned" if data.budget_steps else "recorded"
    took = "" if data.wall_s is None else f", {duration(data.wall_s)}"
    tiles.append(("steps", f"{data.steps:,}", planned + took))
    return (
        '<dl class="tiles">'
        + "".join(
            f"<div><dt>{escape(name)}</dt><dd>{escape(value)}<small>{escape(note)}</small></dd></div>"
            for name, value, note in tiles
        )
        + "</dl>"
    )


def _chart(data: ReportData) -> str:
    key = "".join(
        f'<li><span class="swatch {kind}" aria-hidden="true"></span>{escape(label)}</li>'
        for kind, label in describe_marks(data)
    )
    return (
        f'<figure><div id="chart" role="img" aria-label="{escape(chart_summary(data))}">'
        "<noscript><p>The chart needs JavaScript; the tables below hold the same values.</p>"
        f'</noscript></div><figcaption><ul class="key">{key}</ul>'
        '<p class="hint">Point at a mark for its reason. Drag to zoom, double-click to return.</p>'
        "</figcaption></figure>"
    )


# -- decisions ------------------------------------------------------------------------------


def _decisions(data: ReportData) -> str:
    title = '<h2 id="decisions">Decisions</h2>'
    if not data.decisions:
        return f"{title}<p>No decision was recorded: the rate followed its plan.</p>"
    changes = [d for d in data.decisions if d.action in CHANGES]
    text = title
    if changes:
        text += _decision_table(changes, "Every decision that changed the rate or the model")
    else:
        text += "<p>Nothing gave a reason to change the rate: it followed its plan.</p>"
    if len(changes) < len(data.decisions):
        everything = _decision_table(data.decisions, "Every decision, in order")
        text += (
            f"<details><summary>All {len(data.decisions):,} decisions, those that held the rate"
            f" among them</summary>{everything}</details>"
        )
    return text


def _decision_table(decisions: list[DecisionRow] | tuple[DecisionRow, ...], caption: str) -> str:
    names = ("step", "action", "rule", "rate before", "rate after", "reason and figures")
    return table(names, [_decision_row(d) for d in decisions], caption=caption, stack=True)


def _decision_row(decision: DecisionRow) -> list[Cell]:
    action = "keep the best" if decision.keeps_best else NAMES.get(decision.action, decision.action)
    mark = "best" if decision.keeps_best else decision.action
    symbol = f'<span class="mark {mark}" aria-hidden="true"></span> ' if _known(mark) else ""
    figures = " · ".join(
        f'<span class="nowrap">{escape(_label(name))} {escape(shown(value))}</span>'
        for name, value in decision.figures
    )
    figures_html = f'<span class="figures">{figures}</span>' if figures else ""
    return [
        Cell(f"{decision.step:,}", "num inline"),
        Cell(f"{symbol}{escape(action)}", "nowrap inline"),
        Cell(escape(decision.rule), "nowrap inline"),
        Cell(rate(decision.lr_before), "num inline"),
        Cell(rate(decision.lr_after), "num inline"),
        Cell(prose(decision.reason) + figures_html, "wide"),
    ]


def _known(mark: str) -> bool:
    return mark in (*CHANGES, "hold", "best")


def _label(name: str) -> str:
    return LABELS.get(name, name.replace("_", " "))


# -- recommendation -------------------------------------------------------------------------


def _recommendation(data: ReportData) -> str:
    title = '<h2 id="recommendation">Where the run started, and why</h2>'
    found = data.recommendation
    if found is None:
        return f"{title}<p>The record holds no recommendation.</p>"
    return title + _band(found) + draw_strip(found, data) + _reasons(found) + _sources(found)


def _band(found: Recommendation) -> str:
    what = "Given" if found.basis == "user" else "Recommended"
    text = f"{what} peak <strong>{rate(found.peak_lr)}</strong>"
    if found.low == found.high:
        text += ", without a band."
    else:
        text += f", band {rate(found.low)} to {rate(found.high)}"
        text += (
            "; no probability is claimed for the band."
            if found.coverage is None
            else f", which is meant to hold the best peak in {found.coverage:.0%} of cases."
        )
    recipe = [f"schedule {escape(found.schedule)}", f"warm-up {found.warmup_frac:.0%} of the steps"]
    if found.layerwise_decay is not None:
        recipe.append(f"layer-wise decay {number(found.layerwise_decay)}")
    recipe += [f"confidence {escape(found.confidence)}", f"basis: {escape(found.basis)}"]
    return f'<p>{text}</p><p class="soft">{" · ".join(recipe)}</p>'


def _reasons(found: Recommendation) -> str:
    text = ""
    if found.reasons:
        items = "".join(
            f"<li>{prose(r.text)} <code>{escape(r.rule)}</code>"
            + (
                f' <span class="factor">&times; {number(r.factor, 3)}</span>'
                if r.factor != 1
                else ""
            )
            + "</li>"
            for r in found.reasons
        )
        text += f'<h3>Reasons, in order</h3><ol class="reasons">{items}</ol>'
    if found.warnings:
        items = "".join(f'<p class="warning">{escape(w)}</p>' for w in found.warnings)
        text += f"<h3>Warnings</h3>{items}"
    return text


def _sources(found: Recommendation) -> str:
    if not found.sources:
        return ""
    items = "".join(
        "<li>"
        + link(s.title, s.where)
        + ("" if s.peak_lr is None else f", peak {rate(s.peak_lr)}")
        + (f' <span class="soft">{escape(s.note)}</span>' if s.note else "")
        + "</li>"
        for s in found.sources
    )
    return f'<h3>Sources, the nearest first</h3><ul class="reasons">{items}</ul>'


# -- scores, caveats, facts -----------------------------------------------------------------


def _scores(data: ReportData) -> str:
    title = '<h2 id="scores">Scores</h2>'
    if not data.scores:
        return f"{title}<p>No score of a finished model was recorded.</p>"
    rows = [
        [
            Cell(escape(s.name), "", head=True),
            Cell(
                escape(f"{s.split} {s.metric}{f', {s.unit}' if s.unit else ''}".strip()), "inline"
            ),
            Cell(with_error(s.value, s.standard_error), "num inline"),
            Cell(number(s.n), "num inline"),
            Cell(number(s.steps), "num inline"),
        ]
        for s in data.scores
    ]
    names = ("model", "measure", "value ± standard error", "examples", "steps")
    return title + table(
        names, rows, caption="Finished models, on data that steered nothing", stack=True
    )


def _caveats(data: ReportData) -> str:
    items = "".join(f"<li>{escape(text)}</li>" for text in caveats(data))
    return f'<h2 id="caveats">What this record cannot tell</h2><ul class="reasons">{items}</ul>'


def _facts(data: ReportData) -> str:
    versions = {"lrpilot": data.version or NOTHING, **data.environment}
    parts = [
        pairs(((_label(k), shown(v)) for k, v in group.items()), caption=caption)
        for caption, group in (
            ("Facts known before training", data.facts),
            ("Budget", data.budget),
            ("Versions and machine", versions),
        )
        if group
    ]
    return '<h2 id="facts">Facts, budget and versions</h2>' + (
        f'<div class="columns">{"".join(parts)}</div>'
    )


def _values(data: ReportData) -> str:
    text = '<h2 id="values">Values behind the chart</h2>'
    if data.validations:
        text += (
            f"<details><summary>All {len(data.validations):,} validations</summary>"
            f"{_validation_table(data)}</details>"
        )
    if data.steps:
        text += (
            "<details><summary>Rate and training loss at selected steps</summary>"
            f"{_step_table(data)}</details>"
        )
    return text if text.endswith("</details>") else f"{text}<p>There are none.</p>"


def _validation_table(data: ReportData) -> str:
    names = ("step", data.metric.name, "examples", "cause")
    caption = f"{data.metric.name}{f', {data.metric.unit}' if data.metric.unit else ''}"
    return table(names, [_validation_row(v, data) for v in data.validations], caption=caption)


def _validation_row(shown_one: Validation, data: ReportData) -> list[Cell]:
    value = with_error(shown_one.mean, shown_one.standard_error)
    best = ' <strong class="best">★ best</strong>' if shown_one is data.best else ""
    return [
        Cell(f"{shown_one.step:,}", "num"),
        Cell(f"{escape(value)}{best}", "nowrap"),
        Cell(f"{shown_one.n:,}", "num"),
        Cell(escape(shown_one.cause)),
    ]


def _step_table(data: ReportData) -> str:
    rows = [
        [
            Cell(f"{s.step:,}", "num"),
            Cell(rate(s.lr, 3), "num"),
            Cell(number(s.train_loss), "num"),
            Cell(number(s.smoothed), "num"),
        ]
        for s in data.samples
    ]
    names = ("step", "learning rate", "training loss", "smoothed")
    return table(names, rows, caption="Optimizer steps spread evenly over the run")


def _foot(data: ReportData) -> str:
    return (
        "<footer><p>Made from the run's record alone by lrpilot"
        f" {escape(data.version)}. This file loads nothing from the network.</p></footer>"
    )


ALL: tuple[Callable[[ReportData], str], ...] = (
    _head,
    _chart,
    _decisions,
    doctor.section,
    _scores,
    _recommendation,
    _caveats,
    _facts,
    _values,
    _foot,
)
