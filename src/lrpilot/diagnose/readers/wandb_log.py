"""W&B's binary log, `run-ID.wandb`: LevelDB's log frames of protobuf records, read by ourselves.

Blocks of 32,768 bytes hold frames (checksum 4, length 2, type 1); a record may span several.
Checksums are not verified; a damaged frame ends the reading, and that is said.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lrpilot.diagnose.readers.bounded import check_size
from lrpilot.diagnose.readers.wire import Value, WireError, message, text

MAGIC = b":W&B"
_BLOCK, _HEADER = 32_768, struct.Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_LARGEST_RECORD = 32_000_000  # assumed: bytes; a row of history has about a thousand
_HISTORY, _CONFIG, _RUN, _EXIT = 2, 5, 17, 18  # fields of `Record`


class WandbLog:
    """Iterates over (step, row); afterwards `config`, `ended` and `broken` are complete.

    Attributes:
        config: The run's settings.
        ended: Whether the run said how it ended.
        exit_code: 0 where it ended well.
        broken: What ended the reading early; "" where nothing did.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config: dict[str, Any] = {}
        self.ended = False
        self.exit_code = 0
        self.broken = ""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        check_size(self.path)
        try:
            for record in self._records():
                for number, value in message(record):
                    if number == _HISTORY:
                        yield _row(value)
                    else:
                        self._other(number, value)
        except (WireError, RecursionError):
            self.broken = "a record is damaged"

    def _other(self, number: int, value: Value) -> None:
        if number == _CONFIG:
            self.config |= _updates(value)
        elif number == _RUN:
            for inner, part in message(_bytes(value)):
                if inner == 4:
                    self.config |= _updates(part)
        elif number == _EXIT:
            self.ended = True
            codes = [v for n, v in message(_bytes(value)) if n == 1 and isinstance(v, int)]
            self.exit_code = codes[-1] if codes else 0

    def _records(self) -> Iterator[bytes]:
        whole = b""
        with self.path.open("rb") as file:
            block, at = file.read(_BLOCK), 7
            while block:
                if _BLOCK - at < _HEADER.size:
                    block, at = file.read(_BLOCK), 0
                    continue
                if len(block) - at < _HEADER.size:
                    break
                _, length, kind = _HEADER.unpack_from(block, at)
                at += _HEADER.size
                if kind == 0 and length == 0:
                    block, at = file.read(_BLOCK), 0
                    continue
                if at + length > len(block) or kind not in (_FULL, _FIRST, _MIDDLE, _LAST):
                    self.broken = "a record is cut off or damaged"
                    return
                part = block[at : at + length]
                at += length
                whole = part if kind in (_FULL, _FIRST) else whole + part
                if kind in (_FULL, _LAST):
                    yield whole
                    whole = b""
                elif len(whole) > _LARGEST_RECORD:
                    self.broken = "a record is too large"
                    return


def _bytes(value: Value) -> bytes:
    if not isinstance(value, bytes):
        raise WireError("a number where a message belongs")
    return value


def _row(value: Value) -> dict[str, Any]:
    """One row of history: its items, and the step."""
    row: dict[str, Any] = {}
    for number, part in message(_bytes(value)):
        if number == 1:
            name, data = _plain_item(part) or _item(part)
            row[name] = data
        elif number == 2:
            row["_step"] = next((v for n, v in message(_bytes(part)) if n == 1), 0)
    return row


def _plain_item(item: Value) -> tuple[str, float] | None:
    """The commonest item, fast: one short key, then a short JSON number; None for any other."""
    if not isinstance(item, bytes) or len(item) < 6 or item[0] not in (0x0A, 0x12):
        return None
    end = 2 + item[1]
    if item[1] > 0x7F or item[end : end + 2] != b"\x82\x01" or len(item) <= end + 2:
        return None
    if item[end + 2] > 0x7F or end + 3 + item[end + 2] != len(item):
        return None
    try:
        return item[2:end].decode("utf-8", "replace"), float(item[end + 3 :])
    except ValueError:
        return None


def _updates(value: Value) -> dict[str, Any]:
    return dict(_item(part) for number, part in message(_bytes(value)) if number == 1)


def _item(value: Value) -> tuple[str, Any]:
    """A key, simple or nested, and its value, which stands there as JSON."""
    key, nested, raw = "", [], "null"
    for number, part in message(_bytes(value)):
        if number == 1:
            key = text(part)
        elif number == 2:
            nested.append(text(part))
        elif number == 16:
            raw = text(part)
    try:
        return key or "/".join(nested), json.loads(raw)
    except ValueError:
        return key or "/".join(nested), None
