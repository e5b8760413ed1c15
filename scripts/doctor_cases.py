# ruff: noqa: E501 (a table: one case a line)
"""The corpus's runs: which mistake is made in each, and what a doctor must and may say of it.

Labels follow from the mistake alone and were written before any doctor had seen a run. `must` lists
groups of rules of which one is enough; `may` are true side effects; everything else is a false
alarm. Peaks of the healthy runs are near the oracle's (results/table.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from doctor_training import Setup

# What a rate that is far too high brings with it, besides what its rule says.
STORM = (
    "loss-spikes", "plateau", "overfitting", "best-not-kept", "underfitting", "not-finite",
    "no-warmup", "optimizer-rate", "lora-rate", "clipping-always", "head-rate",
)  # fmt: skip
SLOW = ("underfitting", "plateau", "budget-too-short", "optimizer-rate", "lora-rate")
OVER = ("best-not-kept", "loss-stairs", "lr-too-high", "label-leak", "eval-below-train")
NEEDS_PLAN = {
    "batch-not-scaled", "lora-rate", "optimizer-rate", "layerwise-reversed", "best-not-kept",
    "metric-direction", "clipping-always", "frozen-parameters", "lr-above-pretraining",
    "head-rate", "eval-too-small",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One history to be made.

    Attributes:
        name: Its folder.
        mistake: What was done wrong; "healthy" for nothing.
        setup: The run.
        must: Groups of rule ids; of each group one has to fire.
        may: Rule ids that are no false alarms here.
    """

    name: str
    mistake: str
    setup: Setup
    must: tuple[tuple[str, ...], ...] = ()
    may: tuple[str, ...] = ()


def side_effects(setup: Setup) -> Iterator[str]:
    """What is true of a run besides its mistake, and so no false alarm."""
    if setup.warmup == 0:
        yield "no-warmup"
    if setup.evaluate and (setup.eval_examples or 160) < 200:
        yield "eval-too-small"
    if setup.max_grad_norm:
        yield "clipping-always"
    if setup.schedule == "constant":
        yield "no-schedule"
    if setup.evaluate is None:
        yield "no-validation"


def _case(mistake: str, setup: Setup, *must: str, may: tuple[str, ...] = (), tag: str = "") -> Case:
    name = f"{mistake}-{setup.task}-{tag or format(setup.lr, 'g')}-s{setup.seed}"
    return Case(
        name=name,
        mistake=mistake,
        setup=setup,
        must=tuple(tuple(group.split("|")) for group in must),
        may=tuple(sorted({*may, *side_effects(setup)})),
    )


def healthy() -> Iterator[Case]:
    """Sensible rates, warm-up, decay to zero, validation."""
    runs: list[tuple[str, float, dict[str, Any]]] = [
        ("digits", 1e-2, {}), ("digits", 1e-2, {"seed": 1}), ("digits", 1e-2, {"seed": 2}),
        ("digits", 1e-2, {"seed": 3, "eval_examples": 40}),
        ("digits", 1e-2, {"seed": 4, "eval_examples": 80, "evaluations": 10}),
        ("digits", 3e-2, {"seed": 5}), ("digits", 3e-2, {"seed": 6, "evaluations": 50}),
        ("digits", 5e-3, {"seed": 7, "schedule": "cosine"}),
        ("digits", 5e-3, {"seed": 8, "schedule": "cosine", "evaluations": 5}),
        ("digits", 1e-2, {"seed": 9, "warmup": 0.0}),
        ("digits", 5e-3, {"seed": 10, "steps": 300, "log_every": 3}),
        ("digits", 3e-3, {"seed": 11, "steps": 400, "log_every": 5, "schedule": "cosine"}),
        ("digits", 3e-3, {"seed": 12, "batch_size": 32}),
        ("digits-few", 1e-2, {}), ("digits-few", 1e-2, {"seed": 1}),
        ("digits-few", 1e-2, {"seed": 2, "evaluations": 10}),
        ("digits-noisy", 3e-4, {"log_every": 3}), ("digits-noisy", 3e-4, {"seed": 1, "log_every": 3}),
        ("digits-noisy", 3e-4, {"seed": 2, "log_every": 3, "schedule": "cosine"}),
        ("digits-noisy", 3e-4, {"seed": 3, "log_every": 3, "eval_examples": 60}),
        ("digits-sgd", 1e-1, {}), ("digits-sgd", 1e-1, {"seed": 1, "schedule": "cosine"}),
        ("digits-sgd", 3e-2, {"seed": 2}), ("digits-sgd", 1e-1, {"seed": 3, "warmup": 0.0}),
        ("bytes", 1e-3, {"log_every": 2}), ("bytes", 1e-3, {"seed": 1, "log_every": 2}),
        ("bytes", 5e-4, {"seed": 2, "log_every": 2, "schedule": "cosine"}),
        ("bytes", 1e-3, {"seed": 3, "log_every": 5, "max_grad_norm": 1.0}),
        ("bytes-lora", 1e-2, {"log_every": 2}),
        ("bytes-lora", 3e-3, {"seed": 1, "log_every": 2, "schedule": "cosine"}),
        ("effnet-digits", 2e-3, {"evaluations": 10}), ("effnet-digits", 1e-3, {"seed": 1, "evaluations": 10}),
        ("resnet-emoji", 5e-4, {"evaluations": 10}),
        ("minilm-topics", 2e-4, {"evaluations": 10}), ("minilm-reviews", 1e-4, {"evaluations": 10, "steps": 100}),
        ("minilm-lora", 5e-3, {"evaluations": 10}), ("minilm-rating", 1e-4, {"evaluations": 10}),
    ]  # fmt: skip
    for task, lr, options in runs:
        yield _case("healthy", Setup(task=task, lr=lr, **options))


