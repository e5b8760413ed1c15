"""A new head on a pretrained body: how much larger its steps should be, and how that is done."""

from __future__ import annotations

import math
from typing import Any

import torch

from lrpilot.facts import RunFacts
from lrpilot.integrations._reference import median_reach, reach, sizes_speak

_CONVOLUTIONS = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
_LAYERS = (torch.nn.Linear, *_CONVOLUTIONS)
_FILLED = 0.85  # assumed: share of a uniform draw's spread; 60 numbers scatter by a twentieth
_MOST = 1.0  # measured: docs/log.md, "A head of many inputs": .9 helps, 1.3 is alike, 1.6 harms
_INPUT = 0.5  # measured: as above, mean size of pooled features, .2 to .5; MiniLM's are .06


def head_ratio(
    model: torch.nn.Module, optimizer: Any, facts: RunFacts, rate: float
) -> float | None:
    """The rate of a new head as a multiple of the body's, so that a step moves both as far.

    A head is far smaller than the body's matrices and, at one rate for all, moves far less
    (`reach`); if it also begins from random weights, a short run ends before it has caught up.
    A convolutional net's head of many inputs is held back: a step of the rate moves each of its
    outputs by up to the rate times the sum of their sizes, and that should be no more than one nat.
    Measured: docs/log.md, "A new head".

    Args:
        model: Its last layer is the head.
        optimizer: Of several parameter groups all must have one rate; else the user has decided.
        facts: Method and task.
        rate: The peak that the body starts with.

    Returns:
        The multiple, over 1; None: the head is not new, is to move no further than at one rate, or
        nothing is known of such steps (`sizes_speak`); adapters and relative rates, with which it
        gained nothing.
    """
    if facts.method != "full" or facts.optimizer == "adafactor-relative":
        return None
    if not sizes_speak(optimizer, facts):
        return None
    head = last_layer(model)
    rates = [group["lr"] for group in optimizer.param_groups]
    if head is None or None in rates or len(set(map(float, rates))) > 1:
        return None
    body = median_reach((p for group in optimizer.param_groups for p in group["params"]), facts)
    if body is None or not head.weight.requires_grad or not _new(model, head):
        return None
    ratio = body / reach(head.weight, facts)
    if _convolutional(model):
        ratio = min(ratio, _MOST / (rate * _INPUT * head.weight[0].numel()))
    return ratio if ratio > 1.0 else None


def last_layer(model: torch.nn.Module) -> Any:
    """The last linear or convolutional layer; None without any."""
    layers = [layer for layer in model.modules() if isinstance(layer, _LAYERS)]
    return layers[-1] if layers else None


def _convolutional(model: torch.nn.Module) -> bool:
    """Whether most weights are convolutions': a transformer's patches are only its first layer."""
    kernels = [m.weight.numel() for m in model.modules() if isinstance(m, _CONVOLUTIONS)]
    return 2 * sum(kernels) > sum(p.numel() for p in model.parameters())


def _new(model: torch.nn.Module, head: Any) -> bool:
    """Whether a layer begins from random weights.

    Its bias is zero throughout, as transformers and timm begin; or its weights fill the interval
    that torch draws from; or the checkpoint says that it holds a model without this head.
    """
    with torch.no_grad():
        if head.bias is not None and not bool(head.bias.any()):
            return True
        bound = 1.0 / math.sqrt(head.weight[0].numel())
        inside = float(head.weight.abs().max()) <= bound * (1.0 + 1e-3)
        if inside and float(head.weight.float().std()) > _FILLED * bound / math.sqrt(3.0):
            return True
    saved = getattr(getattr(model, "config", None), "architectures", None) or ()
    return len(saved) > 0 and type(model).__name__ not in saved


class HeadSteps:
    """Gives the head its own rate during each step of an optimizer, whose groups stay as they are.

    Groups of its own would change the optimizer's state and the user's schedule, which count them.

    Args:
        optimizer: Any torch optimizer.
        model: The model whose head it is.
        ratio: The head's rate as a multiple of its group's; None does nothing.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, model: torch.nn.Module, ratio: float | None
    ) -> None:
        self._whole: list[list[Any]] = []
        self._handles: list[Any] = []
        if ratio is None:
            return
        self._own = {id(p) for p in last_layer(model).parameters()}
        self._ratio = ratio
        self._handles.append(optimizer.register_step_pre_hook(self._part))
        self._handles.append(optimizer.register_step_post_hook(self._join))

    def _part(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        if self._whole:  # the last step raised
            self._join(optimizer)
        groups = optimizer.param_groups
        self._whole = [group["params"] for group in groups]
        for group in tuple(groups):
            mine = [p for p in group["params"] if id(p) in self._own]
            if mine:
                group["params"] = [p for p in group["params"] if id(p) not in self._own]
                groups.append({**group, "params": mine, "lr": group["lr"] * self._ratio})

    def _join(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        del optimizer.param_groups[len(self._whole) :]
        for group, params in zip(optimizer.param_groups, self._whole, strict=True):
            group["params"] = params
        self._whole = []

    def close(self) -> None:
        """Take the hooks off."""
        for handle in self._handles:
            handle.remove()
