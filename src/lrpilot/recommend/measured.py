"""Short sweeps of small models, our own: what recipes do not cover.

AdamW on a CPU. Those with a warm-up, by `scripts/recommend_sweeps.py`, train as the autopilot does
and score the loss of a test part; the correction for short runs is fitted to them. The others are
single runs, scores on 300 to 500 examples: good for the power of ten of the best rate, not for its
digits.
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
    warmup: float = 0.0

    @property
    def case(self) -> Case:
        """What the estimator would have been told."""
        return make_case(
            model=None,
            family=self.family,
            architecture=self.architecture,
            pretraining=self.pretraining,
            method=self.method,
            optimizer="adamw",
            task=self.task,
            params=self.params,
            batch_size=self.batch_size,
            steps=self.steps,
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
         "pretraining": "instruction-tuned", "params": 134.5e6,
         "task": "text-generation"}  # fmt: skip


def _bytes(steps: int, method: str, scores: dict[float, float], warmup: float = 0.0) -> Sweep:
    """The bench's byte-level GPT-2 on a text that is no task of the bench."""
    return Sweep(
        label=f"a byte-level GPT-2 of 0.64 million parameters, editorials, {method}: loss",
        family="gpt2", architecture="decoder", pretraining="self-supervised", params=0.644e6,
        task="text-generation", steps=steps, batch_size=8, mode="min", method=method,
        scores=scores, warmup=warmup,
    )  # fmt: skip


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
    Sweep(label="SmolLM2-135M, King James text: loss", batch_size=8, steps=16, mode="min",
          scores={1e-5: 3.392, 1e-4: 3.088, 1e-3: 3.352}, **_SMOL),
    Sweep(label="SmolLM2-135M, LoRA rank 8, King James text: loss", batch_size=4, steps=12,
          mode="min", method="lora", scores={1e-4: 3.486, 1e-3: 3.201, 1e-2: 3.412}, **_SMOL),
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
    # `scripts/recommend_sweeps.py`: two seeds, SmolLM2 one
    Sweep(label="EfficientNet-Lite0, nine kinds of emoji: loss", task="image-classification",
          steps=60, mode="min", scores={3e-4: 1.652, 1e-3: 1.251, 3e-3: 1.263, 1e-2: 1.693},
          warmup=0.1, **_LITE),
    Sweep(label="ResNet-50-thin, digits: loss", task="image-classification", steps=60, mode="min",
          scores={1e-4: 1.270, 3e-4: 0.463, 1e-3: 0.140, 3e-3: 0.142, 1e-2: 0.323},
          warmup=0.1, **_THIN),
    Sweep(label="MiniLM, sentiment of 640 editorial sentences: loss", task="sentiment", steps=60,
          mode="min", scores={3e-5: 0.650, 1e-4: 0.411, 3e-4: 0.408, 1e-3: 0.666}, warmup=0.1,
          **_MINILM),
    Sweep(label="MiniLM, LoRA rank 8, the same: loss", task="sentiment", steps=60, method="lora",
          mode="min", scores={1e-3: 0.649, 3e-3: 0.422, 1e-2: 0.429, 3e-2: 0.665}, warmup=0.1,
          **_MINILM),
    Sweep(label="SmolLM2-135M, editorials: loss", batch_size=4, steps=24, mode="min",
          scores={3e-5: 4.317, 1e-4: 4.137, 3e-4: 4.100, 1e-3: 4.433}, warmup=0.1, **_SMOL),
    Sweep(label="SmolLM2-135M, LoRA rank 8, editorials: loss", batch_size=4, steps=24, mode="min",
          method="lora", scores={3e-4: 4.352, 1e-3: 4.137, 3e-3: 4.072, 1e-2: 4.165}, warmup=0.1,
          **_SMOL),
    _bytes(30, "full", {3e-4: 2.620, 1e-3: 2.579, 3e-3: 2.646, 1e-2: 2.785}, warmup=0.1),
    _bytes(120, "full", {3e-4: 2.521, 1e-3: 2.456, 3e-3: 2.438, 1e-2: 2.562}, warmup=0.1),
    _bytes(120, "lora", {1e-3: 2.668, 3e-3: 2.633, 1e-2: 2.613, 3e-2: 2.645}, warmup=0.1),
)  # fmt: skip
