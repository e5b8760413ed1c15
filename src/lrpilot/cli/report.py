"""`lrpilot report`: one HTML file that shows a run and why it went so."""

from __future__ import annotations

import argparse

HELP = "one HTML file that shows a run and why it went so"
EPILOG = """\
examples:
  lrpilot report runs/sentiment
  lrpilot report runs/sentiment -o sentiment.html

The file holds everything that it shows and loads nothing from the network. It can be made at any
time, of a run that still trains too. Needs Plotly: pip install "lrpilot[report]".
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("run_dir", metavar="RUN_DIR", help="the run's folder, or its run.jsonl")
    parser.add_argument(
        "-o", "--output", metavar="FILE.html", help="default: report.html in the run's folder"
    )


def run(args: argparse.Namespace) -> int:
    """Carry the command out; return the exit status."""
    from lrpilot.report import write_report

    print(write_report(args.run_dir, args.output))
    return 0
