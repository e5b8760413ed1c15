"""One door to the learning rates of an optimizer, whatever schedule runs on it.

The autopilot multiplies: every rate that the optimizer or its scheduler holds is scaled by the
same factor, so that the ratios of parameter groups and the shape of the schedule stay. Schedules
of closed form (LambdaLR, so all of transformers') recompute the rate from `base_lrs`, recursive
ones (cosine, step) from the last rate: both are scaled, through the scheduler's public state.
"""

from __future__ import annotations

from typing import Any

import torch

from lrpilot.errors import InputError

_GROUP_KEYS = ("lr", "initial_lr", "max_lr", "min_lr")  # the last two: OneCycleLR
_SCHEDULER_KEYS = ("base_lrs", "_last_lr", "eta_min", "min_lrs", "max_lrs")


class Rates:
    """The rates of one optimizer, as multiples of a peak.

    Args:
        optimizer: Any torch optimizer; its groups' rates may differ, their ratios are kept.
        peak_lr: The peak for the group with the most parameters. None leaves the rates as set.
        scheduler: The user's schedule on that optimizer, if any.

    Raises:
        InputError: Every rate is zero, or none is set, so that nothing can be multiplied.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        *,
        peak_lr: float | None = None,
        scheduler: Any = None,
    ) -> None:
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.scale = 1.0
        self.body = body_index(optimizer)
        if any(group["lr"] is None for group in optimizer.param_groups):
            raise InputError(
                f"{type(optimizer).__name__} was created with lr=None and sets its own rate: give"
                " it a positive lr (Adafactor: and relative_step=False)"
            )
        base = self.base_lr
        if base <= 0.0:
            raise InputError(
                f"the optimizer's learning rate is {base:g}: create it with a positive lr, of"
                " which only the ratios between its groups are kept"
            )
        if peak_lr is not None:
            self._multiply(peak_lr / base)

    @property
    def base_lr(self) -> float:
        """The peak of the body's group: before the schedule where there is one."""
        group = self.optimizer.param_groups[self.body]
        if self.scheduler is not None and "initial_lr" in group:
            return float(group.get("max_lr", group["initial_lr"]))
        return float(group["lr"])

    @property
    def current(self) -> float:
        """The rate of the body's group now."""
        return float(self.optimizer.param_groups[self.body]["lr"])

    def set_scale(self, scale: float) -> float:
        """Scale all rates to `scale` times their peak; return the body's rate."""
        if scale != self.scale:
            self._multiply(scale / self.scale)
            self.scale = scale
        return self.current

    def move_peak(self, factor: float) -> float:
        """Multiply the peak, whatever the scale; return the body's rate."""
        self._multiply(factor)
        return self.current

    def _multiply(self, factor: float) -> None:
        for group in self.optimizer.param_groups:
            for key in _GROUP_KEYS:
                if isinstance(group.get(key), torch.Tensor):
                    group[key].mul_(factor)
                elif group.get(key) is not None:
                    group[key] = group[key] * factor
        if self.scheduler is not None:
            self.scheduler.load_state_dict(_scaled(self.scheduler.state_dict(), factor))


def body_index(optimizer: torch.optim.Optimizer) -> int:
    """The parameter group with the most parameters, whose rate "the rate" is."""
    groups = optimizer.param_groups
    return max(range(len(groups)), key=lambda i: sum(p.numel() for p in groups[i]["params"]))


def _scaled(state: Any, factor: float) -> Any:
    """A scheduler's state with every rate in it multiplied; nested schedulers too."""
    if isinstance(state, dict):
        return {
            key: _times(value, factor) if key in _SCHEDULER_KEYS else _scaled(value, factor)
            for key, value in state.items()
        }
    if isinstance(state, list):
        return [_scaled(item, factor) if isinstance(item, dict) else item for item in state]
    return state


def _times(value: Any, factor: float) -> Any:
    return [v * factor for v in value] if isinstance(value, list | tuple) else value * factor
