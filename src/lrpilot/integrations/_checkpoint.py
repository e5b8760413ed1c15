"""Trees of tensors and plain values on disk: safetensors and JSON, nothing that needs pickle."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from lrpilot.errors import InputError, RecordError

Tree = Any
HELD = ("kept", "origin")  # what a session holds besides the present state


def save_tree(tree: Tree, folder: Path, name: str) -> None:
    """Write `name.safetensors` and `name.json` into an existing folder.

    Args:
        tree: Nested dicts, lists and tuples of tensors, numbers, strings, booleans and None.
        folder: Where to write.
        name: Stem of the two files.

    Raises:
        InputError: The tree holds something that needs pickle.
    """
    tensors: dict[str, torch.Tensor] = {}
    plain = _pack(tree, tensors)
    save_file(tensors, folder / f"{name}.safetensors")
    (folder / f"{name}.json").write_text(json.dumps(plain, allow_nan=True), encoding="utf-8")


def load_tree(folder: Path, name: str) -> Tree:
    """The inverse of `save_tree`.

    Raises:
        RecordError: A file is missing or damaged.
    """
    try:
        tensors = load_file(folder / f"{name}.safetensors")
        plain = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        return _unpack(plain, tensors)
    except (OSError, SafetensorError, json.JSONDecodeError, KeyError) as error:
        raise RecordError(f"the checkpoint {folder} cannot be read ({error})") from error


def load_held(folder: Path) -> dict[str, Tree]:
    """The states that a session held, by name; those that are not there are left out.

    Raises:
        RecordError: A file is damaged.
    """
    return {name: load_tree(folder, name) for name in HELD if (folder / f"{name}.json").exists()}


def write_folder(folder: Path, write: Callable[[Path], None]) -> None:
    """Write a folder all or not at all: aside first, then renamed.

    Args:
        folder: The folder to make; one of that name is replaced.
        write: Fills the folder that it is given.

    Raises:
        OSError: It could not be written; nothing is left behind, an older one stays.
    """
    aside = folder.with_name(folder.name + ".part")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir(parents=True)
        write(aside)
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)
    except SafetensorError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise OSError(str(error)) from error
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def _pack(value: Tree, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        key = f"t{len(tensors)}"
        tensors[key] = value.detach().to("cpu").contiguous()
        return {"tensor": key}
    if isinstance(value, dict):
        return {"dict": [[_key(k), _pack(v, tensors)] for k, v in value.items()]}
    if isinstance(value, list):
        return {"list": [_pack(v, tensors) for v in value]}
    if isinstance(value, tuple):
        return {"tuple": [_pack(v, tensors) for v in value]}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise InputError(
        f"a {type(value).__name__} cannot be kept without pickle: the optimizer's and the "
        "schedule's state must hold tensors, numbers, strings and containers of them"
    )


def _key(key: Any) -> Any:
    if isinstance(key, str | int):
        return key
    raise InputError(f"a key of type {type(key).__name__} cannot be kept: use strings or integers")


def _unpack(value: Any, tensors: dict[str, torch.Tensor]) -> Tree:
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {k: _unpack(v, tensors) for k, v in content}
    items = [_unpack(v, tensors) for v in content]
    return tuple(items) if kind == "tuple" else items
