"""A Python script or notebook, by its syntax tree: what it would train with. It is never run."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lrpilot.diagnose.history import History
from lrpilot.diagnose.readers.bounded import parse_json, read_text
from lrpilot.diagnose.readers.format import Format, Place
from lrpilot.diagnose.readers.script_calls import MOST_PLANS, Call, Script, call_of
from lrpilot.diagnose.readers.script_hf import hf_plans
from lrpilot.diagnose.readers.script_keras import keras_plans
from lrpilot.diagnose.readers.script_torch import torch_plans
from lrpilot.diagnose.readers.script_values import Names
from lrpilot.errors import InputError

_LARGEST = 1_000_000  # assumed: bytes
_LARGEST_NOTEBOOK = 30_000_000  # assumed: bytes, with its pictures
_MAGIC = re.compile(r"^([ \t]*)[%!?].*$|^.*\?[ \t]*$", re.MULTILINE)
_TRAINS = re.compile(
    r"\b(?:\w*TrainingArguments|(?:SFT|DPO|ORPO|KTO|CPO|GRPO|Reward|RLOO|OnlineDPO)Config"
    r"|torch\.optim|optim\.\w+|configure_optimizers|get_scheduler)\s*\(?"
    r"|from\s+torch\.optim\b|import\s+torch\.optim"
)
_KERAS = re.compile(r"\bkeras\b[\s\S]*\.compile\s*\(")
_MORE = f"Only the first {MOST_PLANS} plans of this script are read."
_PARSED = re.compile(r"\b(?:HfArgumentParser|TrlParser)\b")


def _claims(place: Place) -> bool:
    if place.path.suffix.lower() not in (".py", ".ipynb") or place.is_dir:
        return False
    try:
        text = _code(place)
    except (InputError, OSError):
        return False
    return _TRAINS.search(text) is not None or _KERAS.search(text) is not None


def _code(place: Place) -> str:
    """The Python of a script, or of a notebook's cells without their magics."""
    if place.path.suffix.lower() != ".ipynb":
        return read_text(place.path, _LARGEST)
    data = parse_json(read_text(place.path, _LARGEST_NOTEBOOK), place.path)
    cells = data.get("cells") if isinstance(data, dict) else None
    code = [c for c in cells or () if isinstance(c, dict) and c.get("cell_type") == "code"]
    text = "\n".join(_cell(cell.get("source")) for cell in code)
    if len(text) > _LARGEST:
        raise InputError(f"{place.path} has too much code for a notebook: give a script")
    return text


def _cell(source: Any) -> str:
    """A cell's lines; one with a magic of its own (%%bash) is no Python."""
    text = "".join(map(str, source)) if isinstance(source, list) else str(source or "")
    if text.lstrip().startswith("%%"):
        return ""
    return _MAGIC.sub(r"\1pass", text)


def _read(place: Place) -> list[History]:
    text = _code(place)
    script = parse(text, place.path)
    for plans in (hf_plans, keras_plans, torch_plans):
        found = plans(script)
        if not found:
            continue
        several = len(found) > 1
        more = (_MORE,) if len(found) == MOST_PLANS else ()
        return [
            History(
                where=f"{place.path}:{line}" if several else str(place.path),
                format="script",
                plan=plan,
                unread=(*said, *more),
            )
            for line, plan, said in found
        ]
    if _PARSED.search(text):
        raise InputError(
            f"{place.path} takes its training arguments from the command line: give them as"
            " JSON or YAML, or the run's output folder"
        )
    raise InputError(
        f"{place.path} makes no TrainingArguments, optimizer or model.compile():"
        " give the script that trains"
    )


def parse(text: str, path: Path) -> Script:
    """The calls and the names of a script.

    Raises:
        InputError: It is no Python, or nested too deeply.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the script's own odd escapes
            tree = ast.parse(text)
        names = Names(tree)
        return Script(tree, names, tuple(_calls(tree, names)))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        at = f", line {line}" if line else ""
        reason = getattr(error, "msg", None) or error
        raise InputError(f"{path}{at}: not Python ({reason}): give a script that runs") from error
    except (RecursionError, MemoryError):
        raise InputError(f"{path} is nested too deeply: give a training script") from None


def _calls(tree: ast.Module, names: Names) -> Iterator[Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield call_of(node, names.dotted(node.func))


FORMAT = Format(
    name="script",
    what="a Python training script or notebook (transformers, TRL, torch, Lightning, Keras)",
    claims=_claims,
    read=_read,
    plan=True,
)
