"""What a reader is: a name, a look that says "this is mine", and the reading."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from lrpilot.diagnose.history import History
from lrpilot.diagnose.readers.bounded import MOST_ENTRIES, load_json, shown_bytes
from lrpilot.errors import InputError

_HEAD = 65_536  # bytes that are enough to know a format by


@dataclass(frozen=True)
class Place:
    """A file or a folder, looked at once.

    Attributes:
        path: Where it is.
        head: A file's first 64 KiB; empty for a folder.
        names: A folder's entries, sorted; empty for a file.
        size: A file's size in bytes.
    """

    path: Path
    head: bytes = b""
    names: tuple[str, ...] = ()
    size: int = 0
    _cache: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def at(cls, path: Path) -> Place:
        """Look.

        Raises:
            InputError: It does not exist, is neither file nor folder, or cannot be opened.
        """
        try:
            if path.is_dir():
                return cls(path, names=_entries(path))
            if not path.exists():
                raise InputError(f"{path} does not exist: give a run's folder, log or plan")
            if not path.is_file():
                raise InputError(f"{path} is neither a file nor a folder: give a log or a plan")
            with path.open("rb") as file:
                return cls(path, head=file.read(_HEAD), size=path.stat().st_size)
        except (OSError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"{path} cannot be opened ({reason}): give a readable one") from error

    @property
    def is_dir(self) -> bool:
        """Whether it is a folder."""
        return not self.head and not self.size and self.path.is_dir()

    @cached_property
    def text(self) -> str:
        """The head as text, without its byte order mark; "" where it is binary."""
        if b"\0" in self.head:
            return ""
        return self.head.decode("utf-8", errors="replace").removeprefix("\ufeff")

    def json(self) -> Any:
        """A small file's JSON, parsed once.

        Raises:
            InputError: Too large, or not JSON.
        """
        if "json" not in self._cache:
            self._cache["json"] = load_json(self.path)
        return self._cache["json"]

    def has_file(self, name: str) -> bool:
        """Whether the folder holds a file of that name."""
        return name in self.names and (self.path / name).is_file()


def _entries(path: Path) -> tuple[str, ...]:
    names: list[str] = []
    with os.scandir(path) as entries:
        for entry in entries:
            names.append(entry.name)
            if len(names) > MOST_ENTRIES:
                raise InputError(
                    f"{path} holds more than {MOST_ENTRIES:,} entries: give one run's folder"
                )
    return tuple(sorted(names))


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format that can be read.

    Attributes:
        name: As `History.format` says it.
        what: What a user would call it, for the message that lists what can be read.
        claims: Whether a place holds it; looks only, and is cheap.
        read: The runs or the plan that it holds; raises `InputError`.
        plan: Whether it tells of a run that has not begun.
        nearly: What a place of this kind lacks, to be said where nothing claims it; "" for a
            place of another kind.
    """

    name: str
    what: str
    claims: Callable[[Place], bool]
    read: Callable[[Place], list[History]]
    plan: bool = False
    nearly: Callable[[Place], str] = lambda _: ""


__all__ = ["Format", "Place", "shown_bytes"]
