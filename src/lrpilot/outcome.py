"""How a run ended: a value with cause and remedy, never just a log line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["finished", "interrupted", "diverged", "out-of-budget"]

_REMEDIES: dict[str, str] = {
    "finished": "nothing to do",
    "interrupted": "go on with --resume (or resume=True)",
    "diverged": "the data or the model, not the rate: look for NaN inputs, labels out of range, "
    "or half precision without loss scaling",
    "out-of-budget": "give a larger budget, or accept the best checkpoint so far",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended.

    Attributes:
        status: "finished", "interrupted" (resumable), "diverged" (at every rate that was tried)
            or "out-of-budget".
        cause: What happened, in a sentence.
        step: The step at which it ended.
        best_step: The step of the best validation, whose weights were kept.
        best_value: The mean of that validation.
    """

    status: Status
    cause: str
    step: int
    best_step: int | None = None
    best_value: float | None = None

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return _REMEDIES[self.status]
