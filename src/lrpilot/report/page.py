"""The page: a report's values as one HTML string that loads nothing from anywhere."""

from __future__ import annotations

from importlib.resources import files
from string import Template

from lrpilot.report import sections
from lrpilot.report.figure import build_figure, plotly_js
from lrpilot.report.tags import escape, js_safe
from lrpilot.report.values import ReportData


def render(data: ReportData) -> str:
    """The whole page of a report.

    Everything is in it: style, script and Plotly itself; a content security policy forbids the
    page to load anything else. Text from the record is escaped wherever it stands.

    Raises:
        MissingExtraError: Plotly is not installed.
    """
    figure = js_safe(build_figure(data).to_json())
    body = "\n".join(part(data) for part in sections.ALL)
    return Template(_package_file("page.html")).substitute(
        title=escape(f"{data.title or 'Fine-tuning run'}: lrpilot report"),
        css=_package_file("page.css"),
        body=body,
        figure=figure,
        plotly=plotly_js(),
        script=_package_file("page.js"),
    )


def _package_file(name: str) -> str:
    return files("lrpilot.report").joinpath(name).read_text(encoding="utf-8")
