"""A workload on another device: the same data in the same order, computed there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from lrpilot.bench.task import Part, Workload
from lrpilot.errors import InputError


@dataclass(frozen=True, slots=True)
class _Moved:
    """A part whose batches arrive on a device."""

    part: Part
    device: torch.device

    def __len__(self) -> int:
        return len(self.part)

    def batch(self, indices: torch.Tensor) -> Any:
        return _move(self.part.batch(indices), self.device)


def _move(value: Any, device: torch.device) -> Any:
    if isinstance(value, torch.Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {key: _move(item, device) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_move(item, device) for item in value)
    return value


def _moved_model(new_model: Callable[[], Any], device: torch.device) -> Any:
    return new_model().to(device)


def on_device(workload: Workload, device: str) -> Workload:
    """The workload with its models and batches on that device."""
    if device == "cpu":
        return workload
    place = torch.device(device)
    return replace(
        workload,
        new_model=partial(_moved_model, workload.new_model, place),
        train=_Moved(workload.train, place),
        validation=_Moved(workload.validation, place),
        test=_Moved(workload.test, place),
    )


def check_device(device: str) -> None:
    """Refuse what torch does not know or cannot reach here.

    Raises:
        InputError: In one line, with what is allowed.
    """
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError):
        allowed = "cpu, cuda or cuda:N" if torch.cuda.is_available() else "cpu (no GPU answers)"
        raise InputError(f"--device {device}: torch cannot use it here: give {allowed}") from None


def describe(device: str) -> dict[str, str]:
    """What a result line says of it: its kind, and the name of a GPU."""
    kind = torch.device(device).type
    if kind != "cuda":
        return {"device": kind}
    return {"device": kind, "device_name": torch.cuda.get_device_name(device)}
