"""The page: self-contained, escaped, readable without script, and made of any record."""

import importlib.util
import json
import math
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from test_report_data import WHOLE, decision, evaluation, finding, record, step

from lrpilot.errors import InputError, MissingExtraError
from lrpilot.facts import Reason, Recommendation, Source
from lrpilot.record import RecordWriter, RunRecord
from lrpilot.report import write_report
from lrpilot.report.data import report_data
from lrpilot.report.figure import COLOURS, build_figure
from lrpilot.report.page import render
from lrpilot.report.tags import js_safe, link

needs_plotly = pytest.mark.skipif(
    importlib.util.find_spec("plotly") is None, reason="plotly is not installed"
)
VOID = {"meta", "br", "hr", "img", "link", "input"}
EVIL = "\"><script>alert(1)</script><img src=x onerror=alert(2)>'</title></table></script>"


class Page(HTMLParser):
    """The elements of a page; fails where one is closed that is not open."""

    def __init__(self, text):
        super().__init__()
        self.open, self.found, self.text, self._script = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(("code" if self.open[-1:] in (["script"], ["style"]) else "text", data))

    def of(self, tag):
        return [attrs for name, attrs in self.found if name == tag]

    def shown(self):
        return " ".join(" ".join(t for kind, t in self.text if kind == "text").split())


def page_of(*events, **header):
    return Page(render(report_data(record(*events, **header))))


RECORDS = {
    "whole": WHOLE,
    "empty": (),
    "one step": (step(1),),
    "unfinished": (evaluation(0, 0.7), step(1), step(2)),
    "nan everywhere": (step(1, math.nan, math.nan), evaluation(1, math.nan, None)),
    "infinite": (step(1, math.inf, math.inf), evaluation(1, math.inf, math.inf)),
    "a finding alone": (finding(3),),
    "bare finding": (("finding", 1, {}), ("finding", None, {})),
    "rate zero": (step(1, 1.0, 0.0), step(2, 1.0, 0.0)),
    "negative loss": (step(1, -5.0), step(2, 1e9)),
    "no numbers": (("step", "x", {}), ("decision", 1, {}), ("score", 1, {}), ("end", 1, {})),
}


@needs_plotly
@pytest.mark.parametrize("name", RECORDS)
def test_every_record_gives_a_well_formed_page(name):
    page = page_of(*RECORDS[name])
    assert page.open == []
    assert len(page.of("h1")) == 1
    doctor = ["doctor"] if "finding" in name else []
    assert [a["id"] for a in page.of("h2")] == [
        "decisions", *doctor, "scores", "recommendation", "caveats", "facts", "values",
    ]  # fmt: skip


@needs_plotly
def test_records_with_bare_headers_give_a_page():
    bare = RunRecord({"kind": "run", "version": 1}, ())
    assert "Fine-tuning run" in Page(render(report_data(bare))).shown()


