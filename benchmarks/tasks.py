"""What the autopilot costs on the bench's tasks: deciding, recording, and copying state.

    python benchmarks/tasks.py [--tasks NAME,...]

Whole runs of real tasks, from the smallest model at hand to the largest, with one thread. All
shares are of the training steps of the same run, so validations are not in them. "Controller" is
its policy alone; "all its own" adds setting rates, writing the record, and freeing the states that
newer ones replace. Memory is that of the two states that a run holds: the best one, with its
optimizer, and the beginning.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from lrpilot.bench.lab import Lab
from lrpilot.bench.tasks import TASKS
from lrpilot.control import Budget, Controller, Decision, Observation, controller
from lrpilot.control.plan import affordable
from lrpilot.facts import Recommendation
from lrpilot.torch import Autopilot

CHOSEN = "digits,effnet-digits,resnet-emoji,minilm-few,smollm-lora,smollm"


@dataclass(slots=True)
class Timed:
    """A controller, and the seconds that it takes."""

    inner: Controller[Any] = field(default_factory=lambda: controller("trial"))
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """The inner one's."""
        return self.inner.name

    def init(self, recommendation: Recommendation, budget: Budget) -> Any:
        """The inner one's."""
        return self.inner.init(recommendation, budget)

    def update(self, state: Any, observation: Observation) -> tuple[Decision, Any]:
        """The inner one's, timed."""
        start = time.perf_counter()
        try:
            return self.inner.update(state, observation)
        finally:
            self.seconds += time.perf_counter() - start

    def dump(self, state: Any) -> dict[str, Any]:
        """The inner one's."""
        return self.inner.dump(state)

    def load(self, data: dict[str, Any]) -> Any:
        """The inner one's."""
        return self.inner.load(data)


def bytes_of(value: Any) -> int:
    """Bytes of all tensors in nested containers."""
    if isinstance(value, torch.Tensor):
        return value.nbytes
    if isinstance(value, dict):
        return sum(bytes_of(item) for item in value.values())
    return sum(map(bytes_of, value)) if isinstance(value, list | tuple) else 0


def cells(name: str) -> tuple[str, ...]:
    """One run of a task, seed 0, as a row of the table."""
    task = TASKS[name]
    lab = Lab(task, 0, task.build(0))
    training, timed = lab.start(), Timed()
    examples, evaluations = affordable(task.steps, task.batch_size, evaluations=14, least=4)
    largest, training_s = 0, 0.0
    own: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        pilot = Autopilot(
            training.model, training.optimizer, total_steps=task.steps,
            evaluate=lambda: training.validate(min(examples, 96)), evaluations=evaluations,
            steps_per_epoch=training.steps_per_epoch, facts=lab.facts, policy=timed, doctor=False,
            record=Path(folder) / "run.jsonl",
        )  # fmt: skip
        for indices in pilot.batches(training.loader):
            start = time.perf_counter()
            loss = training.loss(indices)
            loss.backward()  # type: ignore[no-untyped-call]
            training.optimizer.step()
            training.optimizer.zero_grad()
            training_s += time.perf_counter() - start
            before = pilot.spent.own_s
            pilot.step(loss)
            own.append(pilot.spent.own_s - before)
            largest = max(largest, bytes_of(pilot._session.held))
    spent, step_s = pilot.spent, training_s / task.steps
    weights = sum(p.nbytes for p in training.model.parameters())
    trained = sum(p.nbytes for p in training.model.parameters() if p.requires_grad)
    return (
        f"{weights / 4e6:.2f} M",
        f"{trained / 4e6:.2f} M",
        f"{1000 * step_s:.1f}",
        f"{timed.seconds / training_s:.2%}",
        f"{spent.own_s / training_s:.2%}",
        f"{1000 * statistics.median(own):.2f}",
        f"{spent.snapshots}",
        f"{spent.snapshot_s / spent.snapshots / step_s:.2f}",
        f"{spent.snapshot_s / training_s:.2%}",
        f"{largest / 2**20:,.1f} MiB",
        f"{largest / max(1, trained):.1f}",
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", default=CHOSEN, help="names, comma-separated")
    torch.set_num_threads(1)
    print(
        "| task | parameters | trained | step, ms | controller | all its own | a usual step's, ms"
        " | states copied | a copy, steps | copying and restoring | held"
        " | times the trained weights |"
    )
    print("|---" * 12 + "|")
    for name in parser.parse_args().tasks.split(","):
        print(f"| {name} | {' | '.join(cells(name))} |", flush=True)


if __name__ == "__main__":
    main()
