"""Make the doctor's corpus: train the bench's tasks with each mistake and without, and log them.

    python scripts/doctor_corpus.py                   # what is not there yet; go on after a stop
    python scripts/doctor_corpus.py --only digits     # cases whose name contains this
    python scripts/doctor_corpus.py --labels          # only write labels.json anew
    python scripts/doctor_corpus.py --unseen          # digits again, other seeds and rates (up to
                                                      # a quarter off): no rule was tuned on these
    python scripts/doctor_corpus.py --truth [--unseen]   # train the digits' cases again and test
                                                      # whether each ends worse than its best

Writes `results/doctor/corpus/<name>/trainer_state.json` (as transformers' Trainer does),
`plan.json` beside it (what the arguments said) and `results/doctor/labels.json`; with `--unseen`
into `results/doctor/unseen/`. `--truth` writes `corpus-truth.json` or `unseen-truth.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
import warnings
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from doctor_cases import NEEDS_PLAN, Case, cases
from doctor_training import Json, Run, rounded

RESULTS = Path(__file__).parent.parent / "results" / "doctor"


def compact(state: Json) -> str:
    """JSON with one line for each entry of the log: small, and its changes can be read."""
    head = {k: v for k, v in state.items() if k != "log_history"}
    lines = ",\n".join(json.dumps(entry) for entry in state["log_history"])
    return f'{json.dumps(head)[:-1]}, "log_history": [\n{lines}\n]}}\n'


def make(case: Case, folder: Path) -> None:
    """Train and write; the plan comes last, so that a folder with a plan is whole."""
    state, plan = Run(case.setup).train()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "trainer_state.json").write_text(compact(state), encoding="utf-8")
    (folder / "plan.json").write_text(json.dumps(plan) + "\n", encoding="utf-8")


def label(case: Case) -> Json:
    """What is expected of a doctor that sees the log and the plan, and of one without the plan."""
    blind = [[rule for rule in group if rule not in NEEDS_PLAN] for group in case.must]
    return {
        "mistake": case.mistake,
        "must": [list(group) for group in case.must],
        "must_log_only": [group for group in blind if group],
        "may": list(case.may),
    }


def unseen(case: Case) -> Case:
    """The same mistake with another seed and a rate up to a quarter off, the same each time."""
    off = random.Random(case.name).uniform(-0.1, 0.1)
    setup = replace(case.setup, seed=case.setup.seed + 1000, lr=rounded(case.setup.lr * 10**off))
    return replace(case, setup=setup)


def write_truth(due: list[Case], file: Path) -> None:
    """Of each run, a test over validation examples of whether its end is worse than its best."""
    found: Json = {}
    for number, case in enumerate(due, 1):
        run = Run(case.setup)
        run.train()
        if (truth := run.ends_worse()) is not None:
            found[case.name] = truth
        print(f"{number}/{len(due)} {case.name}: {truth}", flush=True)
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in found.items())
    file.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


def write_labels(found: list[Case]) -> None:
    """One line for each history."""
    lines = ",\n".join(f"{json.dumps(c.name)}: {json.dumps(label(c))}" for c in found)
    (RESULTS / "labels.json").write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


def main() -> None:
    """Train what is missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--unseen", action="store_true", help="other seeds and rates")
    parser.add_argument("--truth", action="store_true", help="test how the digits' runs end")
    parser.add_argument("--labels", action="store_true", help="only write labels.json")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    RESULTS.mkdir(parents=True, exist_ok=True)
    found = cases()
    write_labels(found)
    target = RESULTS / ("unseen" if args.unseen else "corpus")
    due = [c for c in found if args.only in c.name]
    if args.unseen:
        due = [unseen(c) for c in due if c.setup.task.startswith("digits")]
    if args.truth:
        due = [c for c in due if c.setup.task.startswith("digits")]
        write_truth(due, RESULTS / f"{target.name}-truth.json")
        return
    due = [c for c in due if not (target / c.name / "plan.json").exists()]
    for number, case in enumerate(due if not args.labels else [], 1):
        began = time.perf_counter()
        make(case, target / case.name)
        print(f"{number}/{len(due)} {case.name}: {time.perf_counter() - began:.1f} s", flush=True)


if __name__ == "__main__":
    main()
