"""The run record: append-only JSON Lines that outlive a crash.

Each line is one event with a `kind`: `run` (version, facts, recommendation, budget, policy),
`step`, `evaluation`, `decision`, `finding` (of the doctor), `resume`, `end` and `score` (of the
finished model). A line is
written whole and flushed, so a killed run loses at most the line in hand; a reader drops a
broken last line, and the steps that a resumed run repeats. NaN and infinity are written as the
strings "nan", "inf" and "-inf", so that every line is valid JSON.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from lrpilot.errors import RecordError

VERSION = 1
STRETCH = "stretch"  # cause of a validation of weights that no step led to
KINDS = ("run", "step", "evaluation", "decision", "finding", "resume", "end", "score")
Event = dict[str, Any]


class RecordWriter:
    """Appends events to a record; a full disk delays lines, it never stops the training.

    Args:
        path: The file; its folder must exist. None keeps nothing.
        max_pending: Lines kept in memory while the disk refuses them; the oldest go first.
    """

    def __init__(self, path: str | Path | None, *, max_pending: int = 100_000) -> None:
        self._path = None if path is None else Path(path)
        self._file: BinaryIO | None = None
        self._whole = 0  # bytes of the file that are whole lines
        self._pending: list[str] = []
        self._max_pending = max_pending
        self._warned = False
        if self._path is not None:
            _end_broken_line(self._path)
            self._file = self._path.open("ab")
            self._whole = self._file.tell()

    def write(self, kind: str, **fields: Any) -> None:
        """Append one event.

        Args:
            kind: One of `KINDS`.
            **fields: JSON types; NaN and infinity are allowed.
        """
        if self._path is None:
            return
        self._pending.append(json.dumps(_to_json({"kind": kind, **fields}), allow_nan=False))
        self._flush()

    def _flush(self) -> None:
        try:
            file = self._file or self._reopen()
            file.write("".join(line + "\n" for line in self._pending).encode())
            file.flush()
            self._whole = file.tell()
        except OSError as error:
            self._abandon()
            del self._pending[: -self._max_pending]
            if not self._warned:
                self._warned = True
                warnings.warn(
                    f"the run record cannot be written ({error}); training goes on and the lines"
                    " are kept in memory until it can",
                    stacklevel=4,
                )
            return
        self._pending.clear()

    def _reopen(self) -> BinaryIO:
        """Open the file anew after a failed write, cut to its whole lines."""
        assert self._path is not None
        os.truncate(self._path, self._whole)
        self._file = self._path.open("ab")
        return self._file

    def _abandon(self) -> None:
        """Close the file and cut off what a failed write left, so that no line is half there."""
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):  # what its buffer still holds is in `_pending` too
                file.close()
        if self._path is not None:
            with contextlib.suppress(OSError):  # `_reopen` cuts again
                os.truncate(self._path, self._whole)

    def close(self) -> None:
        """Write what is pending and close the file; later events are dropped."""
        if self._pending:
            self._flush()
        if self._file is not None:
            self._file.close()
        self._file = self._path = None

    def __del__(self) -> None:
        """A writer that was dropped unfinished leaves no open file; its lines are flushed."""
        file = getattr(self, "_file", None)
        if file is not None:
            file.close()


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What one run left: its header and its events, as one uninterrupted story.

    Attributes:
        header: The `run` event.
        events: Every later event in order, without those that a resume made void.
    """

    header: Event
    events: tuple[Event, ...]

    @classmethod
    def read(cls, path: str | Path) -> RunRecord:
        """Read a record file, or the `run.jsonl` of a run's folder.

        Raises:
            RecordError: No such file, not a record, or a version that this release cannot read.
        """
        path = Path(path)
        if path.is_dir():
            path = path / "run.jsonl"
        try:
            events = list(_lines(path))
        except (OSError, UnicodeDecodeError) as error:
            raise RecordError(
                f"{path} cannot be read ({error}): give a run's folder or its run.jsonl"
            ) from error
        if not events or events[0].get("kind") != "run":
            raise RecordError(f"{path} is not a run record: its first line is no run header")
        if events[0].get("version") != VERSION:
            raise RecordError(
                f"{path} has version {events[0].get('version')!r}, this release reads {VERSION}: "
                "update lrpilot"
            )
        story: list[Event] = []
        for event in events[1:]:
            if event["kind"] == "resume":
                if not isinstance(event.get("step"), int):
                    raise RecordError(f"{path}: a resume event without a step; it is damaged")
                story = [e for e in story if e.get("step", 0) <= event["step"]]
            story.append(event)
        return cls(events[0], tuple(story))

    def of(self, kind: str) -> tuple[Event, ...]:
        """The events of one kind, in order."""
        return tuple(e for e in self.events if e["kind"] == kind)


def _lines(path: Path) -> Iterator[Event]:
    """Each whole line as an event; only the last one may be broken, by a crash."""
    broken: int | None = None
    with path.open(encoding="utf-8", errors="strict") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            if broken is not None:
                raise RecordError(f"{path}, line {broken}: not a JSON event; the file is damaged")
            try:
                event = _from_json(json.loads(line))
            except json.JSONDecodeError:
                broken = number
                continue
            if not isinstance(event, dict) or event.get("kind") not in KINDS:
                raise RecordError(f"{path}, line {number}: not an event of a run record")
            yield event


def _end_broken_line(path: Path) -> None:
    """Cut a half-written last line off, so that the next event starts on a line of its own."""
    if not path.exists():
        return
    with path.open("rb+") as raw:
        data = raw.read()
        if data and not data.endswith(b"\n"):
            raw.truncate(data.rfind(b"\n") + 1)


_WORDS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def _to_json(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {k: _to_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json(v) for v in value]
    return value


def _from_json(value: Any) -> Any:
    if isinstance(value, str):
        return _WORDS.get(value, value)
    if isinstance(value, dict):
        return {k: _from_json(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_from_json(v) for v in value]
    return value
