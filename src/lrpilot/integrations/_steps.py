"""Counts the optimizer steps that really happened, and the loss and rate of each."""

from __future__ import annotations

import math
from typing import Any

import torch

from lrpilot.integrations._rates import Rates


class StepCounter:
    """Hooks an optimizer's step: accumulation and skipped steps take care of themselves.

    A gradient scaler that finds an infinity does not call the optimizer, so no step is counted;
    a fused optimizer is called with `found_inf` set, which is looked at.

    Args:
        rates: The optimizer whose steps count.
    """

    def __init__(self, rates: Rates) -> None:
        self._rates = rates
        self._happened = False
        self._losses: list[float] = []
        self.lr = rates.current
        self._handle = rates.optimizer.register_step_post_hook(self._after_step)

    def _after_step(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        found = getattr(optimizer, "found_inf", None)
        if found is None or not bool(found):
            self._happened = True
            self.lr = self._rates.current

    def add(self, loss: float) -> None:
        """Note the loss of one micro-batch."""
        self._losses.append(loss)

    def take(self) -> tuple[bool, float | None]:
        """Whether a step happened since the last call, and its mean loss.

        Without a step, losses that are not finite are dropped: a skipped step harms nobody.

        Returns:
            (False, None), or (True, the step's loss), or (True, None) if no loss was noted.
        """
        if not self._happened:
            self._losses = [loss for loss in self._losses if math.isfinite(loss)]
            return False, None
        losses, self._losses, self._happened = self._losses, [], False
        if not losses:
            return True, None
        return True, sum(losses) / len(losses)

    def close(self) -> None:
        """Take the hook off."""
        self._handle.remove()