def article() -> Iterator[Case]:
    """The article's three mistakes, and a rate that is too low."""
    high: list[tuple[str, float, dict[str, Any]]] = [
        ("digits", 3.0, {}), ("digits", 10.0, {"seed": 1}), ("digits", 30.0, {"seed": 2}),
        ("digits-sgd", 10.0, {}), ("digits-sgd", 30.0, {"seed": 1}),
        ("digits-sgd", 3.0, {"seed": 2, "momentum": 0.98, "warmup": 0.0}),
        ("digits-few", 10.0, {}), ("digits-noisy", 3.0, {"log_every": 3}),
        ("bytes", 3e-2, {"log_every": 2}), ("bytes", 1e-1, {"seed": 1, "log_every": 2}),
        ("bytes", 3e-1, {"seed": 2, "log_every": 2, "warmup": 0.0}),
        ("bytes-lora", 1e-1, {"log_every": 2}), ("bytes-lora", 3e-1, {"seed": 1, "log_every": 2}),
        ("effnet-digits", 3e-1, {"evaluations": 10}), ("minilm-lora", 1e-1, {"evaluations": 10}),
        ("minilm-topics", 5e-3, {"evaluations": 10}),
    ]  # fmt: skip
    for task, lr, options in high:
        yield _case("lr-too-high", Setup(task=task, lr=lr, **options), "lr-too-high", may=STORM)
    low: list[tuple[str, float, dict[str, Any]]] = [
        ("digits", 1e-6, {}), ("digits", 1e-5, {"seed": 1}), ("digits-few", 1e-5, {}),
        ("digits-sgd", 1e-4, {}), ("digits-noisy", 1e-6, {"log_every": 3}),
        ("bytes", 1e-6, {"log_every": 2}), ("bytes-lora", 1e-5, {"log_every": 2}),
        ("effnet-digits", 1e-5, {"evaluations": 10}), ("minilm-topics", 1e-6, {"evaluations": 10}),
    ]  # fmt: skip
    for task, lr, options in low:
        yield _case(
            "lr-too-low", Setup(task=task, lr=lr, **options), "lr-too-low|underfitting", may=SLOW
        )
    for task, lr, seed in (("digits", 1e-2, 20), ("digits-few", 1e-2, 21), ("digits-sgd", 1e-1, 22),
                           ("digits-noisy", 3e-4, 23), ("bytes", 1e-3, 24), ("bytes-lora", 5e-3, 25)):  # fmt: skip
        setup = Setup(task=task, lr=lr, seed=seed, evaluate=None, log_every=2)
        yield _case("no-validation", setup, "no-validation", may=("best-not-kept",))
    for task, lr, seed, warmup in (("digits", 5e-3, 30, 0.1), ("digits", 5e-3, 31, 0.0),
                                   ("digits-few", 5e-3, 32, 0.1), ("digits-sgd", 5e-2, 33, 0.1),
                                   ("digits-noisy", 2e-4, 34, 0.0), ("bytes", 5e-4, 35, 0.1),
                                   ("bytes-lora", 5e-3, 36, 0.0)):  # fmt: skip
        setup = Setup(task=task, lr=lr, seed=seed, schedule="constant", warmup=warmup, log_every=2)
        yield _case("no-schedule", setup, "no-schedule", may=("budget-too-short", "plateau"))


