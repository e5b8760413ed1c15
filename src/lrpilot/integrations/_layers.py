"""Rates of layers' own: how they rise from the lowest to the top, and how a step is given them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch

from lrpilot.facts import RunFacts
from lrpilot.integrations._head import last_layer, watch_inputs

_BATCH_NORM = torch.nn.modules.batchnorm._BatchNorm
# measured: docs/log.md, "Layer-wise rates"; the top's over the lowest layers'
_RISE = 4.0
_LEVELS = 4  # assumed: five different rates; each is a group of its own to the optimizer
# measured: docs/log.md, "A head of many inputs": .9 helps, 1.3 is alike, 1.6 harms; nats
_MOST = 1.0


def layer_rise(model: torch.nn.Module, head: float | None, facts: RunFacts) -> float | None:
    """By how much the rate of the top layers is to exceed that of the lowest ones.

    Below a new head the top has most to learn, and the lowest layers, the most general ones, least.

    Args:
        model: With batch norm nothing is gained.
        head: What `head_ratio` says.
        facts: The method.

    Returns:
        None: one rate for all. There is no new head, or not all weights train.

    Source:
        Howard and Ruder, "Universal language model fine-tuning", ACL 2018 (discriminative
        fine-tuning); Clark et al., "ELECTRA", ICLR 2020 (.8 to .9 a layer).
    """
    if head is None or facts.method != "full":
        return None
    return None if any(isinstance(m, _BATCH_NORM) for m in model.modules()) else _RISE


def layer_multiples(parameters: list[Any], rise: float) -> dict[int, float]:
    """Each parameter's rate as a multiple, by `id`; geometric, around one.

    Args:
        parameters: In the order of the layers, the lowest first.
        rise: The last one's over the first one's.
    """
    last = len(parameters) - 1
    levels = (round(_LEVELS * i / last) / _LEVELS if last else 0.5 for i in range(last + 1))
    return {id(p): rise ** (at - 0.5) for p, at in zip(parameters, levels, strict=True)}


class LayerSteps:
    """Gives layers their own rates during each step of an optimizer, whose groups stay as they are.

    Groups of their own would change the optimizer's state and the user's schedule, which count
    them. A step of the rate moves each output of a new head by up to the rate times the sum of its
    inputs' sizes, and that should be no more than one nat. So the first forward pass, a
    validation's or a training batch's, shows the inputs; until then it has the common rate.

    Args:
        optimizer: Any torch optimizer.
        model: The model whose layers they are.
        head: A new head's rate as a multiple of its group's, at most; None: as of the other layers.
        rise: See `layer_multiples`; None: the other layers have one rate.
        rate: The peak that the body starts with; None: `head` is final, as in a resumed run.
        on_inputs: Called once with the head's final multiple (1: the common rate) and the inputs'
            sum.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        model: torch.nn.Module,
        *,
        head: float | None = None,
        rise: float | None = None,
        rate: float | None = None,
        on_inputs: Callable[[float, float], None] = lambda head, inputs: None,
    ) -> None:
        self._whole: list[list[Any]] = []
        self.handles: list[Any] = []
        self._head, self._rate, self._on_inputs = head, rate, on_inputs
        if head is None and rise is None:
            return
        layer = None if head is None else last_layer(model)
        own = [] if layer is None else list(layer.parameters())
        self._own = {id(p) for p in own}
        body = [p for p in model.parameters() if p.requires_grad and id(p) not in self._own]
        self._multiples = {} if rise is None else layer_multiples(body, rise)
        if head is not None:
            self._set_head(head if rate is None else 1.0)
            if rate is not None:
                self.handles.append(watch_inputs(layer, self._bound))
        self.handles.append(optimizer.register_step_pre_hook(self._part))
        self.handles.append(optimizer.register_step_post_hook(self._join))

    def _bound(self, inputs: float) -> None:
        """Bound the head's multiple by the first inputs."""
        assert self._head is not None
        assert self._rate is not None
        head = max(1.0, min(self._head, _MOST / max(self._rate * inputs, 1e-30)))
        self._set_head(head)
        self._on_inputs(head, inputs)

    def _set_head(self, multiple: float) -> None:
        self._multiples |= dict.fromkeys(self._own, multiple)

    def _part(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        if self._whole:  # the last step raised
            self._join(optimizer)
        groups = optimizer.param_groups
        self._whole = [group["params"] for group in groups]
        for group in tuple(groups):
            parts: dict[float, list[Any]] = defaultdict(list)
            for p in group["params"]:
                parts[self._multiples.get(id(p), 1.0)].append(p)
            group["params"] = parts.pop(1.0, [])
            groups += [{**group, "params": p, "lr": group["lr"] * m} for m, p in parts.items()]

    def _join(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        del optimizer.param_groups[len(self._whole) :]
        for group, params in zip(optimizer.param_groups, self._whole, strict=True):
            group["params"] = params
        self._whole = []

    def close(self) -> None:
        """Take the hooks off."""
        for handle in self.handles:
            handle.remove()
