"""Protocol buffers' wire format, as far as event files and W&B logs need it: no library."""

from __future__ import annotations

from collections.abc import Iterator

Value = int | bytes


class WireError(ValueError):
    """The bytes are no message."""


def varint(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned integer of up to 64 bits, and where it ends.

    Raises:
        WireError: It does not end.
    """
    value = shift = 0
    for position in range(at, min(at + 10, len(data))):
        byte = data[position]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position + 1
        shift += 7
    raise WireError("a number that does not end")


def message(data: bytes) -> Iterator[tuple[int, Value]]:
    """(field number, value) in order; fixed-width fields come as their bytes.

    Raises:
        WireError: A length or a type that cannot be.
    """
    at, end = 0, len(data)
    while at < end:
        key = data[at]
        at += 1
        if key > 0x7F:
            key, at = varint(data, at - 1)
        kind = key & 7
        if kind == 0:
            value, at = varint(data, at)
            yield key >> 3, value
            continue
        if kind == 2:
            if at >= end:
                raise WireError("a length is missing")
            length = data[at]
            at += 1
            if length > 0x7F:
                length, at = varint(data, at - 1)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise WireError(f"a field of type {kind}")
        if at + length > end:
            raise WireError("a field longer than its message")
        yield key >> 3, data[at : at + length]
        at += length


def signed(value: int) -> int:
    """A 64-bit number with its sign."""
    return value - (1 << 64) if value >= 1 << 63 else value


def text(value: Value) -> str:
    """A string field."""
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else ""
