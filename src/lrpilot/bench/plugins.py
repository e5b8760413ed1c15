"""Tasks and policies of the user's own: from a file, or from an installed package."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from lrpilot.errors import InputError


def load(spec: str, *, group: str) -> list[Any] | None:
    """What `path/to/file.py:NAME` or an entry point of that name holds, as a list.

    Args:
        spec: As on the command line.
        group: Of entry points: "lrpilot.bench.tasks" or "lrpilot.bench.policies".

    Returns:
        None where `spec` is neither a file with a name nor an entry point.

    Raises:
        InputError: The file is missing, cannot be run, or does not hold the name.
    """
    path, colon, name = spec.rpartition(":")
    if colon:
        found = _from_file(Path(path), name)
    else:
        matching = entry_points(group=group, name=spec)
        if not matching:
            return None
        found = next(iter(matching)).load()
    return list(found) if isinstance(found, Iterable) else [found]


def _from_file(path: Path, name: str) -> Any:
    if not path.is_file():
        raise InputError(f"{path} is no file: give path/to/file.py:NAME")
    module_name = f"lrpilot_user_{path.resolve().as_posix().replace('/', '_').replace('.', '_')}"
    if module_name not in sys.modules:
        found = importlib.util.spec_from_file_location(module_name, path)
        if found is None or found.loader is None:
            raise InputError(f"{path} is no Python file: give path/to/file.py:NAME")
        module = importlib.util.module_from_spec(found)
        sys.modules[module_name] = module  # dataclasses of the file look themselves up there
        try:
            found.loader.exec_module(module)
        except Exception as error:
            del sys.modules[module_name]
            raise InputError(f"{path} cannot be run ({type(error).__name__}: {error})") from error
    if not hasattr(sys.modules[module_name], name):
        raise InputError(f"{path} holds no {name}: give path/to/file.py:NAME")
    return getattr(sys.modules[module_name], name)
