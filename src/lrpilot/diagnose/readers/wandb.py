"""Weights & Biases without its package: offline run folders, their binary log, exported rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lrpilot.diagnose.history import History, Plan
from lrpilot.diagnose.readers.assemble import assemble
from lrpilot.diagnose.readers.format import Format, Place
from lrpilot.diagnose.readers.jsonl import Broken, objects
from lrpilot.diagnose.readers.plans import join
from lrpilot.diagnose.readers.rows import Rows
from lrpilot.diagnose.readers.settings import logged
from lrpilot.diagnose.readers.wandb_log import MAGIC, WandbLog
from lrpilot.diagnose.readers.yaml_text import load_yaml
from lrpilot.errors import InputError, MissingExtraError

_HISTORY = "wandb-history.jsonl"
_ITS_OWN = ("_step", "_runtime", "_timestamp")


def _claims(place: Place) -> bool:
    if not place.is_dir:
        return place.head.startswith(MAGIC)
    return bool(_logs(place)) or _exported(place) is not None


def _logs(place: Place) -> list[Path]:
    """Binary logs in a run's folder."""
    names = [n for n in place.names if n.startswith("run-") and n.endswith(".wandb")]
    return [place.path / n for n in names if (place.path / n).is_file()]


def _exported(place: Place) -> Path | None:
    """`wandb-history.jsonl`, which older versions left, here or under files/."""
    for file in (place.path / _HISTORY, place.path / "files" / _HISTORY):
        if file.is_file():
            return file
    return None


def _read(place: Place) -> list[History]:
    if not place.is_dir:
        return [_of_log(place.path, str(place.path), place.path.parent)]
    if logs := _logs(place):
        return [_of_log(file, str(place.path), place.path) for file in logs]
    file = _exported(place)
    if file is None:
        raise InputError(f"{place.path} lost its history while it was read: try again")
    return [_of_rows(file, str(place.path), place.path)]


def _of_log(file: Path, where: str, folder: Path) -> History:
    log, rows = WandbLog(file), Rows()
    for row in log:
        rows.row(row)
    if not len(rows):
        reason = f" ({log.broken})" if log.broken else ""
        raise InputError(f"{where} logged no history{reason}: give a run that called log()")
    said = (f"{file.name} was read up to where {log.broken}.",) if log.broken else ()
    finished = log.exit_code == 0 if log.ended else None
    return _history(where, rows, _plan(log.config), folder, said, finished)


def _of_rows(file: Path, where: str, folder: Path) -> History:
    rows, broken = Rows(), Broken()
    for row in objects(file, broken):
        rows.row(row)
    return _history(where, rows, Plan(), folder, broken.remarks(), None)


def _history(
    where: str, rows: Rows, plan: Plan, folder: Path, said: tuple[str, ...],
    finished: bool | None,
) -> History:  # fmt: skip
    collected, more = rows.collect()
    for name in _ITS_OWN:
        collected.drop(name)
    beside, unread = _settings_beside(folder)
    return assemble(
        where, "wandb", collected, plan=join(plan, beside), unread=(*said, *more, *unread),
        finished=finished,
    )  # fmt: skip


def _settings_beside(folder: Path) -> tuple[Plan, tuple[str, ...]]:
    """`config.yaml` of a synced run: each setting under `value`."""
    for file in (folder / "files" / "config.yaml", folder / "config.yaml"):
        if not file.is_file():
            continue
        try:
            data = load_yaml(file)
        except (InputError, MissingExtraError, OSError) as error:
            return Plan(), (f"{file.name} was left out: {error}.",)
        if isinstance(data, dict):
            return _plan({k: v["value"] if _wraps(v) else v for k, v in data.items()}), ()
    return Plan(), ()


def _wraps(value: Any) -> bool:
    return isinstance(value, dict) and "value" in value


def _plan(config: Mapping[str, Any]) -> Plan:
    return logged({k: v for k, v in config.items() if k != "_wandb"})


FORMAT = Format(
    name="wandb",
    what="a W&B run folder (wandb/offline-run-...) or its run-ID.wandb",
    claims=_claims,
    read=_read,
)
