"""YAML as plain values: no object is built, no tag is obeyed, and aliases cannot blow up.

PyYAML's safe loader builds merged mappings without a limit; here its parser gives the nodes, and
they are walked with a budget.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from lrpilot.diagnose.readers.bounded import read_text
from lrpilot.errors import InputError, MissingExtraError

_LARGEST = 400_000  # assumed: bytes; a training config has a few thousand
_MOST_NODES = 50_000  # after aliases are followed
_DEEPEST = 60


def load_yaml(path: Path) -> Any:
    """Mappings, lists, numbers, truth values, None and strings; of several documents the first.

    Raises:
        InputError: It is too large, too deep, or not YAML.
        MissingExtraError: PyYAML is not installed.
    """
    return parse_yaml(read_text(path, _LARGEST), path)


def parse_yaml(text: str, path: Path) -> Any:
    """As `load_yaml`, of a text that `path` held."""
    try:
        yaml = import_module("yaml")
    except ImportError:
        raise MissingExtraError(
            'reading YAML needs PyYAML: pip install "lrpilot[doctor]"'
        ) from None
    try:
        node = next(iter(yaml.compose_all(text, Loader=yaml.SafeLoader)), None)
        return _Walk(path).value(node, 0)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        what = getattr(error, "problem", None) or "not YAML"
        raise InputError(f"{path}{where}: {what}: give a whole YAML file") from error
    except RecursionError:
        raise InputError(f"{path} is nested too deeply: give a training config") from None


class _Walk:
    """Turns nodes into values, and counts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.left = _MOST_NODES

    def value(self, node: Any, depth: int) -> Any:
        self.left -= 1
        if self.left < 0 or depth > _DEEPEST:
            raise InputError(f"{self.path} is too large once unfolded: give a training config")
        if node is None:
            return None
        if isinstance(node.value, str):
            return self.scalar(node)
        if node.id == "sequence":
            return [self.value(inner, depth + 1) for inner in node.value]
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key, inner in node.value:
            name = key.value if isinstance(key.value, str) else ""
            value = self.value(inner, depth + 1)
            if key.tag.endswith(":merge"):
                for part in value if isinstance(value, list) else [value]:
                    merged = {**part, **merged} if isinstance(part, dict) else merged
            else:
                own[name] = value
        return {**merged, **own}

    def scalar(self, node: Any) -> Any:
        kind, text = node.tag.rsplit(":", 1)[-1], node.value
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() in ("true", "yes", "on", "y")
        if kind in ("int", "float"):
            return _number(text.replace("_", ""))
        return text


def _number(text: str) -> Any:
    for read in (int, float):
        try:
            return read(text)
        except (ValueError, OverflowError):
            continue
    words = {".inf": float("inf"), "+.inf": float("inf"), "-.inf": -float("inf")}
    return words.get(text.lower(), float("nan") if text.lower() == ".nan" else text)