def learning() -> Iterator[Case]:
    """Overfitting, underfitting, memorisation, instability."""
    over: list[tuple[str, float, dict[str, Any]]] = [
        ("digits-noisy", 1e-2, {}), ("digits-noisy", 3e-3, {"seed": 1}),
        ("digits-noisy", 1e-2, {"seed": 2, "train_examples": 100}),
        ("digits-noisy", 5e-3, {"seed": 3, "train_examples": 60, "schedule": "cosine"}),
        ("digits-noisy", 1e-2, {"seed": 4, "eval_examples": 60}),
        ("digits-noisy", 1e-2, {"seed": 5, "evaluations": 8}),
        ("bytes", 1e-3, {"train_examples": 40}), ("bytes", 2e-3, {"seed": 1, "train_examples": 80}),
    ]  # fmt: skip
    for task, lr, options in over:
        setup = Setup(task=task, lr=lr, log_every=2, **options)
        yield _case("overfitting", setup, "overfitting", may=OVER)
        if not options.get("seed"):
            setup = Setup(task=task, lr=lr, log_every=2, **options, plan={"keeps_best": False})
            yield _case(
                "best-not-kept", setup, "overfitting", "best-not-kept", may=OVER, tag="lost"
            )
    few = Setup(task="minilm-few", lr=2e-4, steps=80, evaluations=10)
    yield _case("overfitting", few, "overfitting", may=OVER, tag="long")
    for lr, seed in ((1e-2, 0), (3e-3, 1)):
        setup = Setup(task="digits", lr=lr, seed=seed, shuffled=True)
        must = "underfitting|lr-too-low|plateau"
        yield _case("underfitting", setup, must, may=(*SLOW, "overfitting"), tag="shuffled")
    for task, lr, trained in (("digits-noisy", 3e-4, 0.15), ("digits-sgd", 1e-2, 0.15)):
        setup = Setup(task=task, lr=lr, trained=trained, log_every=2)
        yield _case(
            "underfitting", setup, "underfitting|lr-too-low|plateau|budget-too-short", may=SLOW
        )
    for seed, keep in ((0, 40), (1, 64)):
        setup = Setup(task="bytes", lr=2e-3, seed=seed, train_examples=keep, schedule="constant")
        yield _case("loss-stairs", setup, "loss-stairs|overfitting", may=(*OVER, "no-schedule"))
    for task, lr, shocks in (("digits", 1e-2, (60,)), ("digits", 1e-2, (45, 75)),
                             ("digits-sgd", 3e-2, (70,)), ("digits-noisy", 3e-4, (150, 220))):  # fmt: skip
        setup = Setup(task=task, lr=lr, shocks=shocks)
        yield _case("loss-spikes", setup, "loss-spikes", may=("lr-too-high", "plateau"),
                    tag="-".join(map(str, shocks)))  # fmt: skip
    for task, lr, seed in (("digits", 1e-2, 40), ("digits-sgd", 3e-2, 41), ("bytes", 3e-4, 42)):
        setup = Setup(task=task, lr=lr, seed=seed, steps=20, schedule="constant", warmup=0.2,
                      evaluations=10)  # fmt: skip
        yield _case("budget-too-short", setup, "budget-too-short|no-schedule", may=("no-schedule",))
    for task, lr, seed, clean in (("digits-sgd", 1e4, 0, True), ("digits-sgd", 1e4, 1, False),
                                  ("digits", 1e30, 2, False), ("bytes", 1e6, 3, True)):  # fmt: skip
        setup = Setup(task=task, lr=lr, seed=seed, filters_nan=clean)
        yield _case("not-finite", setup, "not-finite|lr-too-high", may=(*STORM, "lr-too-high"))
    for scale, seed in ((100, 0), (126, 1), (60, 2)):
        setup = Setup(task="digits", lr=1e-2, seed=seed, fp16=scale)
        yield _case("fp16-overflow", setup, "fp16-overflow|not-finite", may=("plateau", "lr-too-low", "underfitting"),
                    tag=str(scale))  # fmt: skip


