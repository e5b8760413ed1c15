"""Keras' `History` as JSON: `history.history`, or the object with `epoch` and `params` too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lrpilot.diagnose.history import History
from lrpilot.diagnose.readers.assemble import assemble
from lrpilot.diagnose.readers.bounded import MOST_NAMES, count, number, positive
from lrpilot.diagnose.readers.format import Format, Place
from lrpilot.diagnose.readers.names import kind_of
from lrpilot.diagnose.readers.plans import make_plan
from lrpilot.diagnose.readers.rows import Rows
from lrpilot.errors import InputError


def _claims(place: Place) -> bool:
    text = place.text.lstrip()
    if not text.startswith("{") or "[" not in text[:20_000]:
        return False
    try:
        data = place.json() if place.size > len(place.head) else json.loads(text)
    except (InputError, ValueError, RecursionError):
        return False
    return isinstance(data, dict) and _columns(data) is not None


def _columns(data: Mapping[str, Any]) -> dict[str, list[Any]] | None:
    """Lists of equal length by metric name; None where it is no history."""
    inner = data.get("history")
    found = inner if isinstance(inner, dict) else data
    columns = {k: v for k, v in found.items() if isinstance(v, list) and v}
    if not columns or len(columns) != len(found) or len(columns) > MOST_NAMES:
        return None
    if not all(number(v[0]) is not None for v in columns.values()):
        return None
    return columns if any(kind_of(name) for name in columns) else None


def _read(place: Place) -> list[History]:
    data = place.json()
    columns = _columns(data)
    if columns is None:
        raise InputError(f"{place.path} is no Keras history: give the JSON of history.history")
    epochs = data.get("epoch")
    params = data.get("params") if isinstance(data.get("params"), dict) else {}
    length = max(len(v) for v in columns.values())
    rows = Rows()
    for i in range(length):
        given = number(epochs[i]) if isinstance(epochs, list) and i < len(epochs) else None
        cells = {name: values[i] for name, values in columns.items() if i < len(values)}
        rows.row({**cells, "epoch": i if given is None else given})
    per_epoch = count(params.get("steps"))
    collected, said = rows.collect(steps_per_epoch=per_epoch)
    epochs_planned = positive(params.get("epochs"))
    plan = make_plan(
        {
            "epochs": epochs_planned,
            "steps": int(per_epoch * epochs_planned) if per_epoch and epochs_planned else None,
        }
    )
    return [assemble(str(place.path), "keras", collected, plan=plan, unread=said)]


FORMAT = Format(
    name="keras",
    what="Keras' history.history as JSON",
    claims=_claims,
    read=_read,
)
