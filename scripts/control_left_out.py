"""The autopilot on models that the correction for short runs has not seen.

    python scripts/control_left_out.py [--tasks NAME,...] [--seeds 3]

The correction is fitted to sweeps of the bench's models, on other data. Here it is fitted anew
without any sweep of a task's model, and the autopilot starts from what that recommends. Regret as
in results/table.md, against the oracle of the committed lines.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import torch
from control_parts import ROOT, tested

from lrpilot.bench.policies.autopilot import Pilot
from lrpilot.bench.score import by_task, oracle
from lrpilot.bench.tasks import TASKS
from lrpilot.recommend import recommend
from lrpilot.recommend.estimate import Estimator, load_estimator
from lrpilot.recommend.fitting import fit_short_runs
from lrpilot.recommend.measured import SWEEPS

RESULTS = ROOT / "results" / "bench.jsonl"
FAMILIES = {"effnet": "efficientnet", "resnet": "resnet", "minilm": "minilm", "smollm": "smollm",
            "bytes": "gpt2", "digits": "digits-cnn"}  # fmt: skip


def left_out(task: str) -> Estimator:
    """The estimator without the sweeps of the task's model."""
    estimator, family = load_estimator(), FAMILIES[task.split("-")[0]]
    others = [sweep for sweep in SWEEPS if sweep.family != family]
    short_runs = fit_short_runs(estimator.blend, estimator.recipes, others)
    return replace(estimator, fitted=replace(estimator.fitted, short_runs=short_runs))


def main() -> None:
    """A line a task: both recommendations, and the regret from the second."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    known = [name for name in TASKS if name.split("-")[0] in FAMILIES]
    parser.add_argument("--tasks", default=",".join(known), help="names, comma-separated")
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    lines = by_task(json.loads(line) for line in RESULTS.open(encoding="utf-8"))
    for name in args.tasks.split(","):
        task, truth, estimator = TASKS[name], oracle(name, lines[name]), left_out(name)
        assert truth is not None
        usual = recommend(task.facts).peak_lr
        regrets = []
        with patch("lrpilot.recommend.answer.load_estimator", lambda table, e=estimator: e):
            peak = recommend(task.facts).peak_lr
            for seed in range(args.seeds):
                loss, _ = tested(task, seed, Pilot())
                regrets.append((loss - truth.losses[seed]) / truth.sd)
        each = " ".join(f"{regret:+.1f}" for regret in regrets)
        print(f"{name}: {usual:.2g}, left out {peak:.2g}: {np.mean(regrets):+.1f} sd ({each})",
              flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
