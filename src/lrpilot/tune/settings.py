"""What `lrpilot tune` was asked for: checked, kept with the run, read back on resume."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from lrpilot.control import controller
from lrpilot.errors import InputError

TASKS = ("text-classification", "image-classification", "text-generation")
FILE = "tune.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One fine-tuning run.

    Attributes:
        task: One of `TASKS`.
        model: A model folder or Hub id that `transformers` can load; None for a demo.
        data: Training data; None for a demo.
        validation, test: Data to steer by and to be judged by; split off or left out if None.
        demo: Name of a demo, instead of model and data.
        text_column, label_column: Columns of a table; guessed if None.
        policy: Name of the controller.
        start_lr: Starting rate; recommended if None.
        steps: Optimizer steps; from `epochs` if None.
        epochs: Passes over the training data; 3 if neither is given.
        batch_size: Examples a step.
        max_length: Tokens a text is cut to, or of a block.
        image_size: Pixels a side.
        evaluations: Validations to spend at most.
        max_minutes: Wall time of the training under the autopilot; fewer steps are taken where not
            all fit, and by the baseline too. No limit if None.
        baseline_lr: Also train with this constant peak and linear decay, untouched; None does not.
        seed: Of the split, the new head, the data order and dropout.
        doctor: Whether the doctor's rules look at the run while it trains.
    """

    task: str
    model: str | None = None
    data: str | None = None
    validation: str | None = None
    test: str | None = None
    demo: str | None = None
    text_column: str | None = None
    label_column: str | None = None
    policy: str = "trial"
    start_lr: float | None = None
    steps: int | None = None
    epochs: float | None = None
    batch_size: int = 16
    max_length: int = 128
    image_size: int | None = None
    evaluations: int = 14
    max_minutes: float | None = None
    baseline_lr: float | None = None
    seed: int = 0
    doctor: bool = True

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise InputError(f"task is {self.task!r}: give one of {', '.join(TASKS)}")
        if self.demo is None and (self.model is None or self.data is None):
            raise InputError("give --model and --data, or --demo")
        counts = ("steps", "epochs", "batch_size", "max_length", "image_size", "max_minutes")
        for name in counts:
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise InputError(f"{name} is {value!r}: give a positive number")
        for name in ("start_lr", "baseline_lr"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise InputError(f"{name} is {value!r}: give a positive rate such as 2e-5")
        controller(self.policy)

    def write(self, folder: Path) -> None:
        """Keep the settings in a run's folder."""
        (folder / FILE).write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Settings:
        """The settings of a run's folder.

        Raises:
            InputError: There are none, or another release wrote them.
        """
        try:
            data = json.loads((folder / FILE).read_text(encoding="utf-8"))
        except (OSError, json.JSONDecodeError) as error:
            raise InputError(
                f"{folder} holds no run to resume ({FILE}: {error}): start it without --resume"
            ) from error
        known = {f.name for f in fields(cls)}
        if not isinstance(data, dict) or not set(data) <= known:
            raise InputError(f"{folder / FILE} was written by another release: start a new run")
        return cls(**data)
