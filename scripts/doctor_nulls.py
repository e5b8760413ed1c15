"""Critical values of the doctor's two tests on flat, noisy series: `diagnose/nulls.json`.

    python scripts/doctor_nulls.py

100,000 seeded series of each length that the tests can ask for (5 to 64, 10 to 128 values), about a
minute. A level of 4.5% is then known to 0.07%, one of 0.1% to 0.01%; the smallest tabulated
level, 5e-5, rests on five series. Each critical value is an order statistic: the chance that a new
series exceeds it is at most its level. Run again after any change to a statistic.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from numpy.typing import NDArray

from lrpilot.diagnose import hump, statistics
from lrpilot.diagnose.nulls import TABLE

RUNS, PARTS, SEED = 100_000, 50, 20_261_124
LEVELS = (
    1.0, 0.99, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.125, 0.1, 0.08, 0.07,
    0.06, 0.05, 0.045, 0.04, 0.035, 0.03, 0.025, 0.02, 0.015, 0.01, 7e-3, 5e-3, 4e-3, 3e-3, 2e-3,
    1.5e-3, 1e-3, 7e-4, 5e-4, 3e-4, 2e-4, 1e-4, 5e-5,
)  # fmt: skip
Array = NDArray[np.float64]


def largest(n: int, weights: Array, noise_of: Callable[[Array], Array], seed: int) -> Array:
    """The largest contrast of each simulated series over its noise, falling, shape (RUNS,)."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(PARTS):
        part = rng.standard_normal((RUNS // PARTS, n), dtype=np.float32)
        found.append((part @ weights.T.astype(np.float32)).max(axis=1) / noise_of(part))
    return -np.sort(-np.concatenate(found))


def critical(falling: Array) -> list[float]:
    """Of each level the value that at most that share of new series exceeds."""
    ranks = [int(level * (falling.size + 1) + 1e-9) for level in LEVELS]
    return [float(f"{falling[min(rank, falling.size) - 1]:.5g}") for rank in ranks]


def rise(n: int) -> list[float]:
    """Critical values of `statistics.find_rise`."""
    return critical(largest(n, statistics.rise_contrasts(n)[0], statistics.noise_of, SEED + n))


def high(n: int) -> list[float]:
    """Critical values of `hump.find_hump`."""
    return critical(largest(n, hump.contrasts(n)[0], hump.noise_of, SEED + 1000 + n))


def main() -> None:
    """Simulate, and write the file that the package ships."""
    table: dict[str, object] = {"runs": RUNS, "seed": SEED, "levels": LEVELS}
    with ProcessPoolExecutor() as pool:
        for name, lengths, values in (
            ("rise", statistics.LENGTHS, pool.map(rise, statistics.LENGTHS)),
            ("hump", hump.LENGTHS, pool.map(high, hump.LENGTHS)),
        ):
            table[name] = dict(zip(lengths, values, strict=True))
    text = json.dumps(table, separators=(",", ":")).replace("],", "],\n")
    TABLE.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
