"""What trainers print: HF's dictionaries, torchtune's DiskLogger, nanoGPT's lines."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any

from lrpilot.diagnose.history import History
from lrpilot.diagnose.readers.assemble import assemble
from lrpilot.diagnose.readers.bounded import lines, number
from lrpilot.diagnose.readers.format import Format, Place
from lrpilot.diagnose.readers.rows import Rows
from lrpilot.errors import InputError

_LONGEST = 4_000  # characters of a line that are looked at
_ENOUGH = 2  # rows in the head that make a log
_DICT = re.compile(r"\{'[a-zA-Z_][^{}]*\}")
_BARE = re.compile(r"(?<=: )(-?(?:nan|inf))(?=[,}])")
_TUNE = re.compile(r"^Step (\d+) \| (.*)$")
_PAIR = re.compile(r"([A-Za-z_][\w/]*):(\S+)")
_NANO = re.compile(r"^(?:step|iter) (\d+): (?:train )?loss (\S+?),(?: val loss (\S+))?")


def _hf(line: str) -> dict[str, Any] | None:
    """`{'loss': 0.5, 'learning_rate': 1e-05, 'epoch': 0.1}`; from version 5 on as texts."""
    found = _DICT.search(line)
    if found is None or "\\" in found.group():
        return None
    try:
        data = ast.literal_eval(_BARE.sub(r"'\1'", found.group()))
    except (ValueError, SyntaxError, RecursionError, MemoryError, Warning):
        return None
    known = isinstance(data, dict) and "epoch" in data and {"loss", "eval_loss"} & data.keys()
    return data if known else None


def _torchtune(line: str) -> dict[str, Any] | None:
    """`Step 1 | loss:2.3 lr:1e-05 tokens_per_second_per_gpu:900.0`."""
    found = _TUNE.match(line)
    if found is None:
        return None
    return {"step": found.group(1), **dict(_PAIR.findall(found.group(2)))}


def _nanogpt(line: str) -> dict[str, Any] | None:
    """`step 250: train loss 2.1, val loss 2.3` and `iter 250: loss 2.1, time 20ms`."""
    found = _NANO.match(line)
    if found is None:
        return None
    step, loss, held_out = found.groups()
    if held_out is None:
        return {"step": step, "loss": loss}
    return {"step": step, "estimated/train": loss, "val_loss": held_out}


_PARSERS: tuple[tuple[str, Callable[[str], dict[str, Any] | None]], ...] = (
    ("hf-printed", _hf), ("torchtune", _torchtune), ("nanogpt", _nanogpt),
)  # fmt: skip


def _parser(text: str) -> tuple[str, Callable[[str], dict[str, Any] | None]] | None:
    head = [line.strip()[:_LONGEST] for line in re.split(r"[\r\n]+", text)]
    for name, parse in _PARSERS:
        rows = [row for line in head if (row := parse(line)) is not None]
        if len(rows) >= _ENOUGH and any(number(row.get("loss")) is not None for row in rows):
            return name, parse
    return None


def _claims(place: Place) -> bool:
    return not place.is_dir and _parser(place.text) is not None


def _read(place: Place) -> list[History]:
    found = _parser(place.text)
    if found is None:
        raise InputError(f"{place.path} lost its rows while it was read: try again")
    name, parse = found
    rows = Rows()
    for line in lines(place.path):
        for part in line.split("\r"):  # progress bars stand before the row
            row = parse(part.strip()[:_LONGEST])
            if row is not None:
                rows.row(row)
    collected, said = rows.collect()
    return [assemble(str(place.path), name, collected, unread=said)]


FORMAT = Format(
    name="printed",
    what="what HF Trainer, torchtune's DiskLogger or nanoGPT printed",
    claims=_claims,
    read=_read,
)
