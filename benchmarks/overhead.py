"""What the autopilot costs: its own time per step, the doctor's, its snapshots, and its import.

    python benchmarks/overhead.py

All figures are ratios taken within one run on this machine: the time that the session spends on
deciding and recording, on the doctor's looks, and on copying state, over the time of the training
steps beside it. Each model is trained twice: what happens once a process is in the first run only.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from small_bert import BATCH, SIZES, TOKENS, small_bert

from lrpilot.torch import Autopilot

STEPS = 40


def measure(hidden: int, layers: int) -> tuple[float, float, float, float]:
    """Seconds a step without the autopilot; its own and the doctor's a step; of a snapshot."""
    model, optimizer = small_bert(hidden, layers)
    words = torch.randint(5, 30_000, (BATCH, TOKENS))
    labels = torch.randint(0, 2, (BATCH,))

    def validation_losses() -> torch.Tensor:
        logits = model(input_ids=words).logits
        return torch.nn.functional.cross_entropy(logits, labels, reduction="none")

    with tempfile.TemporaryDirectory() as folder:
        pilot = Autopilot(
            model, optimizer, total_steps=STEPS, evaluate=validation_losses, start_lr=1e-5,
            evaluations=8, record=Path(folder) / "run.jsonl",
        )  # fmt: skip
        seconds = []
        while not pilot.done:
            start = time.perf_counter()
            loss = model(input_ids=words, labels=labels).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            seconds.append(time.perf_counter() - start)
            pilot.step(loss)
        spent = pilot.spent
    return (
        statistics.median(seconds),
        spent.own_s / STEPS,
        spent.doctor_s / STEPS,
        spent.snapshot_s / max(1, spent.snapshots),
    )


def import_ms(code: str) -> float:
    """Median milliseconds of a fresh interpreter that runs `code`."""

    def once() -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return 1000 * (time.perf_counter() - start)

    return statistics.median(once() for _ in range(7))


def main() -> None:
    """Print the table."""
    print(
        "| model | step, ms | autopilot's own time, share of a step | doctor's | snapshot, steps |"
    )
    print("|---|---|---|---|---|")
    for name, (hidden, layers) in SIZES.items():
        for again in ("", ", again"):
            step, own, doctor, snapshot = measure(hidden, layers)
            shares = f"{own / step:.2%} | {doctor / step:.2%} | {snapshot / step:.2f}"
            print(f"| {name}{again} | {1000 * step:.1f} | {shares} |")
    bare = import_ms("pass")
    print(f"\nimport lrpilot: {import_ms('import lrpilot') - bare:.0f} ms over bare Python's")
    print(f"and recommend: {import_ms('import lrpilot; lrpilot.recommend') - bare:.0f} ms")


if __name__ == "__main__":
    main()
