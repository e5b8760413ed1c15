"""Exact copies of what training changes: weights, optimizer, schedule, scaler, random numbers."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from lrpilot.integrations._rates import Rates

Snapshot = dict[str, Any]


class TorchState:
    """Takes and restores snapshots in CPU memory.

    Only what can change is copied: parameters that require a gradient and buffers, so a LoRA
    run's snapshot is as small as its adapters.

    Args:
        model: The module that trains.
        rates: Its optimizer and schedule.
        scaler: A gradient scaler of mixed precision, if any.
    """

    def __init__(self, model: torch.nn.Module, rates: Rates, *, scaler: Any = None) -> None:
        self.model = model
        self.rates = rates
        self.scaler = scaler

    def snapshot(self) -> Snapshot:
        """Copy everything to CPU memory."""
        scheduler = self.rates.scheduler
        return {
            "model": {name: to_cpu(t) for name, t in self._tensors()},
            "optimizer": to_cpu(self.rates.optimizer.state_dict()),
            "scheduler": None if scheduler is None else copy.deepcopy(scheduler.state_dict()),
            "scaler": None if self.scaler is None else to_cpu(self.scaler.state_dict()),
            "scale": self.rates.scale,
            "rng": rng_state(),
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Put a snapshot back, in place; gradients are dropped.

        The schedule comes back exactly and is then stepped on to where it was: its clock counts
        the budget, which a roll-back does not turn back (docs/decisions/0001).
        """
        with torch.no_grad():
            for name, tensor in self._tensors():
                tensor.copy_(snapshot["model"][name])
        for parameter in self.model.parameters():
            parameter.grad = None
        self.rates.optimizer.load_state_dict(copy.deepcopy(snapshot["optimizer"]))
        if self.scaler is not None:
            self.scaler.load_state_dict(copy.deepcopy(snapshot["scaler"]))
        self.rates.scale = snapshot["scale"]
        self._restore_schedule(snapshot["scheduler"])
        set_rng_state(snapshot["rng"])

    def stretch(self, origin: Snapshot, snapshot: Snapshot, factor: float) -> None:
        """Set the weights on the line from one snapshot (0) through another (1).

        Running variances follow it in logarithms, so that they stay positive beyond either end;
        what is no floating-point number stays.
        """
        with torch.no_grad():
            for name, tensor in self._tensors():
                if tensor.is_floating_point():
                    start, end = origin["model"][name], snapshot["model"][name]
                    variance = name.rpartition(".")[2] == "running_var"
                    tensor.copy_(_between(start, end, factor, logarithmic=variance))

    def _restore_schedule(self, state: dict[str, Any] | None) -> None:
        scheduler = self.rates.scheduler
        if scheduler is None or state is None:
            return
        done = scheduler.last_epoch
        scheduler.load_state_dict(copy.deepcopy(state))
        if not isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            for _ in range(done - scheduler.last_epoch):
                scheduler.step()

    def _tensors(self) -> Iterator[tuple[str, torch.Tensor]]:
        for name, parameter in self.model.named_parameters():
            if parameter.requires_grad:
                yield name, parameter.data
        yield from self.model.named_buffers()


def _between(
    start: torch.Tensor, end: torch.Tensor, factor: float, *, logarithmic: bool
) -> torch.Tensor:
    if factor == 1.0:
        return end
    start, end = start.float(), end.float()
    if logarithmic:
        least = torch.finfo(torch.float32).tiny
        start, end = start.clamp_min(least).log(), end.clamp_min(least).log()
        return start.lerp(end, factor).exp()
    return start.lerp(end, factor)


def to_cpu(value: Any) -> Any:
    """A deep copy of nested containers with every tensor cloned to CPU memory."""
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {key: to_cpu(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(to_cpu(item) for item in value)
    return copy.deepcopy(value)


def rng_state() -> dict[str, Any]:
    """The states of torch's (CPU and CUDA), NumPy's and Python's global generators.

    CUDA is not woken up for it: while nothing was computed there, nothing was drawn.
    """
    kind, keys, position, has_gauss, gauss = np.random.get_state()
    version, internal, gauss_next = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if _cuda_drew() else [],
        "numpy": [kind, torch.from_numpy(np.array(keys)), position, has_gauss, gauss],
        "python": [version, list(internal), gauss_next],
    }


def _cuda_drew() -> bool:
    asked: Any = torch.cuda.is_initialized
    return bool(asked())


def set_rng_state(state: dict[str, Any]) -> None:
    """The inverse of `rng_state`; GPUs that are not here are left out."""
    torch.set_rng_state(state["torch"])
    for index, generator in enumerate(state["cuda"][: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(generator, index)
    kind, keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state((kind, keys.numpy(), position, has_gauss, gauss))
    version, internal, gauss_next = state["python"]
    random.setstate((version, tuple(internal), gauss_next))


@contextmanager
def aside(model: torch.nn.Module) -> Iterator[None]:
    """Validate without a trace: evaluation mode, no gradients, and everything back as it was."""
    modes = {module: module.training for module in model.modules()}
    rng = rng_state()
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes.items():
            module.training = training
        set_rng_state(rng)
