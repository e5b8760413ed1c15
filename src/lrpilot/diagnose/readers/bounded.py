"""Reading what may be broken, huge or hostile: every size, depth and number has a limit."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lrpilot.errors import InputError

# Assumed limits, far above what frameworks write.
MOST_ENTRIES = 100_000  # of one folder
MOST_NAMES = 2_000  # different series of one run
MOST_VALUES = 40_000_000  # of one run: 640 MB
MOST_BYTES = 4_000_000_000  # of one log
LONGEST_LINE = 16_000_000  # bytes of one line of a log
LARGEST_JSON = 64_000_000  # bytes of a JSON document that is parsed whole
LARGEST_STEP = 2.0**53


def number(value: Any) -> float | None:
    """A number, or a text that is one ("2e-5", "NaN", "-Infinity"); None for all else."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, float):
        return value
    if not isinstance(value, int | str):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if isinstance(value, int) and value > 0 else -math.inf
    except ValueError:
        return None


def positive(value: Any) -> float | None:
    """A positive, finite number; None for all else."""
    found = number(value)
    return found if found is not None and 0 < found < math.inf else None


def count(value: Any) -> int | None:
    """A whole number of at least 1 and of a sane size; None for all else."""
    found = positive(value)
    return int(found) if found is not None and 1 <= found < LARGEST_STEP else None


def truth(value: Any) -> bool | None:
    """A truth value, or a text that is one; None for all else."""
    if isinstance(value, bool):
        return value
    words = {"true": True, "false": False, "yes": True, "no": False}
    return words.get(value.strip().lower()) if isinstance(value, str) else None


def shown_bytes(size: int) -> str:
    """A size as a person reads it."""
    return f"{size / 1e6:,.0f} MB" if size >= 1_000_000 else f"{size:,} bytes"


def check_size(path: Path, limit: int = MOST_BYTES) -> None:
    """Refuse a file beyond its limit.

    Raises:
        InputError: It is larger.
    """
    size = path.stat().st_size
    if size > limit:
        raise InputError(
            f"{path} has {shown_bytes(size)}, at most {shown_bytes(limit)} are read:"
            " give a smaller log, or export the scalars alone"
        )


def read_text(path: Path, limit: int) -> str:
    """A whole small text file.

    Raises:
        InputError: It is too large, or no text.
    """
    check_size(path, limit)
    try:
        with path.open("rb") as file:
            return file.read(limit + 1).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text: give the text file itself") from error


def load_json(path: Path) -> Any:
    """A whole JSON document; NaN and Infinity are allowed.

    Raises:
        InputError: It is too large, too deep, or not JSON.
    """
    return parse_json(read_text(path, LARGEST_JSON), path)


def parse_json(text: str, path: Path) -> Any:
    """As `load_json`, of a text that `path` held."""
    try:
        return json.loads(text)
    except RecursionError:
        reason = "nested too deeply"
    except ValueError as error:
        reason = " ".join(str(error).split())[:80]
    raise InputError(f"{path} is not readable JSON ({reason}): give a whole file")


def lines(path: Path) -> Iterator[str]:
    """Each line of a log, one in memory at a time; bytes that are no UTF-8 are replaced.

    Raises:
        InputError: A line of more than 16 MB, or a file beyond its limit.
    """
    check_size(path)
    position = 0
    with path.open("rb") as file:
        while raw := file.readline(LONGEST_LINE):
            if len(raw) == LONGEST_LINE:
                raise InputError(
                    f"{path}, line {position + 1} has more than {shown_bytes(LONGEST_LINE)}:"
                    " give a log with one short row a line"
                )
            text = raw.decode("utf-8", "replace")
            yield text if position else text.removeprefix("\ufeff")
            position += 1
