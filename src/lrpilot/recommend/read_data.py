"""A data set's size, read from its file."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrpilot.errors import InputError, MissingExtraError

_LABELS = ("label", "labels", "target", "class", "sentiment", "category", "y")
_MOST_LABELS = 1000  # assumed: more distinct values than this are not classes


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFacts:
    """What a data file shows.

    Attributes:
        examples: Number of rows.
        labels: Number of distinct labels, where a column is named like one; None otherwise.
    """

    examples: int
    labels: int | None = None


def facts_from_data(path: str | Path) -> DataFacts:
    """The size and the number of labels of a CSV, TSV, JSON Lines or Parquet file.

    Raises:
        InputError: The file is absent, empty, damaged or of another kind.
        MissingExtraError: A Parquet file without pyarrow.
    """
    file = Path(path)
    readers = {".csv": _csv, ".tsv": _csv, ".jsonl": _json_lines, ".ndjson": _json_lines}
    if file.suffix.lower() == ".parquet":
        return _parquet(file)
    reader = readers.get(file.suffix.lower())
    if reader is None:
        raise InputError(
            f"{file} is {file.suffix or 'without an ending'}:"
            " give a .csv, .tsv, .jsonl or .parquet file"
        )
    try:
        found = _count(reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{file} cannot be read ({error}): give a whole data file") from error
    if not found.examples:
        raise InputError(f"{file} holds no examples: give a data file with rows")
    return found


def _count(rows: Iterable[dict[str, Any]]) -> DataFacts:
    examples, column = 0, ""
    labels: set[str] = set()
    for row in rows:
        if not examples:
            column = _label_column(row)
        examples += 1
        if column and len(labels) <= _MOST_LABELS:
            labels.add(str(row.get(column)))
    known = column and 1 < len(labels) <= _MOST_LABELS and len(labels) < examples
    return DataFacts(examples=examples, labels=len(labels) if known else None)


def _label_column(names: Iterable[str]) -> str:
    return next((name for name in names if str(name).strip().lower() in _LABELS), "")


def _csv(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        yield from csv.DictReader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InputError(
                    f"{path}, line {number} is not JSON: give one JSON object a line"
                ) from error
            if not isinstance(row, dict):
                raise InputError(f"{path}, line {number} is no object: give one JSON object a line")
            yield row


def _parquet(path: Path) -> DataFacts:
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MissingExtraError(
            f'reading {path.name} needs pyarrow: pip install "lrpilot[hf]"'
        ) from error
    try:
        with parquet.ParquetFile(path) as file:
            examples = int(file.metadata.num_rows)
            column = _label_column(file.schema_arrow.names)
            values = file.read(columns=[column]).column(0).unique() if column else []
    except (OSError, arrow.ArrowException) as error:
        raise InputError(f"{path} is not a readable Parquet file: give a whole one") from error
    if not examples:
        raise InputError(f"{path} holds no examples: give a data file with rows")
    known = 1 < len(values) <= _MOST_LABELS and len(values) < examples
    return DataFacts(examples=examples, labels=len(values) if known else None)
