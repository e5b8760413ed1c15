"""The user's own data: a table of texts and labels, or plain text, read from a file.

Plain text is one `.txt` file or a folder of them. Bad input is one `InputError` that says where.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrpilot.errors import InputError
from lrpilot.tune.splits import Parts, check_size, split_indices, validation_size
from lrpilot.tune.tables import (
    TABLE_SUFFIXES,
    Row,
    check_exists,
    read_rows,
    read_text,
    table_columns,
)

# assumed: the names that public classification data sets use most.
TEXT_NAMES = ("text", "sentence", "review", "content", "document", "comment", "tweet", "message")
LABEL_NAMES = ("label", "labels", "class", "category", "target", "sentiment", "y")
# assumed: fractional labels with more distinct values than this are a scale, not classes.
MAX_FRACTIONAL_LABELS = 10
# assumed: text shorter than this cannot fill a few blocks of training and validation.
MIN_CORPUS_CHARS = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Texts with their classes.

    Attributes:
        texts: One text an example.
        labels: Class of each, int64, shape (examples,).
        label_names: Name of each class, in the order of their numbers.
    """

    texts: list[str]
    labels: NDArray[np.int64]
    label_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, indices: Iterable[int]) -> Table:
        """The examples at `indices`, in that order, with the same classes."""
        rows = [int(i) for i in indices]
        return Table([self.texts[i] for i in rows], self.labels[rows], self.label_names)


@dataclass(frozen=True, slots=True)
class Corpus:
    """Running text to learn to continue."""

    text: str

    def __len__(self) -> int:
        return len(self.text)


def load_table(
    path: Path | str,
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    label_names: Sequence[str] | None = None,
) -> Table:
    """Read texts and labels from one table.

    Args:
        path: CSV, TSV, JSON Lines or Parquet, by its suffix.
        text_column: Column of the texts; guessed where exactly one choice is sensible.
        label_column: Column of the labels; guessed likewise.
        label_names: Classes already known (from the training file); None to find them here.

    Raises:
        InputError: The file or a column is missing, or what they hold cannot be used.
    """
    path = Path(path)
    columns = table_columns(path)
    text, label = choose_columns(columns, text=text_column, label=label_column, where=path.name)
    rows = read_rows(path, (text, label))
    if not rows:
        raise InputError(f"{path} holds no examples, only a header or nothing: give a filled file")
    texts = _texts(rows, path, text)
    numbers, names = encode_labels([row[1] for row in rows], label_names, path=path, column=label)
    return Table(texts, numbers, names)


def load_corpus(path: Path | str, *, text_column: str | None = None) -> Corpus:
    """Read running text: a `.txt` file, a folder of them (in name order), or a table's column.

    Raises:
        InputError: Nothing there, not UTF-8, or less than 10,000 characters.
    """
    path = Path(path)
    check_exists(path)
    if path.is_dir():
        files = sorted(p for p in path.rglob("*.txt") if p.is_file())
        if not files:
            raise InputError(f"{path} holds no .txt file: give plain text files")
        text = "\n".join(read_text(file) for file in files)
    elif path.suffix.lower() in TABLE_SUFFIXES:
        column = _text_column(table_columns(path), text_column, path.name)
        text = "\n".join(_texts(read_rows(path, (column,)), path, column))
    else:
        text = read_text(path)
    if len(text) < MIN_CORPUS_CHARS:
        raise InputError(
            f"{path} holds {len(text)} characters: give at least {MIN_CORPUS_CHARS} to train on"
        )
    return Corpus(text)


def split_table(
    table: Table, *, seed: int, what: str, validation: int | None = None, test: int = 0
) -> Parts[Table]:
    """Hold out validation (and test) examples: stratified, seeded, equal texts on one side.

    Args:
        table: All the examples.
        seed: Seed of the draw.
        what: The data in words, for messages.
        validation: Number of validation examples; a fifth, at most 2,000, when left out.
        test: Number of test examples.

    Raises:
        InputError: Too few examples, in all or of a class.
    """
    check_size(table.labels, table.label_names, what=what)
    held = validation_size(len(table)) if validation is None else validation
    keys = [" ".join(text.split()).casefold() for text in table.texts]
    parts = split_indices(table.labels, sizes=(held, test), seed=seed, groups=keys)
    if min(len(parts[0]), len(parts[2])) == 0:
        raise InputError(f"{what}: too many equal texts to hold any out: give a validation file")
    return Parts(
        train=table.take(parts[2]),
        validation=table.take(parts[0]),
        test=table.take(parts[1]) if test else None,
    )


