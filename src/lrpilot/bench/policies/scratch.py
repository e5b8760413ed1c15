"""The same model without its pretraining: what the weights are worth on a task."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from lrpilot.bench.lab import DivergedError, Lab, Result

# assumed: half a power of ten around Adam's own default 1e-3; ten times that for SGD
_RATES = {"adamw": (3e-4, 1e-3, 3e-3), "sgd": (3e-3, 1e-2, 3e-2)}


@dataclass(frozen=True, slots=True)
class FromScratch:
    """Train from shuffled weights at three rates; keep the model with the best validation.

    Every matrix or kernel keeps its entries, in random order: a start of the right scale that knows
    nothing. Biases and the scales of norms stay.
    """

    name: str = "from-scratch"

    def run(self, lab: Lab) -> Result:
        """Three runs."""
        results = []
        for rate in _RATES[lab.task.optimizer]:
            training = lab.start()
            _shuffle(training.model, lab.seed)
            try:
                model = training.constant(rate)
            except DivergedError:
                continue
            loss = float(training.validate().double().mean())
            results.append((loss, Result(model=model, peak_lr=rate)))
        if not results:
            raise DivergedError
        return min(results, key=lambda pair: pair[0])[1]


def _shuffle(model: torch.nn.Module, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in model.parameters():
            if tensor.ndim > 1:
                order = torch.randperm(tensor.numel(), generator=random)
                tensor.copy_(tensor.flatten()[order].view_as(tensor))


POLICIES = (FromScratch(),)
