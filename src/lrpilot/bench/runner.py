"""Runs cells (task, policy, seed); one JSON line each, and none is ever computed twice."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrpilot.bench.backends import compute_all
from lrpilot.errors import InputError

if TYPE_CHECKING:
    from lrpilot.bench.task import Task

Line = dict[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """One run of one policy.

    Attributes:
        task, policy: Their names, as the results call them.
        seed: Of data order, new heads and dropout.
        task_spec, policy_spec: What finds them where their names alone do not:
            `path/to/file.py:NAME`, or an entry point.
        device: Where torch computes: "cpu", "cuda", "cuda:1".
    """

    task: str
    policy: str
    seed: int
    task_spec: str | None = field(default=None, compare=False)
    policy_spec: str | None = field(default=None, compare=False)
    device: str = field(default="cpu", compare=False)


def read_lines(path: Path) -> list[Line]:
    """The lines of a results file; a broken last one (a killed process) is dropped.

    Raises:
        InputError: A line before the last is no JSON.
    """
    if not path.exists():
        return []
    found: list[Line] = []
    rows = path.read_text(encoding="utf-8").split("\n")
    for number, row in enumerate(rows, 1):
        if not row:
            continue
        try:
            found.append(json.loads(row))
        except ValueError:
            if number < len(rows):
                raise InputError(f"{path}, line {number}, is no JSON: mend or remove it") from None
    return found


def missing(cells: Iterable[Cell], path: Path) -> list[Cell]:
    """The cells that the file does not hold yet, in order."""
    done = {Cell(line["task"], line["policy"], line["seed"]) for line in read_lines(path)}
    return [cell for cell in dict.fromkeys(cells) if cell not in done]


def run(
    cells: Iterable[Cell],
    path: Path,
    *,
    workers: int | None = None,
    backend: str = "local",
    on_line: Callable[[Line, int], None] | None = None,
) -> None:
    """Compute what is missing.

    Args:
        cells: What is wanted.
        path: The results file; made if it is not there, else continued.
        workers: Processes at once, one thread each; by default 1, or what a cluster has room for.
        backend: `local`, or `ray` for a cluster that is there already.
        on_line: Called with each new line and the number of cells left.

    Raises:
        InputError: A task has lines from another kind of device already: dropout draws other
            numbers there, so the seeds would not be paired.
    """
    todo = missing(cells, path)
    _check_devices(todo, read_lines(path), path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _drop_broken_end(path)
    with path.open("a", encoding="utf-8") as file:
        lines = compute_all(compute, todo, backend, workers)
        for left, line in zip(range(len(todo) - 1, -1, -1), lines, strict=True):
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
            if on_line:
                on_line(line, left)


def _check_devices(todo: Iterable[Cell], lines: Iterable[Line], path: Path) -> None:
    used = {line["task"]: line.get("device", "cpu") for line in lines}
    for cell in todo:
        wanted = cell.device.partition(":")[0]
        if used.get(cell.task, wanted) != wanted:
            raise InputError(
                f"{path} holds {cell.task} computed with --device {used[cell.task]}: go on with"
                " that, or give --results another file"
            )


def _drop_broken_end(path: Path) -> None:
    if path.exists() and not (raw := path.read_bytes()).endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(raw.rfind(b"\n") + 1)


def compute(cell: Cell) -> Line:
    """Run one cell and score it: the only place where the test part is opened."""
    from lrpilot.bench.threads import one_thread

    with one_thread():
        return _compute_cell(cell)


def _compute_cell(cell: Cell) -> Line:
    from lrpilot.bench.devices import on_device
    from lrpilot.bench.lab import DivergedError, Lab, accuracy_on, losses_on
    from lrpilot.bench.policies import find_policies

    task = _find_task(cell.task, cell.task_spec)
    workload = on_device(task.build(cell.seed), cell.device)
    lab = Lab(task, cell.seed, workload)
    policies = find_policies(cell.policy_spec or cell.policy, task)
    policy = next(p for p in policies if p.name == cell.policy)
    begun = time.perf_counter()
    line: Line = {"task": cell.task, "policy": cell.policy, "seed": cell.seed}
    try:
        result = policy.run(lab)
    except DivergedError:
        scores: Line = {"status": "diverged"}
    else:
        test = float(losses_on(result.model, workload.test, workload).mean())
        scores = {
            "status": "finished" if math.isfinite(test) else "diverged",
            "test_loss": test if math.isfinite(test) else None,
            "test_accuracy": accuracy_on(result.model, workload.test, workload),
            "validation_loss": _finite(
                float(losses_on(result.model, workload.validation, workload).mean())
            ),
            "peak_lr": result.peak_lr,
            "note": result.note,
        }
    wall_s = round(time.perf_counter() - begun, 3)
    before = _untrained_loss(cell.task, cell.task_spec, cell.seed, cell.device)
    return {**line, **scores, "untrained_loss": before, "cost": lab.cost, "wall_s": wall_s,
            **_environment(cell.device)}  # fmt: skip


def _find_task(name: str, spec: str | None) -> Task:
    from lrpilot.bench.tasks import find_tasks

    return next(task for task in find_tasks(spec or name) if task.name == name)


@cache
def _untrained_loss(name: str, spec: str | None, seed: int, device: str) -> float:
    """Test loss before training."""
    import torch

    from lrpilot.bench.devices import on_device
    from lrpilot.bench.lab import losses_on

    workload = on_device(_find_task(name, spec).build(seed), device)
    torch.manual_seed(seed)
    return float(losses_on(workload.new_model(), workload.test, workload).mean())


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _environment(device: str) -> Line:
    import torch

    from lrpilot import __version__
    from lrpilot.bench.devices import describe

    return {
        "lrpilot": __version__,
        "commit": _commit(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        **describe(device),
    }


def _commit() -> str | None:
    here = Path(__file__).parent
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=here, capture_output=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.decode().strip()
