"""Short sweeps of small models, our own: what recipes do not cover.

AdamW and SGD, on a CPU or GPU. Those with a warm-up, by `scripts/recommend_sweeps.py`, train as the
autopilot does and score the loss of a test part; the correction for short runs is fitted to them.
The others are single runs, scores on 300 to 500 examples: good for the power of ten of the best
rate, not for its digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lrpilot.recommend.cases import Case, make_case


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """A sweep of the peak rate: what ran, and the score at each rate."""

    label: str
    family: str | None
    architecture: str
    pretraining: str
    params: float
    task: str
    steps: int
    batch_size: int
    scores: dict[float, float]
    mode: str
    method: str = "full"
    optimizer: str = "adamw"
    warmup: float = 0.0
    examples: int | None = None
    classes: int | None = None

    @property
    def case(self) -> Case:
        """What the estimator would have been told."""
        return make_case(
            model=None,
            family=self.family,
            architecture=self.architecture,
            pretraining=self.pretraining,
            method=self.method,
            optimizer=self.optimizer,
            task=self.task,
            params=self.params,
            batch_size=self.batch_size,
            steps=self.steps,
            epochs=None if self.examples is None else self.steps * self.batch_size / self.examples,
            classes=self.classes,
        )

    @property
    def best_log_rate(self) -> float:
        """log10 of the best rate: the vertex of the parabola through the best and its neighbours.

        A best at the edge of the sweep is returned as it is: a bound.
        """
        rates = np.log10(sorted(self.scores))
        sign = 1.0 if self.mode == "max" else -1.0
        values = sign * np.array([self.scores[rate] for rate in sorted(self.scores)])
        best = int(np.argmax(values))
        if best in (0, len(rates) - 1):
            return float(rates[best])
        curve = np.polyfit(rates[best - 1 : best + 2], values[best - 1 : best + 2], 2)
        return float(-curve[1] / (2.0 * curve[0]))


_MINILM: dict[str, Any] = {"family": "minilm", "architecture": "encoder",
           "pretraining": "contrastive",
           "params": 22.7e6, "batch_size": 16}  # fmt: skip
_THIN: dict[str, Any] = {"family": "resnet", "architecture": "cnn", "pretraining": "supervised",
         "params": 5.9e6, "batch_size": 16}  # fmt: skip
_LITE: dict[str, Any] = {"family": "efficientnet", "architecture": "cnn",
         "pretraining": "supervised", "params": 3.4e6, "batch_size": 16}  # fmt: skip
_SMOL: dict[str, Any] = {"family": "smollm", "architecture": "decoder",
         "pretraining": "instruction-tuned", "params": 134.5e6, "batch_size": 4}  # fmt: skip


def _bytes(
    steps: int,
    method: str,
    scores: dict[float, float],
    warmup: float = 0.0,
    examples: int | None = None,
    optimizer: str = "adamw",
) -> Sweep:
    """The bench's byte-level GPT-2 on a text that is no task of the bench."""
    return Sweep(
        label=f"a byte-level GPT-2 of 0.64 million parameters, editorials, {method}: loss",
        family="gpt2", architecture="decoder", pretraining="self-supervised", params=0.644e6,
        task="text-generation", steps=steps, batch_size=8, mode="min", method=method,
        scores=scores, warmup=warmup, examples=examples, optimizer=optimizer,
    )  # fmt: skip


def _warmed(
    model: dict[str, Any],
    label: str,
    task: str,
    steps: int,
    examples: int,
    classes: int | None,
    scores: dict[float, float],
    *,
    method: str = "full",
    optimizer: str = "adamw",
) -> Sweep:
    """A sweep by `scripts/recommend_sweeps.py`: the mean loss at each rate."""
    return Sweep(label=label, task=task, steps=steps, examples=examples, classes=classes,
                 scores=scores, method=method, optimizer=optimizer, mode="min", warmup=0.1,
                 **model)  # fmt: skip


def _small_net(params: float, scores: dict[float, float], family: str | None = None) -> Sweep:
    """Three convolutions with batch norm, pretrained on digits of 32 pixels a side, with SGD."""
    model: dict[str, Any] = {"family": family, "architecture": "cnn", "batch_size": 16,
                             "pretraining": "supervised", "params": params}  # fmt: skip
    label = f"a CNN of {params / 1e3:.0f} thousand parameters, nine kinds of emoji"
    return _warmed(model, label, "image-classification", 60, 995, 9, scores, optimizer="sgd")