@needs_plotly
def test_the_page_loads_nothing():
    page = page_of(*WHOLE)
    for tag, attrs in page.found:
        if tag != "a":
            assert not any(name in attrs for name in ("src", "href", "srcset", "data")), tag
    policy = next(
        a["content"] for a in page.of("meta") if a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none';")
    assert "http" not in policy
    style = "".join(t for kind, t in page.text if kind == "code" and ":root" in t)
    assert style
    assert "@import" not in style
    assert "url(" not in style


@needs_plotly
def test_hostile_text_stays_text_wherever_it_stands():
    recommendation = Recommendation(
        peak_lr=1e-5, low=1e-5, high=1e-5, schedule=EVIL, basis=EVIL, warnings=(EVIL,),
        reasons=(Reason(rule=EVIL, text=EVIL, factor=2.0),),
        sources=(Source(title=EVIL, where="javascript:alert(3)", note=EVIL),
                 Source(title=EVIL, where=f"https://example.org/{EVIL}")),
    )  # fmt: skip
    hostile_decision = ("decision", 1, {"action": "raise", "rule": EVIL, "lr": 1e-5,
                                        "reason": EVIL, "figures": {EVIL: 1.0}})  # fmt: skip
    hostile_score = ("score", 1, {"name": EVIL, "split": EVIL, "metric": EVIL, "unit": EVIL})
    end = ("end", 1, {"status": EVIL, "cause": EVIL, "remedy": EVIL})
    advice = {"lr": 1e-5, "low": 1e-5, "high": 1e-5, "because": EVIL}
    ill = finding(1, EVIL, EVIL, summary=EVIL, remedy=EVIL, advice=advice)
    known_ill = finding(1, "error", EVIL, summary=EVIL)
    held = ("decision", 1, {"action": EVIL, "rule": EVIL, "reason": EVIL})
    where = ("evaluation", 1, {"mean": 0.5, "n": 2, "cause": EVIL})
    page = page_of(
        step(1), step(2), where, hostile_decision, held, hostile_score, end, ill, known_ill,
        title=EVIL, policy=EVIL, created=EVIL, lrpilot=EVIL, facts={EVIL: EVIL, "model": [EVIL]},
        budget={"steps": 2, EVIL: EVIL}, environment={EVIL: {EVIL: EVIL}},
        metric={"name": EVIL, "unit": EVIL, "mode": EVIL},
        recommendation=recommendation.to_json(),
    )  # fmt: skip
    clean = page_of(*WHOLE)
    assert page.open == []
    assert len(page.of("script")) == len(clean.of("script"))
    assert page.of("img") == []
    assert not any(name.startswith("on") for _, attrs in page.found for name in attrs)
    assert all(a["href"].startswith("https://example.org/") for a in page.of("a"))
    assert EVIL in page.shown()
    assert page.shown().count(EVIL) == page.shown().count("alert(1)")


@needs_plotly
def test_hostile_text_cannot_leave_the_hover_labels():
    figure = json.loads(
        build_figure(report_data(record(step(1), decision(1, "raise", 2e-5)))).to_json()
    )
    mark = next(t for t in figure["data"] if t["name"] == "raise")
    assert mark["text"] == ["<b>step 1: raise</b> 1e-05 → 2e-05<br>why 1"]
    evil = (
        "decision",
        1,
        {"action": "raise", "lr": 2e-5, "reason": "<a href='javascript:x'>y</a>"},
    )
    figure = build_figure(report_data(record(step(1), evil)))
    assert "<a" not in figure.data[1].text[0]


@pytest.mark.parametrize(
    "where", ["javascript:alert(1)", "data:text/html,x", "docs/article.md", "//x.org", "http://[x"]
)
def test_only_web_addresses_become_links(where):
    assert "<a" not in link("a title", where)
    assert "a title" in link("a title", where)


@needs_plotly
def test_the_tables_say_what_the_chart_says():
    page = page_of(*WHOLE)
    shown = page.shown()
    for text in ("why 2", "why 4", "too-high", "4e-05", "0.801 ± 0.009", "constant 1e-05",
                 "0.500 ± 0.020", "★ best", "you asked", "validation loss"):  # fmt: skip
        assert text in shown, text
    tables = len(page.of("table"))
    assert tables == len(page.of("caption")) >= 4
    assert all("scope" in attrs for attrs in page.of("th"))
    chart = next(a for a in page.of("div") if a.get("id") == "chart")
    assert chart["role"] == "img"
    assert (
        "Best validation loss 0.500 ± 0.020 at step 7, and that state was kept."
        in chart["aria-label"]
    )


@needs_plotly
def test_a_row_of_decisions_reads_from_before_to_after():
    page = render(report_data(record(step(1), decision(1, "raise", 2e-5))))
    row = page[page.index('<tbody role="rowgroup">') :]
    cells = [" ".join(t for _, t in Page(c).text).strip() for c in row.split("</td>")[:6]]
    assert cells == ["1", "raise", "stable", "1e-05", "2e-05", "why 1"]


def test_json_cannot_end_its_script():
    text = json.dumps({"a": "</script><!--&amp;"})
    assert not set("<>&") & set(js_safe(text))
    assert json.loads(js_safe(text)) == json.loads(text)


@needs_plotly
def test_the_figure_draws_the_numbers():
    figure = build_figure(report_data(record(*WHOLE)))
    drawn = {t.name: t for t in figure.data}
    assert list(drawn["learning rate"].x) == list(range(1, 11))
    assert (list(drawn["roll-back"].x), list(drawn["roll-back"].y)) == ([4, 6], [4e-5, 1e-5])
    assert list(drawn["validation loss"].error_y.array) == [0.02] * 7
    assert (list(drawn["best"].x), list(drawn["best"].y)) == ([7], [0.5])
    assert [(s.x0, s.x1) for s in figure.layout.shapes] == [(2, 4), (2, 4), (4, 6), (4, 6)]
    assert figure.layout.yaxis.type == "log"


@needs_plotly
def test_findings_have_a_section_only_where_there_are_any():
    assert "What the doctor saw" not in page_of(*WHOLE).shown()
    advice = {"lr": 2e-5, "low": 1e-5, "high": 4e-5, "because": "recipes say so"}
    page = page_of(
        *WHOLE, finding(8, "error", advice=advice), finding(9, "info", "plateau", remedy="")
    )
    assert [a["id"] for a in page.of("h2")][:3] == ["decisions", "doctor", "scores"]
    said = page.shown().split("What the doctor saw")[1].split("Scores")[0]
    for words in (
        "8 error lr-too-high seen at 8. (steps 2 to 8) lower the rate. Try 2e-05 , band 1e-05 to"
        " 4e-05 . Why: recipes say so.",
        "9 info plateau seen at 9. (steps 2 to 9)",
    ):
        assert words in said
    assert said.count("Try") == 1
    assert "doctor: error (1)" in page.shown()
    assert "doctor: warning" not in page.shown()


@needs_plotly
def test_findings_are_marked_at_their_step_below_the_decisions():
    events = (*WHOLE, finding(8, "error"), finding(8, "error", "overfitting"), finding(9, "info"))
    figure = build_figure(report_data(record(*events)))
    drawn = {t.name: t for t in figure.data}
    assert (list(drawn["doctor: error"].x), list(drawn["doctor: info"].x)) == ([8], [9])
    assert "doctor: warning" not in drawn
    (label,) = drawn["doctor: error"].text
    assert label == (
        "<b>step 8: error, lr-too-high</b><br>seen at 8"
        "<br><b>step 8: error, overfitting</b><br>seen at 8"
    )
    low, high = figure.layout.yaxis.range
    (error,), (info,) = (drawn[f"doctor: {s}"].y for s in ("error", "info"))
    assert 10**low < info < error < 10**high  # in sight, and one above the other


@needs_plotly
def test_hostile_findings_cannot_leave_their_labels():
    ill = finding(1, "error", EVIL, summary="<a href='javascript:x'>y</a> %{x}")
    figure = build_figure(report_data(record(step(1), ill)))
    (label,) = next(t for t in figure.data if t.name == "doctor: error").text
    assert "<a" not in label
    assert "<script" not in label
    assert "&lt;a href=" in label


@needs_plotly
def test_a_metric_of_another_kind_gets_a_chart_of_its_own():
    metric = {"name": "accuracy", "unit": "", "mode": "max"}
    figure = build_figure(report_data(record(step(1), evaluation(1, 0.7), metric=metric)))
    assert next(t for t in figure.data if t.name == "accuracy").yaxis == "y3"


@pytest.mark.parametrize("background", ["#ffffff", "#15181d"])
@pytest.mark.parametrize("colour", sorted(set(COLOURS.values())))
def test_every_colour_stands_out_from_both_backgrounds(colour, background):
    """A contrast of 3 or more: WCAG 2.1, success criterion 1.4.11, for graphics."""
    light, dark = sorted((_luminance(colour), _luminance(background)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 3.0


def _luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


# -- files ----------------------------------------------------------------------------------


@pytest.fixture
def run_dir(tmp_path):
    writer = RecordWriter(tmp_path / "run.jsonl")
    writer.write("run", version=1, title="a \ud800 run", policy="validation", budget={"steps": 2})
    writer.write("step", step=1, loss=math.nan, lr=1e-5)
    writer.close()
    return tmp_path


@needs_plotly
def test_the_report_lies_beside_the_record_and_replaces_an_older_one(run_dir):
    (run_dir / "report.html").write_text("old")
    assert write_report(run_dir) == run_dir / "report.html"
    assert write_report(str(run_dir / "run.jsonl")) == run_dir / "report.html"
    assert "Unfinished: one step of 2" in (run_dir / "report.html").read_text(encoding="utf-8")
    assert sorted(p.name for p in run_dir.iterdir()) == ["report.html", "run.jsonl"]


@needs_plotly
def test_a_report_that_cannot_be_written_leaves_nothing_behind(run_dir):
    (run_dir / "taken").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        write_report(run_dir, run_dir / "taken")
    with pytest.raises(InputError, match="cannot be written"):
        write_report(run_dir, run_dir / "missing" / "report.html")
    assert sorted(p.name for p in run_dir.iterdir()) == ["run.jsonl", "taken"]


@needs_plotly
def test_a_disk_that_fills_up_leaves_the_old_report_and_no_part(run_dir, monkeypatch):
    def full(self, target):
        raise OSError(28, "No space left on device")

    (run_dir / "report.html").write_text("old")
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(InputError, match="No space left on device"):
        write_report(run_dir)
    assert (run_dir / "report.html").read_text() == "old"
    assert sorted(p.name for p in run_dir.iterdir()) == ["report.html", "run.jsonl"]


def test_a_record_in_memory_needs_a_file_to_go_to(run_dir):
    with pytest.raises(InputError, match=r"give out=FILE\.html"):
        write_report(RunRecord.read(run_dir))


def test_without_plotly_the_error_says_how_to_get_it(run_dir, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly", None)
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    with pytest.raises(MissingExtraError, match=r'pip install "lrpilot\[report\]"'):
        write_report(run_dir)
    assert not (run_dir / "report.html").exists()


# -- command line ---------------------------------------------------------------------------


@needs_plotly
def test_the_command_writes_and_says_where(run_dir, capsys):
    from lrpilot.cli import main

    assert main(["report", str(run_dir)]) == 0
    assert capsys.readouterr().out == f"{run_dir / 'report.html'}\n"
    other = run_dir / "other.html"
    assert main(["report", str(run_dir), "-o", str(other)]) == 0
    assert capsys.readouterr().out == f"{other}\n"
    assert other.read_bytes() == (run_dir / "report.html").read_bytes()


@needs_plotly
@pytest.mark.parametrize("bad", ["missing", "no record", "unwritable", "no record here"])
def test_the_command_fails_in_one_line(run_dir, capsys, bad):
    from lrpilot.cli import main

    (run_dir / "run.txt").write_text("hello\n")
    (run_dir / "empty").mkdir()
    given = {
        "missing": [str(run_dir / "nowhere")],
        "no record": [str(run_dir / "run.txt")],
        "no record here": [str(run_dir / "empty")],
        "unwritable": [str(run_dir), "-o", str(run_dir / "nowhere" / "a.html")],
    }
    assert main(["report", *given[bad]]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("lrpilot: ")
    assert said.err.count("\n") == 1
    assert "Traceback" not in said.err
