"""Lightning's `CSVLogger`: `metrics.csv`, with `hparams.yaml` beside it."""

from __future__ import annotations

import re
from pathlib import Path

from lrpilot.diagnose.history import History, Plan
from lrpilot.diagnose.readers.assemble import assemble
from lrpilot.diagnose.readers.format import Format, Place
from lrpilot.diagnose.readers.rows import Rows
from lrpilot.diagnose.readers.settings import common
from lrpilot.diagnose.readers.table import fill_rows, first_line, header_of
from lrpilot.diagnose.readers.yaml_text import load_yaml
from lrpilot.errors import InputError, MissingExtraError

_METRICS, _SETTINGS = "metrics.csv", "hparams.yaml"
_CHECKPOINT = re.compile(r"(?:^|-)step=(\d{1,15})(?:-v\d+)?\.ckpt$")


def _claims(place: Place) -> bool:
    if place.is_dir:
        return place.has_file(_METRICS) and _claims(Place.at(place.path / _METRICS))
    if place.path.name != _METRICS:
        return False
    found = header_of(first_line(place.text))
    return found is not None and {"epoch", "step"} <= set(found[0])


def _read(place: Place) -> list[History]:
    file = place.path / _METRICS if place.is_dir else place.path
    rows = Rows()
    short = fill_rows(file, rows)
    # CSVLogger writes the index of the batch that has just been taken: 0 is the first step.
    collected, said = rows.collect(first_step=1)
    if short:
        said = (*said, f"{short:,} rows of another length than the header's were left out.")
    plan, unread = lightning_plan(file.parent)
    history = assemble(
        str(place.path), "lightning-csv", collected, plan=plan, unread=(*said, *unread),
        checkpoints=checkpoints(file.parent),
    )  # fmt: skip
    return [history]


def lightning_plan(folder: Path) -> tuple[Plan, tuple[str, ...]]:
    """What `hparams.yaml` states."""
    file = folder / _SETTINGS
    if not file.is_file():
        return Plan(), ()
    try:
        data = load_yaml(file)
    except (InputError, MissingExtraError, OSError) as error:
        return Plan(), (f"{_SETTINGS} was left out: {error}.",)
    return (common(data) if isinstance(data, dict) else Plan()), ()


def checkpoints(folder: Path) -> tuple[int, ...] | None:
    """Steps of the checkpoints beside a log; None where there is no such folder."""
    place = folder / "checkpoints"
    if not place.is_dir():
        return None
    found = (_CHECKPOINT.search(name) for name in Place.at(place).names)
    return tuple(sorted({int(m.group(1)) for m in found if m}))


FORMAT = Format(
    name="lightning-csv",
    what="a folder of Lightning's CSVLogger or its metrics.csv",
    claims=_claims,
    read=_read,
)
