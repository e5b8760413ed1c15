"""The autopilot with optimizers, and a method, that are no task of the bench, on its digits tasks.

    python scripts/control_optimizers.py [--seeds 5] [--only NAME,...] [--write]

Lion, both Adafactors, and a new head alone, each against a sweep of its own: constant peaks half a
power of ten apart, the best by mean validation loss. Regret in standard deviations of that over
seeds; the test split only scores. `--write` puts the table into docs/control.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from control_parts import DOCUMENT, publish
from transformers.optimization import Adafactor

from lrpilot.bench.lab import DivergedError, Lab, losses_on
from lrpilot.bench.policies.autopilot import Pilot
from lrpilot.bench.task import GRID, Task, Workload
from lrpilot.bench.tasks import TASKS

BEGIN, END = "<!-- optimizers: begin -->\n", "<!-- optimizers: end -->"
NAMES = ("digits", "digits-few", "digits-noisy")


class Lion(torch.optim.Optimizer):
    """Chen et al., "Symbolic discovery of optimization algorithms", NeurIPS 2023, algorithm 2."""

    def __init__(self, params: Any, lr: float = 1e-4, weight_decay: float = 0.01) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step: the sign of a mixture of the gradient and its moving mean."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                mean = self.state[p].setdefault("mean", torch.zeros_like(p))
                sign = mean.lerp(p.grad, 0.1).sign_()
                p.mul_(1 - group["lr"] * group["weight_decay"]).add_(sign, alpha=-group["lr"])
                mean.lerp_(p.grad, 0.01)


@dataclass(frozen=True)
class Variant:
    """What trains, and how.

    Attributes:
        title: As the table has it.
        make: The optimizer over the trainable parameters.
        rates: Of the sweep.
        optimizer, method: As facts have them.
    """

    title: str
    make: Callable[[list[Any]], torch.optim.Optimizer]
    rates: tuple[float, ...]
    optimizer: str = "adamw"
    method: str = "full"


def _absolute(params: list[Any]) -> torch.optim.Optimizer:
    return Adafactor(params, lr=1e-3, scale_parameter=False, relative_step=False)


VARIANTS = {
    "lion": Variant("Lion", Lion, GRID[4:10], "lion"),
    "adafactor": Variant("Adafactor, as Trainer sets it", _absolute, GRID[4:], "adafactor"),
    "adafactor-relative": Variant(
        "Adafactor, `torch.optim`", torch.optim.Adafactor, (*GRID[6:], 3e-1), "adafactor-relative"
    ),
    "head": Variant(
        "a new head alone, AdamW", torch.optim.AdamW, (*GRID[6:], 3e-1), method="linear-probe"
    ),
}


def _head_alone(new_model: Callable[[], Any]) -> Any:
    model = new_model()
    *body, _ = model.children()
    for layer in body:
        layer.requires_grad_(False)
    return model


def _build(seed: int, task: Task) -> Workload:
    whole = task.build(seed)
    return replace(whole, new_model=partial(_head_alone, whole.new_model))


def varied(task: Task, variant: Variant) -> Task:
    """The task with another optimizer or method, and facts that say so."""
    facts = replace(task.facts, optimizer=variant.optimizer, method=variant.method)
    build = task.build if variant.method == "full" else partial(_build, task=task)
    return replace(task, facts=facts, build=build)


def constant(task: Task, seed: int, rate: float) -> tuple[float, float]:
    """Test and validation loss of one run at a constant peak; infinite where it diverged."""
    workload = task.build(seed)
    training = Lab(task, seed, workload).start()
    try:
        model = training.constant(rate)
    except DivergedError:
        return float("inf"), float("inf")
    test = float(losses_on(model, workload.test, workload).mean())
    return test, float(training.validate().mean())


def compared(task: Task, seeds: int, rates: tuple[float, ...]) -> tuple[float, str]:
    """Regret, and in words: the best rate of the sweep and its loss, the autopilot's rate, loss."""
    sweep = {rate: np.array([constant(task, s, rate) for s in range(seeds)]) for rate in rates}
    best = min(rates, key=lambda rate: sweep[rate][:, 1].mean())
    losses, peaks = [], []
    for seed in range(seeds):
        workload = task.build(seed)
        result = Pilot().run(Lab(task, seed, workload))
        losses.append(float(losses_on(result.model, workload.test, workload).mean()))
        peaks.append(result.peak_lr or float("nan"))
    truth = sweep[best][:, 0]
    regret = float((np.array(losses) - truth).mean() / truth.std(ddof=1))
    found = f"{np.mean(losses):.3f} at {np.median(peaks):.0e}, {truth.mean():.3f} at {best:.0e}"
    return regret, f"{regret:+.1f} ({found})"


def table(seeds: int, only: list[str]) -> Iterable[str]:
    """The table's rows, as they are measured."""
    yield f"{seeds} seeds. `python scripts/control_optimizers.py --seeds {seeds} --write`\n\n"
    yield f"| | {' | '.join(NAMES)} | mean |\n| --- |{' --- |' * (len(NAMES) + 1)}\n"
    for name in only:
        variant = VARIANTS[name]

        def new_optimizer(_: Task, model: Any, make: Any = variant.make) -> Any:
            return make([p for p in model.parameters() if p.requires_grad])

        with patch("lrpilot.bench.lab.new_optimizer", new_optimizer):
            found = [compared(varied(TASKS[n], variant), seeds, variant.rates) for n in NAMES]
        cells = " | ".join(text for _, text in found)
        yield f"| {variant.title} | {cells} | {np.mean([r for r, _ in found]):+.1f} |\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", default=",".join(VARIANTS), help="names, comma-separated")
    parser.add_argument("--write", action="store_true", help=f"into {DOCUMENT.name}")
    args = parser.parse_args()
    torch.set_num_threads(1)
    publish(table(args.seeds, args.only.split(",")), BEGIN, END, write=args.write)


if __name__ == "__main__":
    main()
