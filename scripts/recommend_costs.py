"""What a wrong rate costs, and how the best rate grows with LoRA's rank, from a published grid.

    python scripts/recommend_costs.py

Prints the figures that `src/lrpilot/recommend/corrections.py` quotes: the LoRA sweep over 35
language models of thinking-machines-lab/tinker-cookbook (`data/lora_sft_grid.csv`).
"""

from __future__ import annotations

import csv
from collections import defaultdict

import numpy as np

from lrpilot.recommend.table import DEFAULT_TABLE

GRID = DEFAULT_TABLE.parent / "lora_sft_grid.csv"
BINS = ((0.05, 0.3), (0.3, 0.55), (0.55, 0.85), (0.85, 1.1), (1.1, 9.0))


def main() -> None:
    """Print the costs and the slope."""
    curves: dict[tuple[str, int], dict[float, float | None]] = defaultdict(dict)
    with GRID.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            loss = float(row["test_nll"]) if row["status"] == "ok" else None
            curves[row["model"], int(row["rank"])][float(row["lr"])] = loss
    costs(curves)
    rank_slope(curves)


def costs(curves: dict[tuple[str, int], dict[float, float | None]]) -> None:
    """Loss above the curve's best, in %, by distance from the best rate; and the share diverged."""
    off: dict[tuple[str, tuple[float, float]], list[float | None]] = defaultdict(list)
    used = 0
    for curve in curves.values():
        finished = {lr: loss for lr, loss in curve.items() if loss is not None}
        if len(finished) < 2:
            continue
        used += 1
        best = min(finished, key=lambda lr: finished[lr])
        for lr, loss in curve.items():
            gap = float(np.log10(lr / best))
            for low, high in BINS:
                if low <= abs(gap) < high:
                    lost = None if loss is None else 100.0 * (loss / finished[best] - 1.0)
                    off["low" if gap < 0 else "high", (low, high)].append(lost)
    print(f"{used} curves")
    for (side, (low, high)), lost in sorted(off.items()):
        done = [value for value in lost if value is not None]
        figures = f"median {np.median(done):.1f}%, mean {np.mean(done):.1f}%" if done else "-"
        print(f"{side} by {low:g} to {high:g}: {figures}; {len(lost) - len(done)} of {len(lost)}"
              " diverged")  # fmt: skip


def rank_slope(curves: dict[tuple[str, int], dict[float, float | None]]) -> None:
    """Slope of log10 of the best rate on log10 of the rank, within a model."""
    by_model: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for (model, rank), curve in curves.items():
        finished = {lr: loss for lr, loss in curve.items() if loss is not None}
        if len(finished) > 2:
            best = min(finished, key=lambda lr: finished[lr])
            by_model[model].append((np.log10(rank), np.log10(best)))
    x, y = [], []
    for points in by_model.values():
        ranks, rates = np.array(points).T
        x += (ranks - ranks.mean()).tolist()
        y += (rates - rates.mean()).tolist()
    print(f"best rate ~ rank**{np.dot(x, y) / np.dot(x, x):.2f} within {len(by_model)} models")


if __name__ == "__main__":
    main()
