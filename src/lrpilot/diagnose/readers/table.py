"""CSV and TSV: plain logs, Keras' CSVLogger, exports of W&B and TensorBoard."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lrpilot.diagnose.history import History
from lrpilot.diagnose.readers.assemble import assemble
from lrpilot.diagnose.readers.bounded import lines, number
from lrpilot.diagnose.readers.format import Format, Place
from lrpilot.diagnose.readers.names import kind_of, plain, score_of
from lrpilot.diagnose.readers.rows import SIDES, Column, Rows, is_epoch, is_step
from lrpilot.errors import InputError

_DELIMITERS = ",\t;|"
_MOST_COLUMNS = 20_000
_MOST_RUNS = 200  # of one export
_EXPORTED = re.compile(r"^(.{1,200}?) - (.{1,200}?)(__MIN|__MAX)?$")
_COLUMN = re.compile(r"^[\w /.%@:-]{0,80}$")
_TENSORBOARD = ("wall_time", "step", "value")
_SIDE_NAMES = ("split", "phase", "mode", "stage", "subset", "side", "set")
_LONG = (("metric", "key", "tag", "name", "variable"), ("value",))


def header_of(line: str) -> tuple[list[str], str] | None:
    """The column names and the delimiter; None where it is no header."""
    line = line.strip("\r\n").lstrip("# ")
    delimiter = max(_DELIMITERS, key=line.count)
    if delimiter not in line:
        return None
    try:
        names = [name.strip() for name in next(csv.reader([line], delimiter=delimiter))]
    except (csv.Error, StopIteration):
        return None
    if not 2 <= len(names) <= _MOST_COLUMNS or any(number(n) is not None for n in names):
        return None
    return names, delimiter


def _claims(place: Place) -> bool:
    found = None if place.is_dir else header_of(first_line(place.text))
    return found is not None and is_log(found[0])


def _nearly(place: Place) -> str:
    found = None if place.is_dir else header_of(first_line(place.text))
    if found is None or not all(_COLUMN.match(name) for name in found[0]):
        return ""
    names = ", ".join(name[:30] for name in found[0][:8])
    return (
        f"has the columns {names}: none is called step or epoch, or none is a known metric"
        " (loss, train_loss, val_loss, lr, val_accuracy, ...)"
    )


def first_line(text: str) -> str:
    """The first line that is not blank."""
    return next((line for line in text.split("\n")[:20] if line.strip()), "")


def is_log(names: Sequence[str]) -> bool:
    """Whether columns of these names are a training log's."""
    words = [plain(n) for n in names]
    if words == list(_TENSORBOARD):
        return True
    counts = any(is_step(n) or is_epoch(n) for n in names)
    if not counts:
        return False
    exported = [m.group(2) for n in names if (m := _EXPORTED.match(n))]
    measured = [k[0] for n in [*names, *exported] if (k := kind_of(n)) is not None]
    sided = any(w in _SIDE_NAMES for w in words) and any(score_of(f"val_{w}") for w in words)
    long = all(any(w in group for w in words) for group in _LONG)
    return any(kind in ("train_loss", "eval_loss", "score") for kind in measured) or sided or long


@dataclass
class _Run:
    """The columns of one run: what each is called and where it stands."""

    name: str
    columns: dict[int, str]
    rows: Rows = field(default_factory=Rows)


def _read(place: Place) -> list[History]:
    numbered = enumerate(lines(place.path))
    found = header_of(next((line for _, line in numbered if line.strip()), ""))
    if found is None:
        raise InputError(f"{place.path} has no header line: give a whole CSV file")
    names, delimiter = found
    body = (line for _, line in numbered)
    if [plain(n) for n in names] == list(_TENSORBOARD):
        names = [names[0], names[1], _tag_of(place.path)]
    runs = _runs(names)
    short = _fill(runs, csv.reader(body, delimiter=delimiter), _namer(names), len(names))
    histories = []
    for run in runs:
        if not len(run.rows) or not any(kind_of(n) for n in run.rows.names):
            continue
        where = f"{place.path} ({run.name})" if run.name else str(place.path)
        histories.append(_history(where, run.rows, names, short))
    if not histories:
        raise InputError(f"{place.path} holds no number below its header: give a log with rows")
    return histories


