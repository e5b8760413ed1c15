"""What a run left, whatever wrote it: series by optimizer step, and the plan as far as known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrpilot.errors import InputError
from lrpilot.facts import RunFacts

Mode = Literal["min", "max"]
Precision = Literal["fp32", "fp16", "bf16"]


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Values by optimizer step.

    Attributes:
        steps: Optimizer steps, shape (n,), strictly increasing.
        values: Shape (n,); NaN and infinity are kept, they are findings.
        errors: Standard error of each value over examples, shape (n,), where the log knows it.
    """

    steps: NDArray[np.float64]
    values: NDArray[np.float64]
    errors: NDArray[np.float64] | None = None

    @classmethod
    def of(cls, steps: ArrayLike, values: ArrayLike, *, errors: ArrayLike | None = None) -> Series:
        """Sort by step; of two values at one step the later written one counts.

        Raises:
            InputError: Shapes that differ, no values, or a step that is not finite.
        """
        s = np.atleast_1d(np.asarray(steps, dtype=np.float64))
        v = np.atleast_1d(np.asarray(values, dtype=np.float64))
        e = None if errors is None else np.atleast_1d(np.asarray(errors, dtype=np.float64))
        if (
            s.ndim != 1
            or s.shape != v.shape
            or s.size == 0
            or (e is not None and e.shape != v.shape)
        ):
            raise InputError(f"{v.size} values at {s.size} steps: give one value a step")
        if not np.isfinite(s).all():
            raise InputError("a step is not a finite number: the log is damaged")
        kept = s.size - 1 - np.unique(s[::-1], return_index=True)[1]
        return cls(s[kept], v[kept], None if e is None else e[kept])

    def __len__(self) -> int:
        return int(self.steps.size)

    @property
    def finite(self) -> Series:
        """Only what is finite; may be empty."""
        good = np.isfinite(self.values)
        return Series(
            self.steps[good], self.values[good], None if self.errors is None else self.errors[good]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One parameter group of the optimizer: its rate, its size, and whether it is frozen."""

    name: str
    lr: float
    params: int | None = None
    frozen: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The settings of a run, as far as a log, a config or a script says them; None: not said.

    Attributes:
        facts: Model, method, optimizer, batch size, epochs, steps, data: what `recommend` takes.
            `facts.planned_lr` is the peak rate.
        schedule: "linear", "cosine", "constant", "constant_with_warmup", "plateau", ...
        warmup_steps, warmup_frac: As stated.
        schedule_steps: Steps that the schedule was made for.
        weight_decay, max_grad_norm: As stated; `max_grad_norm` 0 means no clipping.
        precision: Number format of training.
        evaluates: Whether the run validates at all.
        eval_every_steps: Optimizer steps between validations.
        eval_examples: Size of the validation set.
        eval_on_train: Whether the validation set is the training set.
        keeps_best: Whether the best checkpoint is kept and loaded at the end.
        metric, metric_mode: What the best checkpoint is chosen by, and its direction.
        head_lr: Rate of a new head, where it has its own.
        new_head: Whether a head starts from random weights.
        groups: Parameter groups.
        stated: Names of the facts and of the fields here that the input says itself. The rest are
            unknown, or a framework's defaults: a plain CSV has `facts.optimizer` "adamw" although
            it says nothing of it.
    """

    facts: RunFacts = field(default_factory=RunFacts)
    schedule: str | None = None
    warmup_steps: int | None = None
    warmup_frac: float | None = None
    schedule_steps: int | None = None
    weight_decay: float | None = None
    max_grad_norm: float | None = None
    precision: Precision | None = None
    evaluates: bool | None = None
    eval_every_steps: int | None = None
    eval_examples: int | None = None
    eval_on_train: bool | None = None
    keeps_best: bool | None = None
    metric: str | None = None
    metric_mode: Mode | None = None
    head_lr: float | None = None
    new_head: bool | None = None
    groups: tuple[Group, ...] = ()
    stated: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class History:
    """One run, or one plan of a run that has not begun (then no series is there).

    Attributes:
        where: The path, as the user gave it.
        format: What wrote it: "hf-trainer", "tensorboard", "lightning-csv", "keras", "wandb",
            "mlflow", "csv", "jsonl", "lrpilot", "yaml", "script", ...
        plan: The settings.
        train_loss, eval_loss: Losses; `eval_loss` on held-out data.
        score: The main validation metric that is no loss (accuracy, F1), with its name and mode.
        lr, grad_norm: As logged; of several groups the largest group's rate.
        epoch: Passes over the data done at a step.
        others: Further series by the name that the log gives them.
        resumes: Steps at which the run was taken up again.
        checkpoints: Steps whose weights are still there; None where that is unknown.
        best_checkpoint: Step that the framework holds to be the best.
        skipped_steps: Optimizer steps that mixed precision skipped, where the log tells.
        finished: Whether the log says that training ended as planned; None: not said.
        unread: What could not be read or was left out, a sentence each.
    """

    where: str
    format: str
    plan: Plan = field(default_factory=Plan)
    train_loss: Series | None = None
    eval_loss: Series | None = None
    score: Series | None = None
    score_name: str | None = None
    score_mode: Mode = "max"
    lr: Series | None = None
    grad_norm: Series | None = None
    epoch: Series | None = None
    others: Mapping[str, Series] = field(default_factory=lambda: MappingProxyType({}))
    resumes: tuple[int, ...] = ()
    checkpoints: tuple[int, ...] | None = None
    best_checkpoint: int | None = None
    skipped_steps: int | None = None
    finished: bool | None = None
    unread: tuple[str, ...] = ()
