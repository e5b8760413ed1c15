"""JSON Lines: LLaMA-Factory's trainer_log, W&B's exported history, detectron2, mmengine, any."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lrpilot.diagnose.history import History, Plan
from lrpilot.diagnose.readers.assemble import assemble
from lrpilot.diagnose.readers.bounded import count, lines
from lrpilot.diagnose.readers.format import Format, Place
from lrpilot.diagnose.readers.names import kind_of
from lrpilot.diagnose.readers.plans import make_plan
from lrpilot.diagnose.readers.rows import SIDES, Rows, is_epoch, is_step
from lrpilot.diagnose.readers.stream import ArrayStream
from lrpilot.errors import InputError

_BREAKS_OFF = "The list breaks off; what stands before the break was read."
_LOOKED_AT = 20  # lines that show whether it is a log
_SIDE_KEYS = {"mode", "split", "phase", "stage"}


def _claims(place: Place) -> bool:
    return not place.is_dir and is_log(place.text)


def is_log(text: str) -> bool:
    """Whether the first lines are objects that together hold a step and a known metric."""
    names: set[str] = set()
    for line in text.split("\n")[:_LOOKED_AT]:
        if not line.lstrip().startswith("{"):
            if line.strip():
                break
            continue
        names |= _names(line)
    return _are_a_log(names)


def _are_a_log(names: set[str]) -> bool:
    counts = any(is_step(n) or is_epoch(n) for n in names)
    known = {k[0] for n in names if (k := kind_of(n)) is not None}
    return counts and not known.isdisjoint({"train_loss", "eval_loss", "score"})


def _names(line: str) -> set[str]:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        return set()
    return _names_of(data)


def _names_of(data: Any) -> set[str]:
    if not isinstance(data, dict):
        return set()
    rows = Rows()
    rows.row(_sided(data))
    return set(rows.names)


def _read(place: Place) -> list[History]:
    broken = Broken()
    return _history(place.path, objects(place.path, broken), broken.remarks)


def _history(
    path: Path, entries: Iterable[Any], remarks: Callable[[], tuple[str, ...]]
) -> list[History]:
    rows = Rows()
    steps = None
    for data in entries:
        if isinstance(data, dict):
            rows.row(_sided(data))
            steps = count(data.get("total_steps")) or steps
    is_factory = rows.has("current_steps") and steps is not None
    collected, said = rows.collect()
    plan = make_plan({"steps": steps}) if is_factory else Plan()
    collected.drop("total_steps")
    return [
        assemble(str(path), "llama-factory" if is_factory else "jsonl", collected,
                 plan=plan, unread=(*said, *remarks()))
    ]  # fmt: skip


class Broken:
    """Counts lines that are no JSON; the last line of a killed run is one."""

    def __init__(self) -> None:
        self.lines = 0

    def remarks(self) -> tuple[str, ...]:
        """What to say of them."""
        if not self.lines:
            return ()
        return (f"{self.lines:,} lines that are no JSON objects were left out.",)


def objects(path: Path, broken: Broken) -> Iterator[dict[str, Any]]:
    """Each line's object.

    Raises:
        InputError: A line is nested too deeply, or half of the first hundred are no JSON.
    """
    good = 0
    for line in lines(path):
        if not line.strip():
            continue
        try:
            data = json.loads(line)
        except RecursionError:
            raise InputError(f"{path} has a line that is nested too deeply: give a log") from None
        except ValueError:
            data = None
        if isinstance(data, dict):
            good += 1
            yield data
        else:
            broken.lines += 1
            if broken.lines > 50 and broken.lines > good:
                raise InputError(f"{path} is mostly no JSON Lines: give one object a line")


def _claims_array(place: Place) -> bool:
    text = place.text.lstrip()
    if not text.startswith("["):
        return False
    names: set[str] = set()
    at, decoder = 1, json.JSONDecoder()
    for _ in range(_LOOKED_AT):
        while text[at : at + 1] in (" ", "\n", "\r", "\t", ","):
            at += 1
        try:
            data, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            break
        names |= _names_of(data)
    return _are_a_log(names)


def _read_array(place: Place) -> list[History]:
    stream = ArrayStream(place.path, None)
    return _history(
        place.path, stream, lambda: (_BREAKS_OFF,) if stream.truncated else ()
    )  # fmt: skip


def _sided(data: dict[str, Any]) -> Mapping[str, Any]:
    """A row that says in a word whether it is of training or of validation (mmengine's "mode")."""
    if _SIDE_KEYS.isdisjoint(data):
        return data
    word = next((data[k] for k in _SIDE_KEYS if isinstance(data.get(k), str)), None)
    side = SIDES.get(word.lower()) if word is not None else None
    if side is None or side == "train":
        return data
    return {k if is_step(k) or is_epoch(k) else f"{side}_{k}": v for k, v in data.items()}


FORMAT = Format(
    name="jsonl",
    what="JSON Lines with a step or epoch and a loss, such as LLaMA-Factory's trainer_log.jsonl",
    claims=_claims,
    read=_read,
)
ARRAY = Format(
    name="json-rows",
    what="a JSON list of rows with a step or epoch and a loss, such as an export",
    claims=_claims_array,
    read=_read_array,
)