SWEEPS: tuple[Sweep, ...] = (  # measured: one seed each unless the label says more
    Sweep(label="MiniLM, sentiment of 1,000 film sentences: accuracy", task="sentiment", steps=62,
          mode="max", scores={1e-5: 0.558, 1e-4: 0.798, 1e-3: 0.698}, **_MINILM),
    Sweep(label="MiniLM, five topics: loss, two seeds", task="text-classification", steps=40,
          mode="min", scores={3e-5: 1.320, 1e-4: 0.538, 3e-4: 0.436, 1e-3: 0.562, 3e-3: 1.59},
          **_MINILM),
    Sweep(label="MiniLM, ratings of tweets: squared error", task="similarity", steps=40,
          mode="min", scores={1e-5: 0.820, 1e-4: 0.292, 1e-3: 0.532}, **_MINILM),
    Sweep(label="MiniLM, sentiment of 2,000 editorial sentences: loss, best at the edge",
          task="sentiment", steps=400, mode="min",
          scores={3e-5: 0.304, 1e-4: 0.345, 3e-4: 0.441}, **_MINILM),
    Sweep(label="MiniLM, LoRA rank 8, sign of tweets: accuracy, best at the edge", method="lora",
          task="sentiment", steps=40, mode="max", scores={1e-4: 0.685, 1e-3: 0.725, 1e-2: 0.900},
          **_MINILM),
    Sweep(label="ResNet-50-thin, nine kinds of emoji: accuracy", task="image-classification",
          steps=50, mode="max", scores={1e-5: 0.130, 1e-4: 0.478, 1e-3: 0.560, 1e-2: 0.343},
          **_THIN),
    Sweep(label="ResNet-50-thin, clothes: accuracy", task="image-classification", steps=50,
          mode="max", scores={1e-4: 0.677, 1e-3: 0.777, 1e-2: 0.540}, **_THIN),
    Sweep(label="EfficientNet-Lite0, clothes: accuracy", task="image-classification", steps=50,
          mode="max", scores={1e-4: 0.173, 1e-3: 0.750, 1e-2: 0.345}, **_LITE),
    Sweep(label="a ResNet of 0.3 million parameters, digits: accuracy, three seeds",
          family="resnet", architecture="cnn", pretraining="supervised", params=0.3e6,
          batch_size=16, task="image-classification", steps=80, mode="max",
          scores={1e-4: 0.45, 1e-3: 0.966, 1e-2: 0.973}),
    Sweep(label="SmolLM2-135M, King James text, batches of 8: loss", steps=16, mode="min",
          scores={1e-5: 3.392, 1e-4: 3.088, 1e-3: 3.352},
          task="text-generation", **{**_SMOL, "batch_size": 8}),
    Sweep(label="SmolLM2-135M, LoRA rank 8, King James text: loss", steps=12, mode="min",
          method="lora", scores={1e-4: 3.486, 1e-3: 3.201, 1e-2: 3.412},
          task="text-generation", **_SMOL),
    Sweep(label="a byte-level GPT-2 of 0.6 million parameters, film reviews: loss, best at the"
          " edge", family="gpt2", architecture="decoder", pretraining="self-supervised",
          params=0.6e6, batch_size=16, task="text-generation", steps=225, mode="min",
          scores={1e-4: 2.173, 3e-4: 2.098, 1e-3: 2.031, 3e-3: 1.997, 1e-2: 1.990}),
    *(_bytes(steps, "full", scores) for steps, scores in (
        (30, {3e-4: 2.575, 1e-3: 2.598, 3e-3: 2.627, 1e-2: 2.832, 3e-2: 3.168}),
        (120, {3e-4: 2.494, 1e-3: 2.457, 3e-3: 2.536, 1e-2: 2.672, 3e-2: 3.083}),
        (480, {3e-4: 2.389, 1e-3: 2.328, 3e-3: 2.383, 1e-2: 2.542, 3e-2: 2.725}),
    )),
    *(_bytes(steps, "lora", scores) for steps, scores in (
        (30, {1e-3: 2.679, 3e-3: 2.645, 1e-2: 2.637, 3e-2: 2.850}),
        (120, {1e-3: 2.621, 3e-3: 2.600, 1e-2: 2.584, 3e-2: 2.902}),
        (480, {1e-3: 2.582, 3e-3: 2.556, 1e-2: 2.535, 3e-2: 3.198}),
    )),
    # `scripts/recommend_sweeps.py`: two to four seeds, most of SmolLM2's one
    _warmed(_LITE, "EfficientNet-Lite0, nine kinds of emoji", "image-classification", 60, 995, 9,
            {3e-4: 1.652, 1e-3: 1.251, 3e-3: 1.263, 1e-2: 1.693}),
    _warmed(_LITE, "EfficientNet-Lite0, two groups of them", "image-classification", 60, 995, 2,
            {1e-4: 0.634, 3e-4: 0.536, 1e-3: 0.485, 3e-3: 0.468, 1e-2: 0.827}),
    _warmed(_LITE, "EfficientNet-Lite0, 100 emoji", "image-classification", 60, 100, 9,
            {1e-4: 2.079, 3e-4: 1.645, 1e-3: 1.429, 3e-3: 1.706, 1e-2: 1.739}),
    _warmed(_THIN, "ResNet-50-thin, digits", "image-classification", 60, 500, 10,
            {1e-4: 1.270, 3e-4: 0.463, 1e-3: 0.140, 3e-3: 0.142, 1e-2: 0.323}),
    _warmed(_THIN, "ResNet-50-thin, two groups of them", "image-classification", 60, 500, 2,
            {3e-5: 0.514, 1e-4: 0.307, 3e-4: 0.136, 1e-3: 0.097, 3e-3: 0.121}),
    _warmed(_THIN, "ResNet-50-thin, 100 digits", "image-classification", 60, 100, 10,
            {1e-4: 1.369, 3e-4: 0.696, 1e-3: 0.275, 3e-3: 0.372, 1e-2: 0.577}),
    _warmed(_MINILM, "MiniLM, 640 editorial sentences, good or bad", "sentiment", 60, 640, 2,
            {3e-5: 0.650, 1e-4: 0.411, 3e-4: 0.408, 1e-3: 0.666}),
    _warmed(_MINILM, "MiniLM, the same in 150 steps", "sentiment", 150, 640, 2,
            {1e-5: 0.651, 3e-5: 0.398, 1e-4: 0.414, 3e-4: 0.512, 1e-3: 0.665}),
    _warmed(_MINILM, "MiniLM, 100 of them", "sentiment", 40, 100, 2,
            {1e-5: 0.678, 3e-5: 0.656, 1e-4: 0.547, 3e-4: 0.840, 1e-3: 1.073, 3e-3: 0.680}),
    _warmed(_MINILM, "MiniLM, 800 names of emoji, nine kinds", "text-classification", 60, 800, 9,
            {1e-4: 1.445, 3e-4: 0.791, 1e-3: 0.900, 3e-3: 1.918}),
    _warmed(_MINILM, "MiniLM, four groups of them", "text-classification", 60, 800, 4,
            {1e-4: 0.719, 3e-4: 0.477, 1e-3: 0.670}),
    _warmed(_MINILM, "MiniLM, two groups of them", "text-classification", 60, 800, 2,
            {3e-5: 0.603, 1e-4: 0.297, 3e-4: 0.268, 1e-3: 0.333}),
    _warmed(_MINILM, "MiniLM, 100 of them, nine kinds", "text-classification", 40, 100, 9,
            {1e-5: 2.174, 3e-5: 2.117, 1e-4: 1.768, 3e-4: 1.055, 1e-3: 1.091, 3e-3: 2.108}),
    _warmed(_MINILM, "MiniLM, 800 sentences of the Bible, from which ninth", "text-classification",
            60, 800, 9, {3e-5: 2.168, 1e-4: 2.027, 3e-4: 1.889, 1e-3: 2.094}),
    _warmed(_MINILM, "MiniLM, the same, from which half", "text-classification", 60, 800, 2,
            {3e-5: 0.672, 1e-4: 0.614, 3e-4: 0.580, 1e-3: 0.685}),
    _warmed(_MINILM, "MiniLM, LoRA rank 8, 640 editorial sentences", "sentiment", 60, 640, 2,
            {1e-3: 0.649, 3e-3: 0.422, 1e-2: 0.429, 3e-2: 0.665}, method="lora"),
    _warmed(_MINILM, "MiniLM, LoRA rank 8, the same in 150 steps", "sentiment", 150, 640, 2,
            {3e-4: 0.650, 1e-3: 0.403, 3e-3: 0.408, 1e-2: 0.511, 3e-2: 0.665}, method="lora"),
    _warmed(_MINILM, "MiniLM, LoRA rank 8, 100 of them", "sentiment", 40, 100, 2,
            {3e-4: 0.675, 1e-3: 0.658, 3e-3: 0.533, 1e-2: 0.728, 3e-2: 0.667}, method="lora"),
    _warmed(_MINILM, "MiniLM, LoRA rank 8, 800 names of emoji, nine kinds", "text-classification",
            60, 800, 9, {1e-3: 1.954, 3e-3: 1.355, 1e-2: 0.758, 3e-2: 2.125}, method="lora"),
    _warmed(_MINILM, "MiniLM, LoRA rank 8, two groups of them", "text-classification", 60, 800, 2,
            {1e-3: 0.597, 3e-3: 0.316, 1e-2: 0.277, 3e-2: 0.698}, method="lora"),
    _warmed(_SMOL, "SmolLM2-135M, 96 blocks of editorials", "text-generation", 24, 96, None,
            {3e-5: 4.317, 1e-4: 4.137, 3e-4: 4.100, 1e-3: 4.433}),
    _warmed(_SMOL, "SmolLM2-135M, 24 of them", "text-generation", 24, 24, None,
            {3e-5: 4.434, 1e-4: 4.373, 3e-4: 4.776, 1e-3: 6.179}),
    _warmed(_SMOL, "SmolLM2-135M, LoRA rank 8, 96 of them", "text-generation", 24, 96, None,
            {3e-4: 4.352, 1e-3: 4.137, 3e-3: 4.072, 1e-2: 4.165}, method="lora"),
    _warmed(_SMOL, "SmolLM2-135M, LoRA rank 8, 24 of them", "text-generation", 24, 24, None,
            {3e-4: 4.464, 1e-3: 4.321, 3e-3: 4.830, 1e-2: 6.109}, method="lora"),
    *(_bytes(steps, method, scores, 0.1, examples) for steps, method, examples, scores in (
        (30, "full", 960, {3e-4: 2.620, 1e-3: 2.579, 3e-3: 2.646, 1e-2: 2.785}),
        (120, "full", 960, {3e-4: 2.521, 1e-3: 2.456, 3e-3: 2.438, 1e-2: 2.562}),
        (120, "full", 100, {1e-4: 2.598, 3e-4: 2.546, 1e-3: 2.507, 3e-3: 2.526, 1e-2: 2.644}),
        (120, "lora", 960, {1e-3: 2.668, 3e-3: 2.633, 1e-2: 2.613, 3e-2: 2.645}),
        (120, "lora", 100, {1e-3: 2.672, 3e-3: 2.644, 1e-2: 2.629, 3e-2: 2.671}),
    )),
    # longer runs: the same data, seen more often; one seed
    _warmed(_LITE, "EfficientNet-Lite0, nine kinds of emoji, 240 steps", "image-classification",
            240, 995, 9, {3e-4: 1.139, 1e-3: 0.949, 3e-3: 1.026}),
    _warmed(_THIN, "ResNet-50-thin, digits, 240 steps", "image-classification", 240, 500, 10,
            {3e-4: 0.081, 1e-3: 0.054, 3e-3: 0.079}),
    _bytes(480, "full", {3e-4: 2.412, 1e-3: 2.328, 3e-3: 2.263, 1e-2: 2.316}, 0.1, 960),
    # LoRA in runs of up to some hundred steps, and all weights to compare it with; one seed
    *(_warmed(_SMOL, f"SmolLM2-135M, LoRA rank 8, Python's help, {steps} steps", "text-generation",
              steps, 1400, None, scores, method="lora") for steps, scores in (
        (24, {1e-3: 3.125, 1.8e-3: 3.072, 3e-3: 3.036, 5.6e-3: 3.035, 1e-2: 3.144}),
        (60, {1e-3: 2.974, 1.8e-3: 2.920, 3e-3: 2.882, 5.6e-3: 2.870, 1e-2: 3.106}),
        (150, {1e-3: 2.798, 1.8e-3: 2.743, 3e-3: 2.710, 5.6e-3: 2.711, 1e-2: 6.800}),
        (400, {1e-3: 2.607, 1.8e-3: 2.542, 3e-3: 2.494, 5.6e-3: 3.008, 1e-2: 6.536}),
    )),
    *(_warmed(_SMOL, f"SmolLM2-135M, Python's help, {steps} steps", "text-generation", steps, 1400,
              None, scores) for steps, scores in (
        (24, {1e-4: 3.074, 1.8e-4: 3.025, 3e-4: 3.028, 5.6e-4: 3.138}),
        (60, {1e-4: 2.901, 1.8e-4: 2.846, 3e-4: 2.836, 5.6e-4: 2.919}),
        (150, {5.6e-5: 2.801, 1e-4: 2.708, 1.8e-4: 2.641, 3e-4: 2.610, 5.6e-4: 2.680}),
    )),
    _warmed(_SMOL, "SmolLM2-135M, LoRA rank 8, 640 editorial blocks", "text-generation", 150, 640,
            None, {1e-3: 4.009, 1.8e-3: 3.999, 3e-3: 3.990, 5.6e-3: 4.049}, method="lora"),
    _warmed(_SMOL, "SmolLM2-135M, LoRA rank 8, the same in 400 steps", "text-generation", 400, 640,
            None, {5.6e-4: 4.020, 1e-3: 4.077, 1.8e-3: 4.207, 3e-3: 7.337, 5.6e-3: 7.472},
            method="lora"),
    _warmed(_SMOL, "SmolLM2-135M, 640 editorial blocks", "text-generation", 150, 640, None,
            {5.6e-5: 4.029, 1e-4: 3.991, 1.8e-4: 3.992, 3e-4: 4.029}),
    _warmed(_MINILM, "MiniLM, LoRA rank 8, 640 editorial sentences, 400 steps", "sentiment", 400,
            640, 2, {1e-4: 0.646, 3e-4: 0.393, 1e-3: 0.441, 3e-3: 0.599, 1e-2: 0.665},
            method="lora"),
    _warmed(_MINILM, "MiniLM, LoRA rank 8, 800 names of emoji, nine kinds, 400 steps",
            "text-classification", 400, 800, 9,
            {1e-3: 0.662, 3e-3: 0.576, 1e-2: 0.886, 3e-2: 2.120}, method="lora"),
    _warmed(_MINILM, "MiniLM, 3,200 sentences of the Bible, from which ninth, 400 steps",
            "text-classification", 400, 3200, 9,
            {3e-5: 1.725, 1e-4: 1.449, 3e-4: 1.360, 1e-3: 1.977}),
    _bytes(480, "lora", {3e-3: 2.583, 1e-2: 2.560, 3e-2: 3.309}, 0.1, 960),
    # with SGD and momentum .9
    _warmed(_LITE, "EfficientNet-Lite0, nine kinds of emoji", "image-classification", 60, 995, 9,
            {3e-3: 1.546, 1e-2: 1.292, 3e-2: 1.401}, optimizer="sgd"),
    _warmed(_THIN, "ResNet-50-thin, digits", "image-classification", 60, 500, 10,
            {3e-3: 0.293, 1e-2: 0.150, 3e-2: 0.278}, optimizer="sgd"),
    _small_net(24_393, {1e-2: 1.806, 3e-2: 1.678, 1e-1: 1.639, 3e-1: 1.703}, "digits-cnn"),
    _small_net(94_857, {1e-2: 1.782, 3e-2: 1.654, 1e-1: 1.648, 3e-1: 1.730}),
    _small_net(374_025, {1e-2: 1.782, 3e-2: 1.711, 1e-1: 1.731, 3e-1: 1.774}),
    _warmed(_MINILM, "MiniLM, 640 editorial sentences, good or bad", "sentiment", 60, 640, 2,
            {1e-2: 0.643, 3e-2: 0.425, 1e-1: 0.665}, optimizer="sgd"),
    _warmed(_MINILM, "MiniLM, 800 names of emoji, nine kinds", "text-classification", 60, 800, 9,
            {1e-2: 1.363, 3e-2: 0.781, 1e-1: 2.130}, optimizer="sgd"),
    _warmed(_MINILM, "MiniLM, LoRA rank 8, 800 names of emoji, nine kinds", "text-classification",
            60, 800, 9, {1e-1: 1.457, 3e-1: 0.863, 1.0: 2.160}, method="lora", optimizer="sgd"),
    _warmed(_SMOL, "SmolLM2-135M, 96 blocks of editorials", "text-generation", 24, 96, None,
            {3e-3: 4.174, 1e-2: 4.143, 3e-2: 6.544}, optimizer="sgd"),
    _bytes(120, "full", {1e-2: 2.557, 3e-2: 2.511, 1e-1: 2.562, 3e-1: 2.965}, 0.1, 960, "sgd"),
    _bytes(120, "lora", {3e-2: 2.700, 1e-1: 2.660, 3e-1: 3.237}, 0.1, 960, "sgd"),
)  # fmt: skip
