"""A new head on a pretrained body: how much larger its steps should be, and how that is done."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from lrpilot.facts import RunFacts
from lrpilot.integrations._reference import median_reach, reach, sizes_speak

_LAYERS = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
_FILLED = 0.85  # assumed: share of a uniform draw's spread; 60 numbers scatter by a twentieth
# measured: docs/log.md, "A head of many inputs": .9 helps, 1.3 is alike, 1.6 harms; nats
_MOST = 1.0


def head_ratio(model: torch.nn.Module, optimizer: Any, facts: RunFacts) -> float | None:
    """The rate of a new head as a multiple of the rest's, at most (`HeadSteps` may lower it).

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


class HeadSteps:
    """Gives the head its own rate during each step of an optimizer, whose groups stay as they are.

    Groups of its own would change the optimizer's state and the user's schedule, which count them.
    A step of the rate moves each output of the head by up to the rate times the sum of its inputs'
    sizes, and that should be no more than one nat. So the first forward pass, a validation's or a
    training batch's, shows the inputs; until then there is one rate for all.

    Args:
        optimizer: Any torch optimizer.
        model: The model whose head it is.
        ratio: The head's rate as a multiple of its group's, at most; None does nothing.
        rate: The peak that the body starts with; None: `ratio` is final, as in a resumed run.
        on_inputs: Called once with the final ratio (1: the common rate) and the inputs' sum.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        model: torch.nn.Module,
        ratio: float | None,
        *,
        rate: float | None = None,
        on_inputs: Callable[[float, float], None] = lambda ratio, inputs: None,
    ) -> None:
        self._whole: list[list[Any]] = []
        self.handles: list[Any] = []
        self._ratio, self._rate, self._on_inputs = ratio, rate, on_inputs
        if ratio is None:
            return
        head = last_layer(model)
        self._own = {id(p) for p in head.parameters()}
        if rate is not None:
            self.handles.append(watch_inputs(head, self._bound))
        self.handles.append(optimizer.register_step_pre_hook(self._part))
        self.handles.append(optimizer.register_step_post_hook(self._join))

    def _bound(self, inputs: float) -> None:
        """Bound the ratio by the first inputs."""
        assert self._ratio is not None
        assert self._rate is not None
        self._ratio = max(1.0, min(self._ratio, _MOST / max(self._rate * inputs, 1e-30)))
        self._rate = None
        self._on_inputs(self._ratio, inputs)

    def follow(self, factor: float) -> None:
        """Keep the head's own rate, bounded by its inputs, where the peak rises by a factor."""
        if self._ratio is not None:
            self._ratio = max(1.0, self._ratio / max(1.0, factor))

    def _part(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        if self._whole:  # the last step raised
            self._join(optimizer)
        groups = optimizer.param_groups
        self._whole = [group["params"] for group in groups]
        if self._ratio in (None, 1.0) or self._rate is not None:  # or nothing went forward yet
            return
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
        for handle in self.handles:
            handle.remove()
