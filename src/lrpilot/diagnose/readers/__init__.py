"""Readers: one format a file, from a path to a `History`.

A further format is one file that defines a `Format`, and one line in `FORMATS`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from lrpilot.diagnose.history import History
from lrpilot.diagnose.readers import (
    config,
    hf,
    jsonl,
    keras,
    lightning,
    lrpilot,
    mlflow,
    printed,
    script,
    table,
    tensorboard,
    wandb,
)
from lrpilot.diagnose.readers.format import Format, Place
from lrpilot.errors import InputError

__all__ = ["FORMATS", "Format", "Place", "knows", "read"]

# In the order in which they are asked; the first that claims a place reads it.
FORMATS: tuple[Format, ...] = (
    lrpilot.FORMAT,
    hf.FORMAT,
    lightning.FORMAT,
    tensorboard.FORMAT,
    wandb.FORMAT,
    mlflow.FOLDER,
    mlflow.DATABASE,
    keras.FORMAT,
    jsonl.FORMAT,
    jsonl.ARRAY,
    table.FORMAT,
    printed.FORMAT,
    config.JSON,
    config.YAML,
    config.PICKLE,
    script.FORMAT,
)
_DEEPEST = 6  # levels of folders that are searched for runs
_MOST_PLACES = 20_000  # files and folders that one search looks at
_MOST_PROBLEMS = 10  # of other runs that are told
_MOST_RUNS = 500  # runs that one search reads


def read(path: str | Path) -> list[History]:
    """Every run, or the plan, that a file or a folder holds.

    What it is shows in its content. A folder that is one run's is read as one history; any other
    is searched for runs, six levels deep and without following links out of sight; where no log
    is found, for plans.

    Args:
        path: A log, a run's folder, a folder of runs, a config or a training script.

    Raises:
        InputError: Nothing there can be read; the message is one line.
        MissingExtraError: The format needs a package that is not installed.
    """
    place = Place.at(Path(path))
    found = _claimed(place)
    if found is not None:
        return _read(found, place)
    if not place.is_dir:
        raise InputError(_unknown(place))
    inner = list(_search(place))
    runs = [(f, p) for f, p in inner if not f.plan] or inner
    if not runs:
        raise InputError(f"{place.path} holds no log and no plan: give a run's folder or its log")
    if len(runs) > _MOST_RUNS:
        raise InputError(
            f"{place.path} holds {len(runs)} runs, at most {_MOST_RUNS} are read at once:"
            " give one of its folders"
        )
    return _read_all(runs)


def knows(path: str | Path) -> bool:
    """Whether `read` would take this file or folder for a log or a plan, by a look at its start.

    A hook that is handed every changed file can leave the others out.
    """
    try:
        return _claimed(Place.at(Path(path))) is not None
    except InputError:
        return False


def _unknown(place: Place) -> str:
    """What to say of a file that no format claims."""
    lacks = next((said for f in FORMATS if (said := f.nearly(place))), "is of no known format")
    logs = ", ".join(f.name for f in FORMATS if not f.plan)
    plans = ", ".join(f.name for f in FORMATS if f.plan)
    return f"{place.path} {lacks}: give a log ({logs}) or a plan ({plans})"


def _read_all(runs: list[tuple[Format, Place]]) -> list[History]:
    """All that can be read, the first of which tells what could not; an error where none can."""
    histories: list[History] = []
    problems: list[InputError] = []
    for found, place in runs:
        try:
            histories += _read(found, place)
        except InputError as error:
            problems.append(error)
    if not histories and problems:
        raise problems[0]
    left_out = tuple(f"Left out: {error}." for error in problems[:_MOST_PROBLEMS])
    return [replace(histories[0], unread=(*histories[0].unread, *left_out)), *histories[1:]]


def _claimed(place: Place) -> Format | None:
    for found in FORMATS:
        try:
            if found.claims(place):
                return found
        except (OSError, ValueError, RecursionError):  # damaged: not for certain this one's
            continue
    return None


def _read(found: Format, place: Place) -> list[History]:
    """What the format reads; whatever a damaged file provokes becomes one line."""
    try:
        return found.read(place)
    except InputError as error:
        if str(place.path) in str(error):
            raise
        raise InputError(f"{place.path}: {error}") from error
    except ImportError:
        raise
    except (OSError, ValueError, ArithmeticError, RecursionError, MemoryError) as error:
        reason = " ".join(str(error).split())[:80] or type(error).__name__
        raise InputError(
            f"{place.path} cannot be read as {found.what} ({reason}): give a whole one"
        ) from error


def _search(root: Place) -> Iterator[tuple[Format, Place]]:
    """Runs and plans below a folder. A folder that is a run is not searched further."""
    waiting = [(root, 0)]
    seen = {root.path.resolve()}
    looked = 0
    while waiting:
        folder, depth = waiting.pop(0)
        for name in sorted(folder.names, key=lambda n: (folder.path / n).is_symlink()):
            if name.startswith(".") or name in ("__pycache__", "node_modules"):
                continue
            looked += 1
            if looked > _MOST_PLACES:
                raise InputError(
                    f"{root.path} holds more than {_MOST_PLACES:,} files: give one run's folder"
                )
            path = folder.path / name
            try:
                place, real = Place.at(path), path.resolve()
            except (InputError, OSError, RuntimeError):
                continue
            if real in seen:
                continue
            seen.add(real)
            found = _claimed(place)
            if found is not None:
                yield found, place
            elif place.is_dir and depth + 1 < _DEEPEST:
                waiting.append((place, depth + 1))
