"""`lrpilot recommend`: a starting learning rate, with its band and its sources."""

from __future__ import annotations

import argparse
import json

from lrpilot.facts import RunFacts

HELP = "a starting learning rate, with its band and its sources"
EPILOG = """\
examples:
  lrpilot recommend --model bert --task sentiment
  lrpilot recommend --model bert-base-uncased --task sentiment --train-examples 5000 --batch-size 32
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--model")
    parser.add_argument("--task")
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(args: argparse.Namespace) -> int:
    """Carry the command out; return the exit status."""
    from lrpilot.recommend import recommend

    found = recommend(RunFacts(model=args.model, task=args.task))
    if args.format == "json":
        print(json.dumps(found.to_json()))
        return 0
    print(f"{found.peak_lr:g} ({found.low:g} to {found.high:g})")
    for reason in found.reasons:
        print(f"- {reason.text}")
    return 0