def schedules() -> Iterator[Case]:
    """Warm-up, horizon, resume, batch."""
    for task, lr, seed in (("digits", 1e-2, 50), ("digits-sgd", 1e-1, 51), ("bytes", 1e-3, 52)):
        setup = Setup(task=task, lr=lr, seed=seed, schedule_frac=12.0, log_every=2)
        yield _case("warmup-too-long", setup, "warmup-too-long", may=("schedule-mismatch", "budget-too-short", "no-schedule", "lr-too-low"))  # fmt: skip
    for task, lr, seed in (("digits", 1e-2, 53), ("digits-few", 1e-2, 54)):
        setup = Setup(task=task, lr=lr, seed=seed, warmup=0.7)
        yield _case("warmup-too-long", setup, "warmup-too-long", may=("budget-too-short",), tag="70")  # fmt: skip
    for task, lr, seed in (("bytes", 5e-3, 55), ("bytes", 3e-3, 56), ("minilm-topics", 1e-3, 57)):
        setup = Setup(task=task, lr=lr, seed=seed, warmup=0.0)
        yield _case("no-warmup", setup, "no-warmup|lr-too-high", may=STORM)
    for task, lr, seed, frac, schedule in (
        ("digits", 1e-2, 60, 2.0, "linear"), ("digits", 1e-2, 61, 2.0, "cosine"),
        ("digits-sgd", 5e-2, 62, 2.0, "linear"), ("bytes", 1e-3, 63, 2.0, "cosine"),
        ("digits", 1e-2, 64, 0.5, "linear"), ("digits", 1e-2, 65, 0.5, "cosine"),
        ("digits-noisy", 5e-4, 66, 0.5, "linear"), ("bytes", 1e-3, 67, 0.5, "linear"),
    ):  # fmt: skip
        setup = Setup(task=task, lr=lr, seed=seed, schedule_frac=frac, schedule=schedule)
        tag = "twice" if frac > 1 else "half"
        yield _case("schedule-mismatch", setup, "schedule-mismatch", may=("plateau", "no-schedule", "budget-too-short"), tag=f"{tag}-{schedule}")  # fmt: skip
    for task, lr, seed, at in (("digits", 1e-2, 70, 0.5), ("digits", 1e-2, 71, 0.8),
                               ("digits-sgd", 5e-2, 72, 0.6), ("bytes", 1e-3, 73, 0.6)):  # fmt: skip
        setup = Setup(task=task, lr=lr, seed=seed, resume_at=at)
        yield _case("lr-restarted", setup, "lr-restarted", may=("schedule-mismatch",), tag=f"at{at:g}")  # fmt: skip
    for task, lr, seed, batch in (("digits", 1e-2, 74, 128), ("digits-sgd", 5e-2, 75, 2),
                                  ("digits-noisy", 3e-4, 76, 96)):  # fmt: skip
        setup = Setup(task=task, lr=lr, seed=seed, resume_at=0.4, resume_batch=batch)
        yield _case("batch-not-scaled", setup, "batch-not-scaled", may=("lr-too-high", "overfitting", "plateau"), tag=f"to{batch}")  # fmt: skip


