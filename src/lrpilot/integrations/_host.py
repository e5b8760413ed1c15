"""What a framework must be able to do for the session: seven things."""

from __future__ import annotations

from typing import Any, Protocol

from lrpilot.control import Budget
from lrpilot.facts import Recommendation
from lrpilot.metric import Evaluation


class Host(Protocol):
    """A training loop seen from the session.

    A snapshot is opaque to the session. `restore` brings back exactly what `snapshot` took, and
    may be called several times with the same snapshot. `evaluate` must leave the training as it
    was: modes, random numbers, gradients.
    """

    def set_lr_scale(self, scale: float) -> float:
        """Set the rate of the next step to `scale` times the peak; return it, absolute."""
        ...

    def evaluate(self) -> Evaluation | None:
        """Validate now; None when there is no validation data (yet)."""
        ...

    def snapshot(self) -> Any:
        """Copy all that training changes."""
        ...

    def restore(self, snapshot: Any) -> None:
        """Put a snapshot back."""
        ...

    def stretch(self, origin: Any, snapshot: Any, factor: float) -> None:
        """Set the weights, and nothing else, to `origin` + `factor` * (`snapshot` - `origin`).

        A factor of 1 gives the snapshot's weights exactly.
        """
        ...

    def shorten(self, budget: Budget) -> Recommendation:
        """Set the peak to what suits a run that became shorter; return the recommendation."""
        ...

    def stop(self) -> None:
        """End the training at this step boundary."""
        ...
