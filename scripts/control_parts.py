"""What each part of the default controller is worth, on the bench's digits tasks.

    python scripts/control_parts.py [--seeds 12] [--write]

Each variant leaves one part out or changes it. Regret is against a constant peak at the dense
sweep's best rate (of the committed lines), seed by seed, in standard deviations of that over the
same seeds. The test split only scores. `--write` puts the table into docs/control.md.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from lrpilot.bench.lab import Lab, losses_on
from lrpilot.bench.policies.autopilot import Pilot
from lrpilot.bench.score import by_task, oracle
from lrpilot.bench.task import Task
from lrpilot.bench.tasks import TASKS
from lrpilot.control import TrialController

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "control.md"
BEGIN, END = "<!-- parts: begin -->\n", "<!-- parts: end -->"
NAMES = ("digits", "digits-few", "digits-sgd", "digits-noisy")
NEVER = 10**9

_NO_CUT = TrialController(cut_factor=1.0, late_margin=1e9, heart_factor=1.0)
_AS_SURE = TrialController(further_doubt=0.7)
_AT_ONCE = TrialController(second_look=False)
VARIANTS = {
    "as it is": Pilot(),
    "the same rate as a number of one's own": Pilot(off_by=1.0 + 1e-9),
    "a recommendation is left as a number of one's own is": Pilot(
        policy=TrialController(sure_harm=0.1)
    ),
    "data are new for no epoch": Pilot(policy=TrialController(new_epochs=0.0)),
    "data are always new": Pilot(policy=TrialController(new_epochs=NEVER)),
    "without warm-up": Pilot(policy=TrialController(warmup_frac=1e-9)),
    "no cut, no roll-back in the rest": Pilot(policy=_NO_CUT),
    "learning by heart is not cut": Pilot(policy=TrialController(heart_factor=1.0)),
    "no early look where data are seen again": Pilot(policy=TrialController(look_frac=0.25)),
    "back at once, without a second look": Pilot(policy=_AT_ONCE),
    "second looks half as long": Pilot(policy=TrialController(branch_frac=0.02)),
    "second looks twice as long": Pilot(policy=TrialController(branch_frac=0.08)),
    "without the stretch": Pilot(policy=TrialController(most_stretches=0)),
    "the stretch as sure to go further as back": Pilot(policy=_AS_SURE),
    "one rate for head and body": Pilot(policy=TrialController(own_head_rate=False)),
    "a start thirty times too low": Pilot(off_by=1 / 30),
    "the same, without trials": Pilot(off_by=1 / 30, policy=TrialController(least_steps=NEVER)),
    "the same, no cut, no roll-back in the rest": Pilot(off_by=1 / 30, policy=_NO_CUT),
    "a start thirty times too high": Pilot(off_by=30.0),
    "the same too high, without an early sign": Pilot(
        off_by=30.0, policy=TrialController(early_times=math.inf)
    ),
    "the same too high, no cut, no roll-back in the rest": Pilot(off_by=30.0, policy=_NO_CUT),
    "the same too high, back at once": Pilot(off_by=30.0, policy=_AT_ONCE),
}


def tested(task: Task, seed: int, pilot: Pilot | float) -> tuple[float, float]:
    """Test loss and cost of one run, steered or at a constant peak."""
    workload = task.build(seed)
    lab = Lab(task, seed, workload)
    model = lab.start().constant(pilot) if isinstance(pilot, float) else pilot.run(lab).model
    return float(losses_on(model, workload.test, workload).mean()), lab.cost


def table(seeds: int) -> Iterable[str]:
    """The table's rows, as they are measured."""
    lines = [json.loads(line) for line in (ROOT / "results" / "bench.jsonl").open()]
    truths: dict[str, np.ndarray] = {}
    for name in NAMES:
        found = oracle(name, by_task(lines)[name])
        assert found is not None
        best = [tested(TASKS[name], seed, found.best)[0] for seed in range(seeds)]
        truths[name] = np.array(best)
    yield f"{seeds} seeds. `python scripts/control_parts.py --seeds {seeds} --write`\n\n"
    yield f"| | {' | '.join(NAMES)} | mean | cost, runs |\n| --- |{' --- |' * (len(NAMES) + 2)}\n"
    for title, pilot in VARIANTS.items():
        regrets, costs = [], []
        for name in NAMES:
            runs = [tested(TASKS[name], s, pilot) for s in range(seeds)]
            losses = np.array([loss for loss, _ in runs])
            truth = truths[name]
            regrets.append(float((losses - truth).mean() / truth.std(ddof=1)))
            costs += [cost for _, cost in runs]
        cells = " | ".join(f"{r:+.2f}" for r in (*regrets, float(np.mean(regrets))))
        yield f"| {title} | {cells} | {np.mean(costs):.2f} |\n"


def publish(rows: Iterable[str], begin: str, end: str, *, write: bool) -> None:
    """Print rows as they are measured, and put them between two marks of the document if wanted."""
    found = []
    for row in rows:
        print(row, end="", flush=True)
        found.append(row)
    if write:
        before, rest = DOCUMENT.read_text(encoding="utf-8").split(begin)
        after = rest.split(end)[1]
        text = before + begin + "".join(found) + end + after
        DOCUMENT.write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--write", action="store_true", help=f"into {DOCUMENT.name}")
    args = parser.parse_args()
    torch.set_num_threads(1)
    publish(table(args.seeds), BEGIN, END, write=args.write)


if __name__ == "__main__":
    main()
