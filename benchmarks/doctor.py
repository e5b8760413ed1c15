"""What the live doctor costs: its time over that of the training steps and validations beside it.

    python benchmarks/doctor.py

Ratios taken within one run on this machine, with one thread. "All looks" is what sixteen looks
and the one at the end take of a run of 200 steps; the first run of a process also reads and makes
the tests' tables. What the autopilot itself imports is there before, as in a training.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
import torch
from small_bert import BATCH, SIZES, TOKENS, small_bert

import lrpilot.torch  # noqa: F401  what a training has imported by then
from lrpilot.control import Budget
from lrpilot.facts import Recommendation, RunFacts
from lrpilot.integrations._doctor import LiveDoctor
from lrpilot.metric import Evaluation

STEPS, LOOKS = 200, 16


def step_s(hidden: int, layers: int) -> float:
    """Median seconds of one training step."""
    model, optimizer = small_bert(hidden, layers)
    words, labels = torch.randint(5, 30_000, (BATCH, TOKENS)), torch.randint(0, 2, (BATCH,))
    seconds = []
    for _ in range(15):
        start = time.perf_counter()
        model(input_ids=words, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def doctor_s(steps: int) -> tuple[float, float]:
    """Seconds that the doctor takes of a healthy run: noting all steps, and all looks."""
    rng = np.random.default_rng(0)
    recommended = Recommendation(peak_lr=2e-5, low=1e-5, high=5e-5)
    doctor = LiveDoctor.of(RunFacts(), recommended, Budget(steps=steps, evaluations=LOOKS))
    noting = looking = 0.0
    losses = (0.4 + 0.6 * np.exp(-np.arange(steps) / (0.1 * steps))).tolist()
    for step, loss in enumerate(losses, 1):
        start = time.perf_counter()
        doctor.step(step, loss=loss * 1.01, lr=2e-5, grad_norm=1.0)
        noting += time.perf_counter() - start
        if step % (steps // LOOKS) == 0:
            start = time.perf_counter()
            doctor.validation(step, Evaluation.of(loss * (1 + 0.1 * rng.standard_normal(96))))
            doctor.look()
            looking += time.perf_counter() - start
    start = time.perf_counter()
    doctor.finish()
    return noting, looking + time.perf_counter() - start


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    (_, cold), (noting, warm) = doctor_s(STEPS), doctor_s(STEPS)
    print(
        "| model | noting a step, share of a step | all looks, share of the run | the first time |"
    )
    print("|---|---|---|---|")
    for name, size in SIZES.items():
        step = step_s(*size)
        run = STEPS * step
        print(f"| {name} | {noting / run:.2%} | {warm / run:.2%} | {cold / run:.2%} |")
    long_noting, long_looks = doctor_s(1_000_000)
    share = (long_noting + long_looks) / (1_000_000 * step_s(*SIZES["MiniLM-sized BERT"]))
    print(f"\nA run of a million such steps: {share:.4%} of it.")


if __name__ == "__main__":
    main()
