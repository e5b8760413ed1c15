"""Logs of rows: one row a step or an epoch, some cells empty. CSV, JSON Lines, W&B's histories."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrpilot.diagnose.readers.bounded import MOST_NAMES, MOST_VALUES, number
from lrpilot.diagnose.readers.collect import Collector
from lrpilot.diagnose.readers.names import plain
from lrpilot.errors import InputError

Floats = NDArray[np.float64]
Column = tuple["array[int]", "array[float]"]

# What a column of optimizer steps is called, the surest first.
STEPS = ("train_global_step", "trainer_global_step", "global_step", "optimizer_step", "step",
         "steps", "current_steps", "num_updates", "update", "updates", "iteration", "iterations",
         "iter", "n_iter", "global_iter", "batch", "step_number", "_step")  # fmt: skip
EPOCHS = ("epoch", "epochs", "train_epoch", "current_epoch")
# What a text column says of a row's side.
SIDES = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
         "eval": "eval", "evaluation": "eval", "test": "test", "dev": "dev"}  # fmt: skip
_NO_STEPS = (
    "Steps are epochs here, for the log does not tell how many optimizer steps an epoch has."
)
_LOG_CALLS = (
    "Steps are W&B's count of log calls here, for no column tells optimizer steps; log"
    " train/global_step to have them."
)
_SEVERAL = 10  # rows; fewer may be anything
_NESTED = 4  # levels of a row that are flattened


def is_step(name: str) -> bool:
    """Whether a column counts optimizer steps."""
    return name == "_step" or plain(name) in STEPS


def is_epoch(name: str) -> bool:
    """Whether a column counts epochs."""
    return plain(name) in EPOCHS


class Rows:
    """Rows as they come; what the steps are is settled at the end, when all of them are seen."""

    def __init__(self) -> None:
        self._columns: dict[str, Column] = {}
        self._count = 0
        self._left = MOST_VALUES
        self._names_left_out = 0

    def __len__(self) -> int:
        return self._count

    def next_row(self) -> None:
        """Begin a row."""
        self._count += 1

    def column(self, name: str) -> Column | None:
        """Two arrays to append a row's number (`len(rows) - 1`) and its value to.

        None where one run has no room for a further column.
        """
        found = self._columns.get(name)
        if found is None:
            if len(self._columns) >= MOST_NAMES:
                self._names_left_out += 1
                return None
            found = self._columns[name] = (array("q"), array("d"))
        return found

    def cell(self, name: str, value: float) -> None:
        """A number in the present row."""
        found = self.column(name)
        if found is not None:
            found[0].append(self._count - 1)
            found[1].append(value)
            self.taken(1)

    def taken(self, values: int) -> None:
        """Count values against the limit.

        Raises:
            InputError: More values than one run may have.
        """
        self._left -= values
        if self._left < 0:
            raise InputError(
                f"more than {MOST_VALUES:,} values in one run: give a log with fewer series"
            )

    def row(self, data: Mapping[str, Any]) -> None:
        """A whole row; nested objects are flattened with "/", what is no number is skipped."""
        self._count += 1
        self._flat(data, "", 0)

    def _flat(self, data: Mapping[str, Any], prefix: str, depth: int) -> None:
        at = self._count - 1
        for key, raw in data.items():
            value = raw if raw.__class__ is float else number(raw)
            if value is not None:
                name = prefix + key if prefix else key
                found = self._columns.get(name) or self.column(name)
                if found is not None:
                    found[0].append(at)
                    found[1].append(value)
            elif isinstance(raw, dict) and depth < _NESTED:
                self._flat(raw, f"{prefix}{key}/", depth + 1)
        self.taken(len(data))

    def has(self, name: str) -> bool:
        """Whether a column of that name has values."""
        return name in self._columns

    @property
    def names(self) -> list[str]:
        """Columns with at least one number."""
        return [name for name, (rows, _) in self._columns.items() if len(rows)]

    def collect(
        self, *, steps_per_epoch: int | None = None, first_step: int = 0
    ) -> tuple[Collector, tuple[str, ...]]:
        """Everything by optimizer step; empties the rows.

        Args:
            steps_per_epoch: Optimizer steps of an epoch, for logs that count epochs only.
            first_step: Added to every step: 1 where the log counts from nought.

        Raises:
            InputError: No column of steps or epochs has a number.
        """
        steps, said, counter = self._steps(steps_per_epoch)
        if counter is not None and plain(counter) == "trainer_global_step":
            first_step = 1  # Lightning's loggers
        collected = Collector()
        for name in self.names:
            indices, numbers = self._columns.pop(name)
            rows = np.frombuffer(indices, dtype=np.int64)
            values = np.frombuffer(numbers, dtype=np.float64)
            if name != counter:
                collected.put(name, steps[rows] + first_step, values)
        if self._names_left_out:
            said = (*said, f"Only the first {MOST_NAMES:,} columns were read.")
        return collected, said

    def _steps(self, steps_per_epoch: int | None) -> tuple[Floats, tuple[str, ...], str | None]:
        """The step of each row, what is to be said, and the column that was used up."""
        step_name = next(
            (n for want in STEPS for n in self.names if n == want or plain(n) == want), None
        )
        epoch_name = next((n for n in self.names if is_epoch(n)), None)
        epoch = self._column(epoch_name)
        step = self._column(step_name)
        if step is not None:
            known = step[np.isfinite(step)]
            if known.size >= _SEVERAL and np.ptp(known) == 0:
                raise InputError(
                    f"all {known.size:,} rows have step {known[0]:g}: give the log of one run"
                )
            steps, said = _continuous(_filled(step), epoch)
            if step_name == "_step":
                said = (*said, _LOG_CALLS)
            return steps, said, step_name
        if epoch is None:
            raise InputError(
                "no column of steps or epochs has a number in it: give a log with rows"
            )
        return (*_from_epochs(_filled(epoch), steps_per_epoch), None)

    def _column(self, name: str | None) -> Floats | None:
        if name is None:
            return None
        column = np.full(self._count, np.nan)
        rows, values = self._columns[name]
        column[np.frombuffer(rows, dtype=np.int64)] = np.frombuffer(values)
        return column


def _filled(column: Floats) -> Floats:
    """A row without a number belongs to the one before it."""
    last = np.maximum.accumulate(np.where(np.isnan(column), -1, np.arange(column.size)))
    return np.where(last >= 0, column[last], np.nan)


def _continuous(step: Floats, epoch: Floats | None) -> tuple[Floats, tuple[str, ...]]:
    """Steps that start anew with each epoch, made continuous."""
    with np.errstate(invalid="ignore"):
        back = np.flatnonzero(np.diff(step) < 0)
    whole = _filled(epoch) if epoch is not None else np.empty(0)
    if back.size and not (whole.size and (whole[back + 1] > whole[back]).all()):
        _check_order(step, back.size)
    if not back.size or epoch is None:
        return step, ()
    known = np.isfinite(whole) & np.isfinite(step)
    if not known.any() or (whole[known] != np.floor(whole[known])).any():
        return step, ()
    if not (whole[back + 1] > whole[back]).all():
        return step, ()
    each = float(step[known].max()) + (1.0 if step[known].min() == 0 else 0.0)
    said = f"Steps start anew with each epoch; they were put behind each other, {each:g} an epoch."
    return step + (whole - whole[known].min()) * each, (said,)


def _check_order(step: Floats, backwards: int) -> None:
    """Refuse a table in which steps mostly jump about: it is of several runs, not one's log.

    Raises:
        InputError: More than a fifth of at least ten rows go back, and not all of them.
    """
    if step.size >= _SEVERAL and step.size / 5 < backwards < 0.8 * (step.size - 1):
        raise InputError(
            f"steps go back in {backwards:,} of {step.size:,} rows: give the log of one run"
        )


def _from_epochs(epoch: Floats, steps_per_epoch: int | None) -> tuple[Floats, tuple[str, ...]]:
    """Steps from epochs: the first epoch ends at one epoch's steps, however it is numbered."""
    known = epoch[np.isfinite(epoch)]
    if known.size == 0:
        return epoch, ()
    if (known != np.floor(known)).any():
        if steps_per_epoch:
            return np.round(epoch * steps_per_epoch), ()
        rows = np.arange(1.0, epoch.size + 1)
        return rows, ("Steps are the log's rows here, for it tells no optimizer steps.",)
    done = epoch + 1 if known.min() == 0 else epoch
    if steps_per_epoch:
        return done * steps_per_epoch, ()
    return done, (_NO_STEPS,)