def fill_rows(path: Path, rows: Rows) -> int:
    """Take every row of a table whose columns are one run's.

    Returns:
        How many rows had another length than the header.

    Raises:
        InputError: No header, or a damaged table.
    """
    body = lines(path)
    found = header_of(next((line for line in body if line.strip()), ""))
    if found is None:
        raise InputError(f"{path} has no header line: give a whole CSV file")
    names, delimiter = found
    run = _Run("", dict(enumerate(names)), rows)
    return _fill([run], csv.reader(body, delimiter=delimiter), None, len(names))


def _history(where: str, rows: Rows, header: Sequence[str], short: int) -> History:
    collected, said = rows.collect()
    if short:
        said = (*said, f"{short:,} rows of another length than the header's were left out.")
    written_by = "keras" if _is_keras(header) else "csv"
    return assemble(where, written_by, collected, unread=said)


def _is_keras(header: Sequence[str]) -> bool:
    """CSVLogger writes the epoch, then its metrics in alphabetical order."""
    rest = list(header[1:])
    return header[0] == "epoch" and "loss" in rest and rest == sorted(rest) and "step" not in rest


def _runs(names: Sequence[str]) -> list[_Run]:
    """One run, or those of an export whose columns are called "run - metric"."""
    exported = [_EXPORTED.match(name) for name in names]
    own = {i: n for i, n in enumerate(names) if exported[i] is None}
    groups: dict[str, dict[int, str]] = {}
    for i, match in enumerate(exported):
        if match is not None and match.group(3) is None:
            groups.setdefault(match.group(1), {})[i] = match.group(2)
    if not groups:
        return [_Run("", own)]
    if len(groups) > _MOST_RUNS:
        raise InputError(f"{len(groups)} runs in one export: give at most {_MOST_RUNS}")
    return [_Run(name, {**own, **columns}) for name, columns in groups.items()]


def _namer(names: Sequence[str]) -> Callable[[list[str]], tuple[str, str]] | None:
    """For logs that say in a cell which side or which metric a row is of: (prefix, metric)."""
    words = [plain(n) for n in names]
    side = next((words.index(w) for w in _SIDE_NAMES if w in words), None)
    metric = next((words.index(w) for w in _LONG[0] if w in words), None)
    if "value" not in words:
        metric = None
    if side is None and metric is None:
        return None

    def name(row: list[str]) -> tuple[str, str]:
        said = SIDES.get(row[side].strip().lower(), "") if side is not None else ""
        return f"{said}_" if said else "", row[metric].strip() if metric is not None else ""

    return name


def _fill(
    runs: list[_Run], rows: Iterator[list[str]],
    name: Callable[[list[str]], tuple[str, str]] | None, width: int,
) -> int:  # fmt: skip
    """Take every row; returns how many had another width (a killed run's last one)."""
    short = 0
    fixed = [_columns(run) for run in runs] if name is None else []
    try:
        for row in rows:
            if len(row) != width:
                short += bool(row)
                continue
            if name is None:
                for run, columns in zip(runs, fixed, strict=True):
                    _take(run.rows, row, columns)
                continue
            prefix, metric = name(row)
            for run in runs:
                run.rows.next_row()
                for i, column in run.columns.items():
                    value = number(row[i])
                    if value is not None:
                        run.rows.cell(_cell_name(column, prefix, metric), value)
    except csv.Error as error:
        raise InputError(f"the table is damaged ({error}): give a whole CSV file") from error
    return short


def _columns(run: _Run) -> list[tuple[int, Column]]:
    found = [(i, run.rows.column(name)) for i, name in run.columns.items()]
    return [(i, column) for i, column in found if column is not None]


def _take(rows: Rows, row: list[str], columns: list[tuple[int, Column]]) -> None:
    """Every number of a row."""
    rows.next_row()
    at, taken = len(rows) - 1, 0
    for i, (indices, values) in columns:
        text = row[i]
        if not text:
            continue
        try:
            values.append(float(text))
        except ValueError:
            continue
        indices.append(at)
        taken += 1
    rows.taken(taken)


def _cell_name(column: str, prefix: str, metric: str) -> str:
    if not prefix and not metric:
        return column
    if is_step(column) or is_epoch(column) or plain(column) in ("lr", "learning_rate"):
        return column
    return prefix + (metric if metric and plain(column) == "value" else column)


def _tag_of(path: Path) -> str:
    """TensorBoard names its exports "run-NAME-tag-TAG.csv"; the table itself has no name."""
    return path.stem.rsplit("-tag-", 1)[-1]


FORMAT = Format(
    name="csv",
    what="a CSV or TSV with a column step or epoch and one called loss, val_loss, lr or the like",
    claims=_claims,
    read=_read,
    nearly=_nearly,
)
