"""`lrpilot doctor`: what went wrong in a run or a plan, and what to set instead."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lrpilot.errors import InputError

if TYPE_CHECKING:
    from lrpilot.diagnose import Diagnosis, History, Rule

HELP = "what went wrong in a run or a plan, and what to set instead"
EPILOG = """\
examples:
  lrpilot doctor runs/sentiment                    # a folder: its logs and settings are found
  lrpilot doctor output/checkpoint-500 --model bert-base-uncased --task sentiment
  lrpilot doctor config.yaml train.py              # before training
  lrpilot doctor runs/* --format json
  lrpilot doctor output --format sarif --fail-on error > doctor.sarif
  lrpilot doctor --explain overfitting
  lrpilot doctor --list

What the log does not say can be given as an option; the rates to try then come from published
recipes for that model and task (`lrpilot recommend`). A run in which nothing is wrong gets a false
alarm with a chance of at most --alpha, all rules together.
Exit status: 0 nothing at or above --fail-on, 1 findings, 2 bad input.
"""

_RANK = {"error": 2, "warning": 1, "info": 0, "never": 3}
_FACTS = ("model", "task", "method", "optimizer", "train_examples", "batch_size", "epochs", "steps",
          "initial_lr", "planned_lr", "lora_rank", "architecture", "distance")  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("paths", nargs="*", metavar="PATH", help="a run's folder, log, config or"
                        " script")  # fmt: skip
    parser.add_argument("--format", choices=("text", "json", "sarif"), default="text")
    parser.add_argument("--fail-on", choices=("info", "warning", "error", "never"),
                        default="warning",
                        help="lowest severity that exits with 1 (warning)")  # fmt: skip
    parser.add_argument("--alpha", type=float, default=0.05, metavar="P",
                        help="chance of a false alarm in a healthy run (0.05)")  # fmt: skip
    parser.add_argument("--skip-unreadable", action="store_true",
                        help="pass over what is no run and no plan (for hooks)")  # fmt: skip
    parser.add_argument("-v", "--verbose", action="store_true",
                        help="say of every rule that cannot judge what it needs")  # fmt: skip
    parser.add_argument("--explain", metavar="RULE", help="say what a rule looks at, and why")
    parser.add_argument("--list", action="store_true", help="list the rules")
    facts = parser.add_argument_group("what the log does not say")
    facts.add_argument("--model", metavar="NAME")
    facts.add_argument("--task", metavar="TASK")
    facts.add_argument("--method", metavar="NAME", help="full, lora, qlora, ...")
    facts.add_argument(
        "--optimizer", metavar="NAME", help="adamw, sgd, adafactor, adafactor-relative, ..."
    )
    facts.add_argument("--architecture", metavar="KIND", help="encoder, decoder, vit, cnn, ...")
    facts.add_argument("--distance", choices=("near", "medium", "far"))
    for name in ("train-examples", "batch-size", "steps", "lora-rank", "eval-examples"):
        facts.add_argument(f"--{name}", type=int, metavar="N")
    facts.add_argument("--epochs", type=float, metavar="N")
    facts.add_argument(
        "--initial-lr", type=float, metavar="LR", help="peak rate of the pretraining"
    )
    facts.add_argument("--planned-lr", type=float, metavar="LR", help="peak rate of this run")


def run(args: argparse.Namespace) -> int:
    """Carry the command out; return the exit status."""
    from lrpilot.diagnose.rules import RULES

    if args.list or args.explain:
        return _tell(args, RULES)
    if not args.paths:
        raise InputError("no PATH is given: name a run's folder, a log, a config or a script")
    from lrpilot.diagnose import diagnose

    histories = [complete(history, args) for path in args.paths for history in _read(path, args)]
    found = [diagnose(history, alpha=args.alpha, rules=RULES) for history in histories]
    _show(args, histories, found, RULES)
    worst = max((_RANK[f.severity] for d in found for f in d.findings), default=-1)
    return int(worst >= _RANK[args.fail_on])


def _read(path: str, args: argparse.Namespace) -> list[History]:
    from lrpilot.diagnose.readers import read

    try:
        return read(path)
    except InputError as error:
        if not args.skip_unreadable:
            raise
        print(f"lrpilot: passed over: {' '.join(str(error).split())}", file=sys.stderr)
        return []


def complete(history: History, args: argparse.Namespace) -> History:
    """The history with what the options say; an option goes before the log."""
    given: dict[str, Any] = {n: v for n in _FACTS if (v := getattr(args, n)) is not None}
    plan = history.plan
    if given:
        facts = replace(plan.facts, **given)
        plan = replace(plan, facts=facts, stated=plan.stated | given.keys())
    if args.eval_examples is not None:
        plan = replace(plan, eval_examples=args.eval_examples)
    return replace(history, plan=plan)


def _show(
    args: argparse.Namespace,
    histories: Sequence[History],
    found: Sequence[Diagnosis],
    rules: Sequence[Rule],
) -> None:
    from lrpilot.diagnose.export import to_json, to_sarif

    if args.format == "json":
        print(json.dumps(to_json(found, alpha=args.alpha), indent=2, allow_nan=False))
        return
    if args.format == "sarif":
        from lrpilot import __version__

        print(json.dumps(to_sarif(found, rules, version=__version__), indent=2, allow_nan=False))
        return
    from rich.console import Console

    from lrpilot.cli._doctor_text import show

    console = Console(highlight=False, soft_wrap=False)
    for history, diagnosis in zip(histories, found, strict=True):
        show(console, history, diagnosis, rules, verbose=args.verbose)


def _tell(args: argparse.Namespace, rules: Sequence[Rule]) -> int:
    from rich.console import Console

    from lrpilot.cli._doctor_text import explain

    console = Console(highlight=False, soft_wrap=True)
    if args.list:
        for rule in rules:
            console.print(f"{rule.id:24s} {rule.severity:8s} {rule.title}", markup=False)
        return 0
    known = {rule.id: rule for rule in rules}
    if args.explain not in known:
        raise InputError(f"no rule is called {args.explain!r}: give one of {', '.join(known)}")
    explain(console, known[args.explain])
    return 0
