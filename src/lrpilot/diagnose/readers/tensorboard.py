"""TensorBoard event files and folders, whoever wrote them: torch, tensorboardX, HF, Keras."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lrpilot.diagnose.history import History, Plan
from lrpilot.diagnose.readers.assemble import assemble
from lrpilot.diagnose.readers.collect import Collector
from lrpilot.diagnose.readers.format import Format, Place
from lrpilot.diagnose.readers.lightning import checkpoints, lightning_plan
from lrpilot.diagnose.readers.plans import from_arguments, join
from lrpilot.diagnose.readers.tensorboard_file import is_event_file, read_event_file
from lrpilot.errors import InputError

# Folders of one run that Keras, TF estimators and others write beside each other.
_SIDES = {"train": "train/", "training": "train/", "validation": "validation/", "val": "val/",
          "valid": "valid/", "eval": "eval/"}  # fmt: skip
_TIME = re.compile(r"tfevents\.(\d+)")


def _claims(place: Place) -> bool:
    if not place.is_dir:
        return is_event_file(place.head)
    if _event_files(place):
        return True
    return len(_sides(place)) > 1


def _event_files(place: Place) -> list[Path]:
    """A folder's event files in the order in which they were begun."""
    names = [n for n in place.names if ".tfevents." in n and (place.path / n).is_file()]

    def begun(name: str) -> tuple[int, str]:
        found = _TIME.search(name)
        return (int(found.group(1)[:18]) if found else 0, name)

    return [place.path / n for n in sorted(names, key=begun)]


def _children(place: Place) -> list[Place]:
    """Sub-folders that hold event files."""
    folders = [place.path / n for n in place.names if (place.path / n).is_dir()]
    return [inner for f in folders if _event_files(inner := Place.at(f))]


def _sides(place: Place) -> list[Place]:
    return [c for c in _children(place) if c.path.name.lower() in _SIDES]


def _read(place: Place) -> list[History]:
    if not place.is_dir:
        return [_history(str(place.path), [(place.path, "")])]
    files = [(f, "") for f in _event_files(place)]
    apart: list[Place] = []
    for child in _children(place):
        prefix = _SIDES.get(child.path.name.lower()) or _of_add_scalars(child)
        if prefix:
            files += [(f, prefix) for f in _event_files(child)]
        else:
            apart.append(child)
    histories: list[History] = []
    try:
        histories.append(_history(str(place.path), files, place.path))
    except InputError:
        if not apart:
            raise
    return histories + [h for child in apart for h in _read(child)]


def _of_add_scalars(child: Place) -> str:
    """The prefix for a folder "loss_train" that `add_scalars("loss", {"train": ...})` wrote."""
    collected = Collector()
    read_event_file(_event_files(child)[0], collected)
    names = collected.names
    if len(names) != 1:
        return ""
    start = names[0].replace("/", "_") + "_"
    side = child.path.name.removeprefix(start)
    return f"{side}/" if child.path.name.startswith(start) and side else ""


def _history(where: str, files: list[tuple[Path, str]], folder: Path | None = None) -> History:
    collected = Collector()
    unread: list[str] = []
    texts: dict[str, str] = {}
    for file, prefix in files:
        found = read_event_file(file, collected, prefix)
        texts |= found.texts
        if found.broken:
            unread.append(f"{file.name} was read up to where {found.broken}.")
    plan = _arguments(texts)
    rest: dict[str, Any] = {}
    if folder is not None and (folder / "hparams.yaml").is_file():
        beside, said = lightning_plan(folder)
        plan, unread = join(plan, beside), [*unread, *said]
        rest["checkpoints"] = checkpoints(folder)
        if "epoch" in collected.names:
            collected.shift(1)  # Lightning's own logger: 0 is the first step
    return assemble(where, "tensorboard", collected, plan=plan, unread=tuple(unread), **rest)


def _arguments(texts: Mapping[str, str]) -> Plan:
    """HF Trainer's arguments, which its TensorBoard callback writes as a text."""
    for tag, content in texts.items():
        if tag.split("/")[0] != "args":
            continue
        try:
            data = json.loads(content)
        except (ValueError, RecursionError):
            continue
        if isinstance(data, dict):
            return from_arguments(data)
    return Plan()


FORMAT = Format(
    name="tensorboard",
    what="a TensorBoard event file or its folder",
    claims=_claims,
    read=_read,
)
