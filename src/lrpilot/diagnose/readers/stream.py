"""A JSON document with one long array, read a piece at a time.

`trainer_state.json` is an object whose `log_history` may have millions of small entries. Parsed
whole it would take a kilobyte of memory an entry; here about a megabyte is in hand at any time.
A document that breaks off gives the entries before the break.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

from lrpilot.diagnose.readers.bounded import LARGEST_JSON, check_size
from lrpilot.errors import InputError

_PIECE = 1_000_000  # characters
_LONGEST_ENTRY = 4_000_000  # characters
_GAP = re.compile(r"[\s,]*")


class ArrayStream:
    """The entries of an array, and afterwards the document around it.

    Args:
        path: The file.
        key: The array's key in the outermost object; None where the document is the array.

    Attributes:
        rest: The document with an empty array, once the entries are exhausted.
        truncated: Whether the document broke off.
    """

    def __init__(self, path: Path, key: str | None) -> None:
        self.path = path
        self.rest: dict[str, Any] = {}
        self.truncated = False
        self._start = re.compile(r"\s*\[" if key is None else rf'"{re.escape(key)}"\s*:\s*\[')

    def __iter__(self) -> Iterator[Any]:
        check_size(self.path)
        with self.path.open("rb") as file:
            decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")

            def more() -> str:
                raw = file.read(_PIECE)
                return decoder.decode(raw, final=not raw)

            before, text = self._to_start(more)
            after = yield from self._entries(text, more)
            while after is not None and (piece := more()):
                after += piece
                if len(after) > LARGEST_JSON:
                    raise InputError(f"{self.path} goes on too long after its entries: shorten it")
        rest = None if after is None else _document(f"{before}]{after}")
        self.truncated = rest is None
        self.rest = (_document(before + "]}") or {}) if rest is None else rest

    def _to_start(self, more: Callable[[], str]) -> tuple[str, str]:
        text = ""
        while piece := more():
            text += piece
            found = self._start.search(text)
            if found:
                return text[: found.end()], text[found.end() :]
            if len(text) > LARGEST_JSON:
                break
        raise InputError(f"{self.path} holds no list of entries: give a whole file")

    def _entries(self, text: str, more: Callable[[], str]) -> Generator[Any, None, str | None]:
        """Yields entries; returns what follows the array, or None where the file broke off."""
        scan, at, slow_until = json.JSONDecoder().raw_decode, 0, 0
        while True:
            at = _between(text, at)
            if text.startswith("]", at):
                return text[at + 1 :]
            if at >= slow_until:
                whole, end = _whole_entries(text, at)
                if whole:
                    yield from whole
                    at = end
                    continue
                slow_until = end
            try:  # the last entry, or one that a piece cut in two
                entry, at = scan(text, at)
            except RecursionError:
                raise InputError(f"{self.path} is nested too deeply: give a log") from None
            except ValueError:
                piece = more()
                if not piece:
                    return None
                if len(text) - at > _LONGEST_ENTRY:
                    start = " ".join(text[at : at + 40].split())
                    raise InputError(
                        f"{self.path} has a damaged entry ({start!r}): give a whole file"
                    ) from None
                text, at, slow_until = text[at:] + piece, 0, 0
                continue
            yield entry


def _between(text: str, at: int) -> int:
    """Past blanks and commas."""
    found = _GAP.match(text, at)
    return found.end() if found else at


def _whole_entries(text: str, at: int) -> tuple[list[Any], int]:
    """As many flat entries as end in this text, parsed at once, and where they end."""
    array_end = text.find("]", at)
    cut = text.rfind("},", at, array_end if array_end >= 0 else len(text))
    if cut < 0:
        return [], at
    try:
        return json.loads(f"[{text[at : cut + 1]}]"), cut + 1
    except (ValueError, RecursionError):
        return [], cut + 1


def _document(text: str) -> dict[str, Any] | None:
    """The object that a text holds; {} for an array, None for a text that is no JSON."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else {}
