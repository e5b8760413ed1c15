"""Tables in files, read by column: CSV and TSV (with a header line), JSON Lines and Parquet."""

from __future__ import annotations

import csv
import importlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lrpilot.errors import InputError, MissingExtraError

TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")

Row = tuple[Any, ...]


def table_columns(path: Path) -> tuple[str, ...]:
    """The columns of a table, from its header alone (the first object, for JSON Lines).

    Raises:
        InputError: No such file, not a table, empty, or a header that cannot be read.
    """
    check_exists(path)
    suffix = path.suffix.lower()
    if path.is_dir() or suffix not in TABLE_SUFFIXES:
        raise InputError(
            f"{path} is not a table that can be read: give {', '.join(TABLE_SUFFIXES)}, "
            "or a folder of images by class, or .txt for text generation"
        )
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty: give a file with a header and examples")
    if suffix == ".parquet":
        columns = _guarded(path, lambda: _pyarrow("parquet").read_schema(path).names)
    elif suffix in (".csv", ".tsv"):
        columns = _header(path)
    else:
        columns = next(_json_objects(path), {})
    if len(set(columns)) < max(1, len(columns)):
        raise InputError(f"{path} needs columns with different names: it has {list(columns)}")
    return tuple(columns)


def read_rows(path: Path, columns: Sequence[str]) -> list[Row]:
    """The rows of the chosen columns, in file order; CSV values are text, others keep their type.

    Raises:
        InputError: A ragged row, a broken line, a missing key, not UTF-8.
    """
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        table = _read_csv(path, columns)
    elif suffix == ".parquet":
        table = _guarded(path, lambda: _pyarrow("parquet").read_table(path, columns=list(columns)))
    else:
        return list(_json_rows(path, columns))
    return list(zip(*(table.column(c).to_pylist() for c in columns), strict=True))


def read_text(path: Path) -> str:
    """A whole file as UTF-8 text, without a byte-order mark."""
    check_exists(path)
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise _not_utf8(path) from None


def check_exists(path: Path) -> None:
    """Raises InputError where there is no such file or folder."""
    if not path.exists():
        raise InputError(f"{path} does not exist: give a file or a folder that does")


def _header(path: Path) -> list[str]:
    """First line of a CSV or TSV file."""
    with path.open(encoding="utf-8-sig", newline="") as lines:
        try:
            return next(csv.reader(lines, delimiter=_delimiter(path)), [])
        except UnicodeDecodeError:
            raise _not_utf8(path) from None


def _read_csv(path: Path, columns: Sequence[str]) -> Any:
    """The chosen columns of a CSV or TSV file as text; an unequal row is named in the error."""
    arrow, reader = _pyarrow("lib"), _pyarrow("csv")
    ragged: list[tuple[int, int, int]] = []

    def note(row: Any) -> str:
        ragged.append((row.number, row.actual_columns, row.expected_columns))
        return "error"

    def read() -> Any:
        return reader.read_csv(
            path,
            read_options=reader.ReadOptions(use_threads=False),  # only then are rows numbered
            parse_options=reader.ParseOptions(
                delimiter=_delimiter(path), newlines_in_values=True, invalid_row_handler=note
            ),
            convert_options=reader.ConvertOptions(
                include_columns=list(columns), column_types=dict.fromkeys(columns, arrow.string())
            ),
        )

    try:
        return _guarded(path, read)
    except InputError:
        if not ragged:
            raise
        number, actual, expected = ragged[0]
        raise InputError(
            f"{path}, row {number} has {actual} columns where the header has {expected}: "
            "put text with commas, tabs or line ends in double quotes"
        ) from None


def _delimiter(path: Path) -> str:
    return "\t" if path.suffix.lower() == ".tsv" else ","


def _json_rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    for number, item in enumerate(_json_objects(path), 1):
        missing = [c for c in columns if c not in item]
        if missing:
            raise InputError(
                f"{path}: object {number} has no {missing[0]!r}: it has {', '.join(item)}"
            )
        yield tuple(item[c] for c in columns)


def _json_objects(path: Path) -> Iterator[dict[str, Any]]:
    """One object a line; by the standard reader, since it can say which line is broken."""
    with path.open(encoding="utf-8-sig") as lines:
        try:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _json_object(path, number, line)
        except UnicodeDecodeError:
            raise _not_utf8(path) from None


def _json_object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        item = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}, line {number} is not a JSON object ({error.msg}): give one object a line"
        ) from None
    if not isinstance(item, dict):
        raise InputError(
            f"{path}, line {number} holds a {type(item).__name__}, not a JSON object: "
            "give one object a line"
        )
    return item


def _not_utf8(path: Path) -> InputError:
    return InputError(f"{path} is not UTF-8: save it as UTF-8")


def _pyarrow(module: str) -> Any:
    """One of pyarrow's modules, or the pip line that brings it."""
    try:
        return importlib.import_module(f"pyarrow.{module}")
    except ImportError:
        raise MissingExtraError("reading tables needs pyarrow: pip install 'lrpilot[hf]'") from None


def _guarded(path: Path, read: Callable[[], Any]) -> Any:
    """What one of pyarrow's readers returns; its complaint as one line."""
    arrow = _pyarrow("lib")
    try:
        return read()
    except arrow.ArrowException as error:
        reason = (str(error).splitlines() or ["unknown reason"])[0]
        if "utf8" in reason.lower():
            raise _not_utf8(path) from None
        raise InputError(f"{path} cannot be read ({reason[:200]}): check the file") from None
