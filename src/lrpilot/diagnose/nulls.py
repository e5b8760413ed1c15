"""How large the statistics of `statistics.find_rise` and `hump.find_hump` get by noise alone.

Their critical values on flat series are simulated once, by `scripts/doctor_nulls.py`, for every
length that the two tests can ask for, and shipped in `nulls.json`. Between two tabulated levels the
logarithm of the chance is a straight line in the statistic.
"""

from __future__ import annotations

import json
import math
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Test = Literal["rise", "hump"]
TABLE = Path(__file__).parent / "nulls.json"


def chance(test: Test, n: int, statistic: float) -> float:
    """Chance that a flat, noisy series of n values has so large a statistic.

    Never below the smallest tabulated level (5e-5), however large the statistic.

    Raises:
        KeyError: A length that the test never asks for, see `LENGTHS` beside it.
    """
    levels, critical = _read()
    return math.exp(float(np.interp(statistic, critical[test][n], levels)))


@lru_cache(maxsize=1)
def _read() -> tuple[Array, dict[str, dict[int, Array]]]:
    """Logarithms of the levels, falling; critical values by test and length, rising."""
    data = json.loads(TABLE.read_text(encoding="utf-8"))
    critical = {
        test: {int(n): np.array(values) for n, values in data[test].items()}
        for test in ("rise", "hump")
    }
    return np.log(data["levels"]), critical
