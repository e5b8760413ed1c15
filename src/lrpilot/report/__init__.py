"""The report of a run: one self-contained HTML file, made from the record alone.

`report_data` computes what is shown, `render` draws it, `write_report` puts it into a file.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from lrpilot.errors import InputError
from lrpilot.record import RunRecord

__all__ = ["write_report"]

FILE_NAME = "report.html"


def write_report(run: str | Path | RunRecord, out: str | Path | None = None) -> Path:
    """Write the report of a run, whole or not at all.

    Args:
        run: A run's folder, its `run.jsonl`, or a record that was read already.
        out: The file to write; `report.html` beside the record when left out.

    Returns:
        The file that was written.

    Raises:
        RecordError: No record is there, or it cannot be read.
        MissingExtraError: Plotly is not installed.
        InputError: The file cannot be written, or `out` is missing for a record without a folder.

    Example:
        >>> write_report("runs/sentiment")  # doctest: +SKIP
        PosixPath('runs/sentiment/report.html')
    """
    from lrpilot.report.data import report_data
    from lrpilot.report.page import render

    target = _target(run, out)
    record = run if isinstance(run, RunRecord) else RunRecord.read(run)
    _replace(target, render(report_data(record)))
    return target


def _target(run: str | Path | RunRecord, out: str | Path | None) -> Path:
    if out is not None:
        return Path(out)
    if isinstance(run, RunRecord):
        raise InputError("a record that was read already has no folder: give out=FILE.html")
    path = Path(run)
    return (path if path.is_dir() else path.parent) / FILE_NAME


def _replace(target: Path, text: str) -> None:
    """Write beside the target and rename, so that no reader ever sees half a page."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        if target.is_dir():
            raise IsADirectoryError(f"{target} is a folder")
        part.write_text(text, encoding="utf-8", errors="replace")
        part.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise InputError(
            f"{target} cannot be written ({error.strerror or error}): give another file with -o"
        ) from error
