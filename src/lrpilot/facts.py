"""What is known before training, and what is recommended from it: plain, frozen values."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from lrpilot.errors import InputError

Confidence = Literal["high", "medium", "low"]
Distance = Literal["near", "medium", "far"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What is known about a fine-tuning run before it starts. Everything is optional.

    Attributes:
        model: Name of the pretrained model as its maker writes it ("bert-base-uncased").
        family: Lineage of one maker ("bert", "llama3"); found from `model` when it is left out.
        architecture: "encoder", "decoder", "encoder-decoder", "vit", "cnn", "diffusion", "speech",
            "multimodal", "timeseries" or "tabular".
        pretraining: What the checkpoint has seen: "self-supervised", "supervised",
            "contrastive", "instruction-tuned", "intermediate-task", ...
        params: Number of parameters of the whole model.
        method: "full", "lora", "qlora", "adapter", "prompt", "prefix", "bitfit", "linear-probe",
            "preference-full", "preference-lora".
        lora_rank: Rank r of the LoRA matrices.
        lora_alpha: LoRA's alpha; the update is scaled by alpha / r.
        optimizer: "adamw", "sgd", "lion", "adafactor" (its rate absolute, as transformers' Trainer
            sets it), "adafactor-relative" (times each tensor's size: scale_parameter=True), ...
        task: "text-classification", "image-classification", "text-generation", ...
        classes: Number of classes of a classification.
        train_examples: Number of training examples.
        batch_size: Effective batch size: examples that one optimizer step sees.
        epochs: Passes over the training data.
        steps: Optimizer steps of the whole run.
        distance: How far the task lies from the pretraining data.
        initial_lr: Peak learning rate of the pretraining, if known.
        planned_lr: The rate that the user means to take, to be checked; it moves nothing.
        layerwise_decay: Factor from each layer to the one below; 1.0 is none. None: not said.
    """

    model: str | None = None
    family: str | None = None
    architecture: str | None = None
    pretraining: str | None = None
    params: float | None = None
    method: str = "full"
    lora_rank: int | None = None
    lora_alpha: float | None = None
    optimizer: str = "adamw"
    task: str | None = None
    classes: int | None = None
    train_examples: int | None = None
    batch_size: int | None = None
    epochs: float | None = None
    steps: int | None = None
    distance: Distance | None = None
    initial_lr: float | None = None
    planned_lr: float | None = None
    layerwise_decay: float | None = None

    def __post_init__(self) -> None:
        for name in ("params", "lora_rank", "lora_alpha", "train_examples", "batch_size",
                     "epochs", "steps", "initial_lr", "planned_lr",
                     "layerwise_decay"):  # fmt: skip
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise InputError(f"{name} is {value!r}: give a positive, finite number")
        if self.classes is not None and self.classes < 2:
            raise InputError(f"classes is {self.classes!r}: give 2 or more, or leave it out")
        if self.distance not in (None, "near", "medium", "far"):
            raise InputError(f"distance is {self.distance!r}: give near, medium or far")

    @property
    def planned_steps(self) -> int | None:
        """Optimizer steps of the run: `steps`, or what examples, batch and epochs come to."""
        if self.steps is not None:
            return self.steps
        if self.train_examples is None or self.batch_size is None or self.epochs is None:
            return None
        return max(1, round(self.epochs * self.train_examples / self.batch_size))

    @property
    def planned_epochs(self) -> float | None:
        """Passes over the training data: `epochs`, or what steps, batch and examples come to."""
        if self.epochs is not None:
            return self.epochs
        if self.train_examples is None or self.batch_size is None or self.steps is None:
            return None
        return self.steps * self.batch_size / self.train_examples

    def known(self) -> dict[str, Any]:
        """The facts that were given, without the empty ones."""
        return {f.name: v for f in fields(self) if (v := getattr(self, f.name)) is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a number stands: something that a reader can open and check."""

    title: str
    where: str
    peak_lr: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One step of the reasoning: the rule, what it did to the number, and a sentence."""

    rule: str
    text: str
    factor: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """A starting learning rate with its band, the rest of the recipe, and why.

    Attributes:
        peak_lr: Recommended starting peak, absolute, as the optimizer sees it.
        low, high: The band that holds the best peak with probability `coverage`.
        coverage: Nominal probability of the band; None where no evidence supports a figure.
        warmup_frac: Share of the steps that the rate takes to rise to its peak.
        schedule: Shape after the warm-up ("linear", "cosine", "constant").
        layerwise_decay: Factor from each layer to the one below, where it is known to pay.
        confidence: How sure this is, in one word.
        basis: What the number rests on ("article", "model", "family", "cell", "prior", "user").
        reasons: Each step of the reasoning, in order.
        sources: What it rests on, the nearest first.
        warnings: What the user should know before starting.
        advice: The rest of the recipe in words: schedule, batch, head, epochs, LoRA or full.
        missing: Facts that were not given and would make the answer surer.
        reference_lr: What the sizes of the live weights suggest for a short run, beside a number of
            the user's own; None where they say nothing.
        head_ratio: Rate of the live model's new head, as a multiple of the rest; None: the same.
    """

    peak_lr: float
    low: float
    high: float
    coverage: float | None = None
    warmup_frac: float = 0.0
    schedule: str = "linear"
    layerwise_decay: float | None = None
    confidence: Confidence = "low"
    basis: str = "prior"
    reasons: tuple[Reason, ...] = ()
    sources: tuple[Source, ...] = ()
    warnings: tuple[str, ...] = ()
    advice: tuple[Reason, ...] = ()
    missing: tuple[str, ...] = ()
    reference_lr: float | None = None
    head_ratio: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.peak_lr <= self.high < float("inf"):
            raise InputError(
                f"a band of {self.low:g} to {self.high:g} does not hold the peak {self.peak_lr:g}"
            )

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Recommendation:
        """The inverse of `to_json`."""
        parts = dict(data)
        parts["reasons"] = tuple(Reason(**r) for r in data.get("reasons", ()))
        parts["sources"] = tuple(Source(**s) for s in data.get("sources", ()))
        parts["advice"] = tuple(Reason(**r) for r in data.get("advice", ()))
        parts["warnings"] = tuple(data.get("warnings", ()))
        parts["missing"] = tuple(data.get("missing", ()))
        return cls(**parts)