def split_corpus(corpus: Corpus, *, validation_frac: float = 0.1) -> Parts[Corpus]:
    """Hold out the end of the text, cut between lines (or words), so that no block is on both.

    Args:
        corpus: The whole text.
        validation_frac: Share of the characters to hold out.
    """
    text = corpus.text
    near = round((1 - validation_frac) * len(text))
    start = max(0, near - 1000)
    cut = max(text.rfind("\n", start, near), 0) or max(text.rfind(" ", start, near), 0) or near
    return Parts(train=Corpus(text[:cut]), validation=Corpus(text[cut:].lstrip()))


def choose_columns(
    columns: Sequence[str], *, text: str | None, label: str | None, where: str
) -> tuple[str, str]:
    """The text and the label column: the given ones, or the only sensible guess.

    Raises:
        InputError: A given column does not exist, or there is not exactly one sensible guess.
    """
    for given in (text, label):
        if given is not None and given not in columns:
            raise InputError(f"{where} has no column {given!r}: it has {', '.join(columns)}")
    if text is not None and text == label:
        raise InputError(f"column {text!r} cannot be both text and label: give two columns")
    found = {
        "text": text or _likely(columns, TEXT_NAMES, other=label),
        "label": label or _likely(columns, LABEL_NAMES, other=text),
    }
    if len(columns) == 2 and sum(c is not None for c in found.values()) == 1:
        (rest,) = set(columns).difference(found.values())
        found = {role: column or rest for role, column in found.items()}
    doubtful = [role for role, column in found.items() if column is None]
    if doubtful:
        raise _doubtful(doubtful, columns, where)
    return found["text"] or "", found["label"] or ""


def encode_labels(
    values: Sequence[Any], label_names: Sequence[str] | None, *, path: Path, column: str
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Number the classes: numeric names in numeric order, others alphabetically.

    Raises:
        InputError: An empty label, fractional labels with many values, or an unknown class.
    """
    empty = [i for i, v in enumerate(values) if v is None or not str(v).strip()]
    if empty:
        raise InputError(
            f"{path}: {len(empty)} of {len(values)} labels in column {column!r} are empty "
            f"(first: example {empty[0] + 1}): fill them or leave those examples out"
        )
    named = [_label_name(v) for v in values]
    distinct = set(named)
    fractional = sum(1 for name in distinct if (n := _number(name)) is not None and n % 1)
    if fractional and len(distinct) > MAX_FRACTIONAL_LABELS:
        raise InputError(
            f"{path}: column {column!r} holds {len(distinct)} different numbers with fractions, "
            "which looks like regression: only classes are supported, so give a class column"
        )
    names = tuple(label_names) if label_names is not None else tuple(sorted(distinct, key=_order))
    unknown = sorted(distinct.difference(names), key=_order)
    if unknown:
        raise InputError(
            f"{path}: class {unknown[0]!r} does not occur in the training data: "
            f"it has {', '.join(map(repr, names[:8]))}"
        )
    numbers = {name: i for i, name in enumerate(names)}
    return np.array([numbers[name] for name in named], dtype=np.int64), names


def _likely(columns: Sequence[str], usual: Sequence[str], *, other: str | None) -> str | None:
    """The one column with a usual name, beside the `other` that is taken; None if not one."""
    likely = [c for c in columns if c != other and c.strip().lower() in usual]
    return likely[0] if len(likely) == 1 else None


def _doubtful(roles: Sequence[str], columns: Sequence[str], where: str) -> InputError:
    flags = " and ".join(f"--{role}-column" for role in roles)
    count = "one" if len(roles) == 1 else "two"
    return InputError(
        f"{where}: no single sensible guess for {flags}: give {count} of {', '.join(columns)}"
    )


def _text_column(columns: Sequence[str], given: str | None, where: str) -> str:
    """The text column of a table that needs no label."""
    if given is not None and given not in columns:
        raise InputError(f"{where} has no column {given!r}: it has {', '.join(columns)}")
    only = columns[0] if len(columns) == 1 else None
    column = given or only or _likely(columns, TEXT_NAMES, other=None)
    if column is None:
        raise _doubtful(["text"], columns, where)
    return column


def _texts(rows: Sequence[Row], path: Path, column: str) -> list[str]:
    """The first item of each row as text, none of them empty."""
    empty = [i for i, row in enumerate(rows) if row[0] is None or not str(row[0]).strip()]
    if empty:
        raise InputError(
            f"{path}: {len(empty)} of {len(rows)} texts in column {column!r} are empty "
            f"(first: example {empty[0] + 1}): fill them or leave those examples out"
        )
    return [str(row[0]) for row in rows]


def _label_name(value: Any) -> str:
    """A class as text: 1.0 and "1.0" are the class "1"; text is stripped."""
    text = str(value).strip()
    number = _number(text)
    return str(int(number)) if number is not None and number % 1 == 0 else text


def _number(text: str) -> float | None:
    """The finite number that a text spells, or None."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if np.isfinite(number) else None


def _order(name: str) -> tuple[bool, float, str]:
    """Numbers by size, before words by letter."""
    number = _number(name)
    return (number is None, number or 0.0, name)
