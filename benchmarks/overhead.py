"""What the autopilot costs: its own time per step, the doctor's, its snapshots, and its import.

    python benchmarks/overhead.py
    python benchmarks/overhead.py --device cuda

All figures are ratios taken within one run on this machine: the time that the session spends on
deciding and recording, on the doctor's looks, and on copying state, over the time of the training
steps beside it. Each model is trained twice: what happens once a process is in the first run only.

On a GPU a loop runs ahead of the device, and whoever reads a loss waits for it. There the whole
wall time of a loop with the autopilot (without validations) is compared with the bare loop's, and
with a loop that reads its loss at each step, as most do for a progress bar.
"""

from __future__ import annotations

import argparse
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
GPU_STEPS = 60
GPU_SIZES = {  # hidden size, layers, examples, tokens
    "tiny BERT, 16 x 32": (32, 1, 16, 32),
    "MiniLM-sized BERT, 16 x 32": (384, 6, 16, 32),
    "BERT-base-sized, 32 x 128": (768, 12, 32, 128),
}


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


def gpu_seconds(device: str, size: tuple[int, int, int, int]) -> dict[str, float]:
    """Seconds of `GPU_STEPS` steps: bare, reading each loss, and with the autopilot."""
    hidden, layers, examples, tokens = size
    words = torch.randint(5, 30_000, (examples, tokens), device=device)
    labels = torch.randint(0, 2, (examples,), device=device)
    found = {}
    for kind in ("bare", "reads", "autopilot"):
        model, _ = small_bert(hidden, layers)
        model.to(device)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
        with tempfile.TemporaryDirectory() as folder:
            pilot = None
            if kind == "autopilot":
                pilot = Autopilot(model, optimizer, total_steps=10 * GPU_STEPS, start_lr=1e-5,
                                  record=Path(folder) / "run.jsonl")  # fmt: skip
            for step in range(GPU_STEPS + 10):
                if step == 10:
                    torch.cuda.synchronize()
                    start = time.perf_counter()
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    loss = model(input_ids=words, labels=labels).loss
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
                if pilot is not None:
                    pilot.step(loss)
                elif kind == "reads":
                    loss.item()
            torch.cuda.synchronize()
            found[kind] = time.perf_counter() - start
    return found


def on_gpu(device: str) -> None:
    """Print the table of a GPU."""
    print(f"{torch.cuda.get_device_name(device)}, bf16 autocast, {GPU_STEPS} steps, three times\n")
    print("| model | step, ms | reading each loss | with the autopilot |")
    print("|---|---|---|---|")
    for name, size in GPU_SIZES.items():
        runs = [gpu_seconds(device, size) for _ in range(3)]
        bare = statistics.median(run["bare"] for run in runs)
        shares = (
            statistics.median(run[kind] / run["bare"] for run in runs) - 1
            for kind in ("reads", "autopilot")
        )
        cells = " | ".join(f"{share:+.2%}" for share in shares)
        print(f"| {name} | {1000 * bare / GPU_STEPS:.2f} | {cells} |", flush=True)


def import_ms(code: str) -> float:
    """Median milliseconds of a fresh interpreter that runs `code`."""

    def once() -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return 1000 * (time.perf_counter() - start)

    return statistics.median(once() for _ in range(7))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", help="cpu, or cuda for a GPU's table")
    device = parser.parse_args().device
    if device != "cpu":
        on_gpu(device)
        return
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
