"""Values as they come in, by name: two numbers each, whatever the log's own form."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrpilot.diagnose.history import Series
from lrpilot.diagnose.readers.bounded import LARGEST_STEP, MOST_NAMES, MOST_VALUES, number
from lrpilot.errors import InputError

Floats = NDArray[np.float64]
_TOO_MANY = f"more than {MOST_VALUES:,} values in one run: give a log with fewer series"


class Collector:
    """Gathers (name, step, value) and settles what a resumed run wrote twice."""

    def __init__(self) -> None:
        self._steps: dict[str, array[float]] = {}
        self._values: dict[str, array[float]] = {}
        self._left = MOST_VALUES
        self._dropped = 0
        self._too_many = 0

    def add(self, name: str, step: float, value: float) -> None:
        """Take one value; a step that is no step is counted and dropped.

        Raises:
            InputError: More values than one run may have.
        """
        steps = self._steps.get(name)
        if steps is None:
            if len(self._steps) >= MOST_NAMES:
                self._too_many += 1
                return
            steps = self._steps[name] = array("d")
            self._values[name] = array("d")
        if not 0 <= step < LARGEST_STEP:
            self._dropped += 1
            return
        self._left -= 1
        if self._left < 0:
            raise InputError(_TOO_MANY)
        steps.append(step)
        self._values[name].append(value)

    def add_row(self, step: float, row: Mapping[str, Any], skipped: frozenset[str]) -> None:
        """Take every number of a row, but those of some names. As `add`, and faster."""
        if not 0 <= step < LARGEST_STEP:
            self._dropped += len(row)
            return
        for name, raw in row.items():
            value = raw if raw.__class__ is float else number(raw)
            if value is None or name in skipped:
                continue
            steps = self._steps.get(name)
            if steps is None:
                self.add(name, step, value)
                continue
            self._left -= 1
            steps.append(step)
            self._values[name].append(value)
        if self._left < 0:
            raise InputError(_TOO_MANY)

    def put(self, name: str, steps: Floats, values: Floats) -> None:
        """Take a whole series at once."""
        good = (steps >= 0) & (steps < LARGEST_STEP)
        self._dropped += int((~good).sum())
        if name not in self._steps and len(self._steps) >= MOST_NAMES:
            self._too_many += steps.size
            return
        self._left -= int(good.sum())
        if self._left < 0:
            raise InputError(_TOO_MANY)
        self._steps.setdefault(name, array("d")).frombytes(steps[good].tobytes())
        self._values.setdefault(name, array("d")).frombytes(values[good].tobytes())

    @property
    def names(self) -> list[str]:
        """Names with at least one value."""
        return [name for name, values in self._values.items() if len(values)]

    def rename(self, old: str, new: str) -> None:
        """Give a series another name, unless that one is taken."""
        if old in self._steps and new not in self._steps:
            self._steps[new], self._values[new] = self._steps.pop(old), self._values.pop(old)

    def drop(self, name: str) -> None:
        """Forget a series."""
        self._steps.pop(name, None)
        self._values.pop(name, None)

    def shift(self, steps: float) -> None:
        """Add to every step: 1 where a framework counts from nought."""
        for name, taken in self._steps.items():
            self._steps[name] = array("d", (np.frombuffer(taken) + steps).tobytes())

    def last(self, name: str) -> float | None:
        """The value of a name that was written last."""
        values = self._values.get(name)
        return values[-1] if values else None

    def settle(self) -> tuple[dict[str, Series], dict[str, tuple[int, ...]]]:
        """The series, and the steps at which each was taken up again. Empties the collector."""
        series: dict[str, Series] = {}
        resumes: dict[str, tuple[int, ...]] = {}
        for name in self.names:
            steps = np.frombuffer(self._steps.pop(name), dtype=np.float64)
            values = np.frombuffer(self._values.pop(name), dtype=np.float64)
            kept, again = _last_story(steps)
            series[name] = Series.of(steps[kept], values[kept])
            resumes[name] = again
        return series, resumes

    def remarks(self) -> tuple[str, ...]:
        """What was dropped, a sentence each."""
        said = []
        if self._dropped:
            said.append(f"{self._dropped:,} values without a usable step were left out.")
        if self._too_many:
            said.append(
                f"Only the first {MOST_NAMES:,} series were read;"
                f" {self._too_many:,} values of others were left out."
            )
        return tuple(said)


def _last_story(steps: Floats) -> tuple[NDArray[np.bool_], tuple[int, ...]]:
    """What a later, lower step did not make void, and where the step went back.

    A log that runs backwards from its first line to its last is a sorted one: nothing is void.
    """
    back = np.flatnonzero(np.diff(steps) < 0)
    if not back.size:
        return np.ones(steps.size, dtype=bool), ()
    if back.size == steps.size - 1 and steps.size > 2:
        return np.ones(steps.size, dtype=bool), ()
    later = np.minimum.accumulate(steps[::-1])[::-1]
    lowest_after = np.append(later[1:], math.inf)
    return steps <= lowest_after, tuple(sorted({int(steps[i + 1]) for i in back}))[:1000]
