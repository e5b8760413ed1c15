"""Plain values out of a pickled `training_args.bin`, without running any of it.

A pickle is a program. Its opcodes are read one by one (`pickletools`), and only a key that is
wanted, followed by a plain number, truth value or string, is taken. Nothing is imported, called or
built, so a hostile file can do no more than be refused.
"""

from __future__ import annotations

import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lrpilot.errors import InputError

_LARGEST = 4_000_000  # assumed: bytes; real files hold a few thousand
_STRINGS = {"BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE"}
_NUMBERS = {"BININT", "BININT1", "BININT2", "BINFLOAT", "LONG1", "INT", "FLOAT", "LONG"}
_CONSTANTS = {"NEWTRUE": True, "NEWFALSE": False, "NONE": None}
_PUTS, _GETS = {"BINPUT", "LONG_BINPUT"}, {"BINGET", "LONG_BINGET"}
_REACH = 6  # a class is one or three tokens, and an enum's string follows at once


def read_pickled_values(path: Path, wanted: set[str]) -> dict[str, Any]:
    """The plain values of the wanted keys.

    Raises:
        InputError: The file cannot be read, is too large, or is no pickle.
    """
    raw = _bytes(path)
    try:
        tokens = list(_tokens(raw))
    except Exception as error:
        raise InputError(
            f"{path} is not a readable training_args.bin ({type(error).__name__}):"
            " give the file that Trainer saved"
        ) from error
    found: dict[str, Any] = {}
    for i, (kind, value) in enumerate(tokens):
        if kind != "string" or value not in wanted or value in found or i + 1 == len(tokens):
            continue
        plain = _plain_value(tokens[i + 1 : i + 1 + _REACH])
        if plain is not None:
            found[value] = plain
    return found


def _plain_value(after: list[tuple[str, Any]]) -> Any:
    """The number, truth value or string that follows a key; an enum's string follows its class."""
    kinds = [kind for kind, _ in after]
    if "class" in kinds[:1] or kinds[:3] == ["string", "string", "class"]:
        rest = after[kinds.index("class") + 1 :]
        return next((value for kind, value in rest if kind == "string"), None)
    return after[0][1] if kinds[0] in ("value", "string") else None


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > 64 * _LARGEST:
            raise InputError(f"{path} is too large for training arguments: give the right file")
        if not zipfile.is_zipfile(path):
            with path.open("rb") as file:
                return file.read(_LARGEST)
        with zipfile.ZipFile(path) as archive:
            name = next((n for n in archive.namelist() if n.endswith("data.pkl")), None)
            if name is None:
                raise InputError(f"{path} holds no data.pkl: give a training_args.bin")
            with archive.open(name) as member:
                return member.read(_LARGEST)
    except (OSError, zipfile.BadZipFile, RuntimeError) as error:
        raise InputError(
            f"{path} cannot be read ({error}): give a whole training_args.bin"
        ) from error


def _tokens(raw: bytes) -> Iterator[tuple[str, Any]]:
    """("string" | "value" | "class" | "other", value) for each opcode that pushes something."""
    memo: dict[int, tuple[str, Any]] = {}
    last: tuple[str, Any] = ("other", None)
    for opcode, argument, _ in pickletools.genops(raw):
        name = opcode.name
        if name in _PUTS:
            memo[int(argument or 0)] = last
            continue
        if name == "MEMOIZE":
            memo[len(memo)] = last
            continue
        if name in _STRINGS:
            last = ("string", argument)
        elif name in _NUMBERS:
            last = ("value", argument)
        elif name in _CONSTANTS:
            last = ("value", _CONSTANTS[name])
        elif name in _GETS:
            last = memo.get(int(argument or 0), ("other", None))
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            last = ("class", argument)
        else:
            last = ("other", None)
            if name in ("MARK", "TUPLE1", "TUPLE2", "TUPLE3", "PROTO", "FRAME"):
                continue
        yield last