def settings() -> Iterator[Case]:
    """Mistakes that the plan shows, trained all the same."""
    low = ("lr-too-low", *SLOW)
    yield _case("lora-rate", Setup(task="bytes-lora", lr=2e-5, seed=80), "lora-rate|lr-too-low", may=low)  # fmt: skip
    yield _case("lora-rate", Setup(task="minilm-lora", lr=2e-5, seed=81, evaluations=10), "lora-rate|lr-too-low", may=low)  # fmt: skip
    yield _case("lora-rate", Setup(task="bytes", lr=1e-2, seed=82, warmup=0.0), "lora-rate|lr-too-high", may=STORM)  # fmt: skip
    yield _case("optimizer-rate", Setup(task="digits-sgd", lr=2e-5, seed=83), "optimizer-rate|lr-too-low", may=low)  # fmt: skip
    yield _case("optimizer-rate", Setup(task="digits-sgd", lr=5e-5, seed=84), "optimizer-rate|lr-too-low", may=low)  # fmt: skip
    yield _case("optimizer-rate", Setup(task="bytes", lr=5e-5, seed=85, optimizer="sgd"), "optimizer-rate|lr-too-low", may=low)  # fmt: skip
    yield _case("optimizer-rate", Setup(task="bytes", lr=1e-1, seed=86), "optimizer-rate|lr-too-high", may=("lr-too-high", *STORM))  # fmt: skip
    for task, lr, seed in (("digits", 1e-2, 87), ("digits-noisy", 3e-3, 88), ("digits-sgd", 1e-1, 89),
                           ("bytes", 1e-3, 90)):  # fmt: skip
        setup = Setup(task=task, lr=lr, seed=seed, evaluate="train")
        yield _case("eval-on-train", setup, "eval-on-train", may=("label-leak", "eval-below-train"))
    for seed, metric, mode in ((91, "eval_accuracy", "min"), (92, "eval_loss", "max"), (93, "eval_accuracy", "min")):  # fmt: skip
        setup = Setup(task="digits", lr=1e-2, seed=seed, plan={"metric": metric, "metric_mode": mode})  # fmt: skip
        yield _case("metric-direction", setup, "metric-direction", may=("best-not-kept",))
    for seed, task in ((94, "digits"), (95, "digits-sgd"), (96, "digits-few")):
        lr = 1e-1 if task == "digits-sgd" else 1e-2
        groups = [{"name": "body", "lr": lr, "params": 23520, "frozen": True}, {"name": "head", "lr": lr, "params": 325}]  # fmt: skip
        setup = Setup(task=task, lr=lr, seed=seed, trained=0.15, plan={"groups": groups})
        yield _case("frozen-parameters", setup, "frozen-parameters", may=SLOW)
    for seed, task, lr in ((97, "digits", 1e-2), (98, "bytes", 1e-3), (99, "digits-sgd", 1e-1)):
        setup = Setup(task=task, lr=lr, seed=seed, max_grad_norm=0.01)
        yield _case("clipping-always", setup, "clipping-always", may=(*SLOW, "lr-too-low"))
    for seed, lr in ((100, 1e-2), (101, 1e-2), (102, 3e-3)):
        setup = Setup(task="digits", lr=lr, seed=seed, leak=True)
        yield _case("label-leak", setup, may=("label-leak", "eval-on-train", "plateau", "eval-below-train"))  # fmt: skip
    for seed, n in ((103, 6), (104, 10), (105, 8)):
        setup = Setup(task="digits", lr=1e-2, seed=seed, eval_examples=n)
        yield _case("eval-too-small", setup, "eval-too-small", tag=f"n{n}")
    for seed, task, lr in ((106, "digits", 1e-2), (107, "digits-noisy", 3e-4), (108, "bytes", 1e-3)):  # fmt: skip
        setup = Setup(task=task, lr=lr, seed=seed, evaluations=1)
        yield _case("eval-too-rare", setup, "eval-too-rare")
    for seed, decay in ((109, 1.25), (110, 1.4)):
        setup = Setup(task="digits", lr=1e-2, seed=seed, layer_decay=decay)
        yield _case("layerwise-reversed", setup, "layerwise-reversed", may=("lr-too-high",), tag=f"{decay:g}")  # fmt: skip
    for seed, lr in ((111, 3e-3), (112, 5e-3)):
        setup = Setup(task="bytes", lr=lr, seed=seed, remembers=True, evaluations=15)
        yield _case("forgetting", setup, "forgetting", may=("lr-too-high", "overfitting", "plateau"))  # fmt: skip
    for seed, lr in ((113, 2e-2), (114, 3e-2)):
        setup = Setup(task="digits", lr=lr, seed=seed, plan={"facts": {"initial_lr": 3e-3}})
        yield _case("lr-above-pretraining", setup, "lr-above-pretraining", may=("lr-too-high",))


def cases() -> list[Case]:
    """All of them; names are unique."""
    found = [*healthy(), *article(), *learning(), *schedules(), *settings()]
    names = {case.name for case in found}
    if len(names) != len(found):
        raise ValueError("two cases have the same name")
    return found
