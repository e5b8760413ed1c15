"""MLflow without its package: run folders of the file store, and the SQLite store."""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lrpilot.diagnose.history import History, Plan
from lrpilot.diagnose.readers.assemble import assemble
from lrpilot.diagnose.readers.bounded import MOST_NAMES, lines, number, read_text
from lrpilot.diagnose.readers.collect import Collector
from lrpilot.diagnose.readers.format import Format, Place
from lrpilot.diagnose.readers.settings import logged
from lrpilot.errors import InputError

_LONGEST_PARAMETER = 10_000
_MOST_RUNS = 200
_DEEPEST = 5  # a metric "a/b/c" is a file in folders
_ENDS = {"3": True, "4": False, "5": False, "FINISHED": True, "FAILED": False, "KILLED": False}
_NO_STEP = "{} has no steps; its values were numbered."


def _claims_folder(place: Place) -> bool:
    if not place.is_dir or "metrics" not in place.names or not place.has_file("meta.yaml"):
        return False
    return (place.path / "metrics").is_dir() and "run_id:" in _meta_text(place.path)


def _meta_text(folder: Path) -> str:
    try:
        return read_text(folder / "meta.yaml", 1_000_000)
    except (InputError, OSError):
        return ""


def _read_folder(place: Place) -> list[History]:
    collected, said = Collector(), []
    for name, file in _files(place.path / "metrics"):
        said += _add(collected, name, _points(file))
    settings = {
        name: read_text(file, _LONGEST_PARAMETER)
        for name, file in _files(place.path / "params")
        if file.stat().st_size <= _LONGEST_PARAMETER
    }
    status = [ln.partition(":")[2] for ln in _meta_text(place.path).splitlines()
              if ln.startswith("status:")]  # fmt: skip
    history = assemble(
        str(place.path), "mlflow", collected, plan=_plan(settings), unread=tuple(said),
        finished=_ENDS.get(status[0].strip(" '\"")) if status else None,
    )  # fmt: skip
    return [history]


def _files(folder: Path, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Path]]:
    """(name, file) below a folder; at most as many as one run may have series."""
    if depth > _DEEPEST or not folder.is_dir():
        return
    for count, name in enumerate(Place.at(folder).names):
        if count >= MOST_NAMES:
            return
        path = folder / name
        if path.is_dir():
            yield from _files(path, f"{prefix}{name}/", depth + 1)
        elif path.is_file():
            yield f"{prefix}{name}", path


def _points(file: Path) -> Iterator[tuple[float, float]]:
    """(step, value) of each whole line "time value step"."""
    for line in lines(file):
        parts = line.split()
        if len(parts) < 2 or not line.endswith("\n"):
            continue
        value = number(parts[1])
        step = number(parts[2]) if len(parts) > 2 else 0.0
        if value is not None and step is not None:
            yield step, value


def _add(collected: Collector, name: str, points: Iterator[tuple[float, float]]) -> list[str]:
    """Take a metric; one that was logged without steps has step 0 throughout."""
    flat = array("d")
    for point in points:
        flat.extend(point)
    table = np.frombuffer(flat, dtype=np.float64).reshape(-1, 2)
    if not table.size:
        return []
    steps, values = table[:, 0].copy(), table[:, 1].copy()
    if steps.size > 1 and not steps.any():
        collected.put(name, np.arange(1.0, steps.size + 1), values)
        return [_NO_STEP.format(repr(name[:60]))]
    collected.put(name, steps, values)
    return []


def _plan(settings: dict[str, Any]) -> Plan:
    return logged({k: v for k, v in settings.items() if v not in ("None", "")})


# -- the SQLite store -----------------------------------------------------------------------


def _claims_database(place: Place) -> bool:
    if place.is_dir or not place.head.startswith(b"SQLite format 3\0"):
        return False
    try:
        with _open(place.path) as database:
            names = {str(row[0]) for row in database.execute("select name from sqlite_master")}
    except (sqlite3.Error, InputError):
        return b"latest_metrics" in place.head
    return {"metrics", "params", "runs"} <= names


@contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection]:
    """A database that is only read, and closed again."""
    database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    database.text_factory = lambda raw: raw.decode("utf-8", "replace")
    try:
        yield database
    finally:
        database.close()


def _read_database(place: Place) -> list[History]:
    try:
        with _open(place.path) as database:
            runs = database.execute(
                "select run_uuid, status from runs order by start_time limit ?", (_MOST_RUNS + 1,)
            ).fetchall()
            if len(runs) > _MOST_RUNS:
                raise InputError(
                    f"{place.path} holds more than {_MOST_RUNS} runs: export the one in question"
                )
            return [
                h for run, status in runs if (h := _run(database, place.path, run, status))
            ]  # fmt: skip
    except sqlite3.Error as error:
        raise InputError(
            f"{place.path} is no readable MLflow store ({error}): give a whole mlflow.db"
        ) from error


def _run(database: sqlite3.Connection, path: Path, run: Any, status: Any) -> History | None:
    collected, said = Collector(), []
    names = database.execute(
        "select distinct key from metrics where run_uuid = ? limit ?", (run, MOST_NAMES)
    ).fetchall()
    for (name,) in names:
        rows = database.execute(
            "select step, value, is_nan from metrics where run_uuid = ? and key = ?"
            " order by timestamp, step",
            (run, name),
        )
        said += _add(collected, str(name), _rows(rows))
    if not collected.names:
        return None
    settings = database.execute(
        "select key, value from params where run_uuid = ? limit ?", (run, MOST_NAMES)
    ).fetchall()
    plan = _plan({str(k): v for k, v in settings if isinstance(v, str)})
    return assemble(
        f"{path} ({run})", "mlflow", collected, plan=plan, unread=tuple(said),
        finished=_ENDS.get(str(status)),
    )  # fmt: skip


def _rows(rows: Any) -> Iterator[tuple[float, float]]:
    for step, raw, is_nan in rows:
        value, at = number(raw), number(step)
        if value is not None and at is not None:
            yield at, float("nan") if is_nan else value


FOLDER = Format(
    name="mlflow",
    what="an MLflow run folder (mlruns/EXPERIMENT/RUN)",
    claims=_claims_folder,
    read=_read_folder,
)
DATABASE = Format(
    name="mlflow-sqlite",
    what="MLflow's mlflow.db",
    claims=_claims_database,
    read=_read_database,
)
