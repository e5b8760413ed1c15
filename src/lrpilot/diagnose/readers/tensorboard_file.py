"""One TensorBoard event file: TFRecord frames of `Event` messages, read without TensorFlow.

A frame is a length (8 bytes), its checksum (4), the message and its checksum (4). Checksums are
not verified: a frame that is damaged ends the reading at the last whole one, and that is said.
Frames larger than 1 MB hold images or graphs and are skipped unread.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from pathlib import Path

from lrpilot.diagnose.readers.bounded import check_size
from lrpilot.diagnose.readers.collect import Collector
from lrpilot.diagnose.readers.wire import WireError, message, signed, text, varint

_LARGEST_FRAME = 1_000_000  # assumed: a scalar's has about 50 bytes, training arguments 10,000
_FRAME = struct.Struct("<QI")
_FLOAT, _DOUBLE = struct.Struct("<f"), struct.Struct("<d")
_MOST_TEXTS = 50


def is_event_file(head: bytes) -> bool:
    """Whether it starts as every event file does: a first event that names the version."""
    return len(head) >= 12 and b"brain.Event:" in head[12:80]


@dataclass
class EventFile:
    """What was found besides the scalars.

    Attributes:
        texts: Text summaries by tag (HF writes its arguments as one).
        broken: What ended the reading early; "" where nothing did.
    """

    texts: dict[str, str] = field(default_factory=dict)
    broken: str = ""


def read_event_file(path: Path, collected: Collector, prefix: str = "") -> EventFile:
    """Add every scalar of the file to `collected`.

    Raises:
        InputError: The file is beyond its limit.
    """
    check_size(path)
    found = EventFile()
    left = path.stat().st_size
    names: dict[bytes, str] = {}
    with path.open("rb") as file:
        while left > 0:
            header = file.read(12)
            left -= 12
            if len(header) < 12:
                found.broken = "its last event is cut off"
                break
            (length, _) = _FRAME.unpack(header)
            left -= length + 4
            if left < 0:
                found.broken = "an event is cut off, or its length is damaged"
                break
            if length > _LARGEST_FRAME:
                file.seek(length + 4, 1)
                continue
            frame = file.read(length + 4)
            try:
                scalar = _plain_scalar(frame, length)
                if scalar is not None:
                    step, tag, value = scalar
                    name = names.get(tag)
                    if name is None:
                        name = names[tag] = prefix + text(tag)
                    collected.add(name, step, value)
                else:
                    _event(frame[:length], collected, prefix, found)
            except (WireError, struct.error, IndexError):
                found.broken = "an event is damaged"
                break
    return found


def _plain_scalar(frame: bytes, length: int) -> tuple[int, bytes, float] | None:
    """The commonest event, fast: a time, a step, one tag of under 100 bytes, one simple value."""
    if length < 22 or frame[0] != 0x09:
        return None
    at, step = 9, 0
    if frame[9] == 0x10:
        step, at = varint(frame, 10)
    if at + 6 > length or frame[at] != 0x2A or frame[at + 2] != 0x0A or frame[at + 4] != 0x0A:
        return None
    inner, name_length = frame[at + 3], frame[at + 5]
    end = at + 6 + name_length
    if inner != name_length + 7 or frame[at + 1] != inner + 2 or end + 5 != length:
        return None
    if inner > 127 or frame[end] != 0x15:
        return None
    return step, frame[at + 6 : end], _FLOAT.unpack_from(frame, end + 1)[0]


def _event(data: bytes, collected: Collector, prefix: str, found: EventFile) -> None:
    step = 0
    summary = b""
    for number, value in message(data):
        if number == 2 and isinstance(value, int):
            step = signed(value)
        elif number == 5 and isinstance(value, bytes):
            summary = value
    for number, value in message(summary):
        if number == 1 and isinstance(value, bytes):
            _value(value, step, collected, prefix, found)


def _value(data: bytes, step: int, collected: Collector, prefix: str, found: EventFile) -> None:
    tag, number_found = "", None
    for number, value in message(data):
        if number == 1:
            tag = text(value)
        elif number == 2 and isinstance(value, bytes) and len(value) == 4:
            number_found = _FLOAT.unpack(value)[0]
        elif number == 8 and isinstance(value, bytes):
            scalar = _tensor(value)
            if isinstance(scalar, str) and len(found.texts) < _MOST_TEXTS:
                found.texts[tag] = scalar
            elif isinstance(scalar, float):
                number_found = scalar
    if number_found is not None and tag:
        collected.add(prefix + tag, step, number_found)


def _tensor(data: bytes) -> float | str | None:
    """A tensor of one number or one text; None for all else."""
    kind, content, size = 0, b"", 1
    for number, value in message(data):
        if number == 1 and isinstance(value, int):
            kind = value
        elif number == 2 and isinstance(value, bytes):
            size = _tensor_size(value)
        elif number in (4, 5, 6, 8) and isinstance(value, bytes):
            content = value
    if size != 1:
        return None
    if kind == 7:
        return text(content)
    if kind == 1 and len(content) == 4:
        return float(_FLOAT.unpack(content)[0])
    if kind == 2 and len(content) == 8:
        return float(_DOUBLE.unpack(content)[0])
    return None


def _tensor_size(shape: bytes) -> int:
    sizes = [
        size
        for number, dim in message(shape)
        if number == 2 and isinstance(dim, bytes)
        for inner, size in message(dim)
        if inner == 1 and isinstance(size, int)
    ]
    return math.prod(sizes)
