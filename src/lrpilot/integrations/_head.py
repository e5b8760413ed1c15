"""A new head on a pretrained body: whether there is one, and how much larger its steps are."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from lrpilot.facts import RunFacts
from lrpilot.integrations._reference import median_reach, reach, sizes_speak

_LAYERS = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
_FILLED = 0.85  # assumed: share of a uniform draw's spread; 60 numbers scatter by a twentieth


def head_ratio(model: torch.nn.Module, optimizer: Any, facts: RunFacts) -> float | None:
    """The rate of a new head as a multiple of the rest's, at most (`LayerSteps` may lower it).

    A head is far smaller than the body's matrices and, at one rate for all, moves far less
    (`reach`); if it also begins from random weights, a short run ends before it has caught up.
    Where all weights train its steps are to be as large as the body's. LoRA's matrices say nothing
    of that; beside them two classes gain nothing, and many the more the more there are.
    Measured: docs/log.md, "A new head" and "A new head with LoRA".

    Args:
        model: Its last layer, adapters' own aside, is the head.
        optimizer: Of several parameter groups all must have one rate; else the user has decided.
        facts: Method and task.

    Returns:
        The multiple, over 1; None: the head is not new, is to move no further than at one rate, or
        nothing is known of such steps (`sizes_speak`); relative rates, with which it gained
        nothing.
    """
    if facts.optimizer == "adafactor-relative" or not sizes_speak(optimizer, facts):
        return None
    head = last_layer(model)
    rates = [group["lr"] for group in optimizer.param_groups]
    if head is None or None in rates or len(set(map(float, rates))) > 1:
        return None
    if not head.weight.requires_grad or not _new(model, head):
        return None
    if facts.method == "full":
        body = median_reach((p for group in optimizer.param_groups for p in group["params"]), facts)
        ratio = 0.0 if body is None else body / reach(head.weight, facts)
    else:
        ratio = len(head.weight) - 1.0
    return ratio if ratio > 1.0 else None


def last_layer(model: torch.nn.Module) -> Any:
    """The last linear or convolutional layer, adapters' own aside; None without any."""
    named = [(name, layer) for name, layer in model.named_modules() if isinstance(layer, _LAYERS)]
    layers = [layer for name, layer in named if "lora_" not in name]
    return layers[-1] if layers else None


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
    unwrap: Any = getattr(model, "get_base_model", None)  # PEFT's
    inner = model if unwrap is None else unwrap()
    saved = getattr(getattr(inner, "config", None), "architectures", None) or ()
    return len(saved) > 0 and type(inner).__name__ not in saved


def watch_inputs(layer: Any, tell: Callable[[float], None]) -> Any:
    """At the next forward pass, tell the sum of a layer's inputs' sizes, of the mean example.

    Returns:
        A handle whose `remove` ends the watch; it ends by itself, too.
    """
    seen: list[float] = []  # a compiled model may keep the hook

    def look(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if seen:
            return
        given = args[0] if args else next(iter(kwargs.values()))
        seen.append(float(given.detach().float().abs().mean()) * layer.weight[0].numel())
        handle.remove()
        tell(seen[0])

    handle = layer.register_forward_pre_hook(look, with_kwargs=True)
    return handle
