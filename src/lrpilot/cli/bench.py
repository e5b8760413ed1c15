"""`lrpilot bench`: which policy deserves trust."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lrpilot.errors import InputError

if TYPE_CHECKING:
    from lrpilot.bench.runner import Cell
    from lrpilot.bench.task import Task

HELP = "measure policies on real fine-tuning, and draw the table"
EPILOG = """\
examples:
  lrpilot bench run --tasks digits --policies oracle,autopilot,hf-default --seeds 3
  lrpilot bench run --workers 2            # every task and policy; Ctrl-C and go on at any time
  lrpilot bench run --backend ray          # on the machines of a Ray cluster
  lrpilot bench run --device cuda --workers 8 --results gpu.jsonl    # on a GPU
  lrpilot bench run --tasks mine.py:TASK --policies oracle,autopilot,mine.py:POLICY
  lrpilot bench table --output results/table.md
  lrpilot bench table --output results/table.html     # with figures, in one file

`run` appends one line a cell (task, policy, seed) to the results file and never computes a cell
twice. `table` draws from those lines alone. A policy sees training and validation data; the test
data score its model once. Policies: oracle (the whole grid), constant-RATE, and those that
`lrpilot bench list` names. A task or policy of your own comes from a file, or from the entry points
lrpilot.bench.tasks and lrpilot.bench.policies of a package; docs/bench.md shows one.
Exit status: 0 done, 2 bad input.
"""
_RESULTS = "results/bench.jsonl"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("what", choices=("run", "table", "list"))
    parser.add_argument("--tasks", metavar="NAME,...", help="default: all")
    parser.add_argument("--policies", metavar="NAME,...", help="default: all, and the oracle")
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="seeds 0 to N-1 (5)")
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="processes at once (1; under Ray what the cluster has room for)",
    )
    parser.add_argument(
        "--backend",
        choices=("local", "ray"),
        help="where runs are computed (ray if RAY_ADDRESS names a cluster, else local)",
    )
    parser.add_argument(
        "--device",
        default="cpu",
        metavar="NAME",
        help="where torch computes: cpu, cuda, cuda:1 (cpu); a task's lines all come from one kind",
    )
    parser.add_argument("--results", default=_RESULTS, metavar="FILE", help=f"({_RESULTS})")
    parser.add_argument("--output", metavar="FILE", help="table as .md or .html; else printed")


def run(args: argparse.Namespace) -> int:
    """Carry the command out; return the exit status."""
    if args.seeds < 1 or (args.workers is not None and args.workers < 1):
        raise InputError("--seeds and --workers: give 1 or more")
    return {"run": _run, "table": _table, "list": _list}[args.what](args)


def _run(args: argparse.Namespace) -> int:
    from lrpilot.bench.backends import default_backend
    from lrpilot.bench.devices import check_device
    from lrpilot.bench.runner import Line, missing
    from lrpilot.bench.runner import run as compute

    check_device(args.device)
    tasks, cells = _cells(args)
    path = Path(args.results)
    todo = missing(cells, path)
    print(f"{len(cells)} cells, {len(todo)} to do, into {path}", flush=True)
    for task in tasks:
        task.build(0).new_model()  # downloads and pretrains once, before workers would race

    def show(line: Line, left: int) -> None:
        value = line.get("test_loss")
        seen = "diverged" if value is None else f"test loss {value:.4f}"
        print(f"{left:5d} left  {line['task']:14s} {line['policy']:20s} seed {line['seed']}  {seen}"
              f"  {line['cost']:.2f} runs, {line['wall_s']:.1f} s", flush=True)  # fmt: skip

    try:
        backend = args.backend or default_backend()
        compute(cells, path, workers=args.workers, backend=backend, on_line=show)
    except KeyboardInterrupt:
        print("lrpilot: stopped; the same command goes on", file=sys.stderr)
        return 1
    return 0


def _cells(args: argparse.Namespace) -> tuple[list[Task], list[Cell]]:
    """What is asked for, seed by seed, so that every stop leaves a fair comparison."""
    from lrpilot.bench.policies import ORACLE, POLICIES, find_policies
    from lrpilot.bench.runner import Cell
    from lrpilot.bench.tasks import TASKS, find_tasks

    specs = args.tasks.split(",") if args.tasks else list(TASKS)
    policies = args.policies.split(",") if args.policies else [ORACLE, *POLICIES]
    found = [(task, spec if task.name != spec else None)
             for spec in specs for task in find_tasks(spec)]  # fmt: skip
    cells = [
        Cell(task.name, policy.name, seed, task_spec, _own(spec, policy.name), args.device)
        for seed in range(args.seeds)
        for task, task_spec in found
        for spec in policies
        for policy in find_policies(spec, task)
    ]
    return [task for task, _ in found], cells


def _own(spec: str, name: str) -> str | None:
    """The spec where the name alone would not find the policy again."""
    return None if spec in ("oracle", name) or name.startswith("constant-") else spec


def _table(args: argparse.Namespace) -> int:
    from lrpilot.bench.runner import read_lines
    from lrpilot.bench.table import markdown

    lines = read_lines(Path(args.results))
    if not lines:
        raise InputError(f"{args.results} holds no results: lrpilot bench run makes them")
    if str(args.output).endswith((".html", ".htm")):
        from lrpilot.bench.page import render

        text = render(lines)
    else:
        text = markdown(lines)
    if args.output is None:
        print(text, end="")
        return 0
    Path(args.output).write_text(text, encoding="utf-8")
    print(args.output)
    return 0


def _list(args: argparse.Namespace) -> int:
    from lrpilot.bench.policies import POLICIES
    from lrpilot.bench.tasks import TASKS, find_tasks

    print("tasks:")
    for task in [
        t for spec in (args.tasks or ",".join(TASKS)).split(",") for t in find_tasks(spec)
    ]:
        print(f"  {task.name:16s} {task.title}; {task.steps} steps of {task.batch_size}")
    print("policies:")
    print("  oracle, constant-RATE, " + ", ".join(POLICIES))
    return 0
