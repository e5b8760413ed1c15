"""The loss of each example of a transformers batch, for paired comparison."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch.nn import functional

from lrpilot.metric import Evaluation

_IGNORE = -100  # transformers' label for "no loss here"


def sample_loader(loader: Any, *, examples: int, seed: int = 0) -> Any:
    """A loader over some examples of another's data set, drawn once at random.

    Data are often sorted, by class or by source; their first examples are no sample of them.

    Args:
        loader: A data loader over a data set with a length; another is given back as it is.
        examples: How many to draw; all of them if the data set has no more.
        seed: Of the draw.
    """
    dataset: Any = getattr(loader, "dataset", None)
    if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
        return loader
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(seed))
    chosen = sorted(order[:examples].tolist())
    batches = getattr(loader, "batch_sampler", None)  # accelerate's loaders have only that
    return torch.utils.data.DataLoader(
        torch.utils.data.Subset(dataset, chosen),
        batch_size=loader.batch_size or getattr(batches, "batch_size", None) or 1,
        collate_fn=loader.collate_fn,
    )


def evaluate_batches(
    model: torch.nn.Module,
    batches: Iterable[Mapping[str, Any]],
    *,
    max_examples: int | None = None,
) -> Evaluation | None:
    """Per-example losses over the batches of a loader.

    Classification gives one cross-entropy per example, regression one squared error, language
    modelling one mean per sequence weighted by its tokens. Where a model's own loss is something
    else, its mean over each batch is the unit instead.

    Args:
        model: Called with each batch; in evaluation mode and without gradients by the caller.
        batches: Mappings of tensors with `labels`, always in the same order.
        max_examples: Stop after this many examples; None takes all.

    Returns:
        None when there was no batch.
    """
    device = next(model.parameters()).device
    values: list[torch.Tensor] = []
    weights: list[torch.Tensor] = []
    seen = 0
    for batch in batches:
        inputs = {k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in batch.items()}
        value, weight = _losses(model, inputs)
        values.append(value.cpu().double())
        weights.append(weight.cpu().double())
        seen += _batch_size(inputs)
        if max_examples is not None and seen >= max_examples:
            break
    if not values:
        return None
    return Evaluation.of(torch.cat(values).numpy(), weights=torch.cat(weights).numpy())


def mean_loss(model: torch.nn.Module, outputs: Mapping[str, Any], labels: Any) -> float:
    """The mean training loss of one micro-batch, however the model's own loss is normalised.

    Under gradient accumulation some models divide by the items of the whole step, and others do
    not; from the logits it is the same.

    Args:
        model: Whose outputs they are.
        outputs: With `loss` and `logits`.
        labels: The batch's labels, or None.
    """
    with torch.no_grad():
        found = None
        if isinstance(labels, torch.Tensor) and isinstance(outputs.get("logits"), torch.Tensor):
            found = _by_example(model, outputs["logits"].detach().float(), labels)
        if found is None or found[0].numel() == 0:
            return float(outputs["loss"].detach())
        return float((found[0] * found[1]).sum() / found[1].sum())


def _losses(model: torch.nn.Module, inputs: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """Values and weights, each of shape (units,)."""
    outputs = model(**inputs)
    labels = inputs.get("labels")
    loss = outputs["loss"].detach().float()
    found = None if labels is None else _by_example(model, outputs["logits"].float(), labels)
    if found is not None and _agrees(*found, loss):
        return found
    return loss.reshape(1), torch.tensor([float(_batch_size(inputs))])


def _by_example(
    model: torch.nn.Module, logits: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor] | None:
    if logits.ndim == 2 and labels.ndim == 1 and not labels.is_floating_point():
        value = functional.cross_entropy(logits, labels, reduction="none")
    elif labels.is_floating_point() and logits.reshape(-1).shape == labels.reshape(-1).shape:
        errors = (logits.reshape(labels.shape) - labels) ** 2
        value = errors.reshape(labels.shape[0], -1).mean(1)
    elif logits.ndim == 3 and labels.ndim == 2 and logits.shape[:2] == labels.shape:
        if type(model).__name__.endswith(("ForCausalLM", "LMHeadModel")):
            logits, labels = logits[:, :-1], labels[:, 1:]
        tokens = (labels != _IGNORE).sum(1)
        value = functional.cross_entropy(
            logits.transpose(1, 2), labels, reduction="none", ignore_index=_IGNORE
        ).sum(1)
        kept = tokens > 0
        return value[kept] / tokens[kept], tokens[kept]
    else:
        return None
    return value, torch.ones_like(value)


def _agrees(value: torch.Tensor, weight: torch.Tensor, loss: torch.Tensor) -> bool:
    """Whether our per-example losses are the model's own loss, taken apart."""
    if value.numel() == 0:
        return False
    mean = (value * weight).sum() / weight.sum()
    return bool(torch.isclose(mean, loss, rtol=1e-3, atol=1e-5)) or not bool(loss.isfinite())


def _batch_size(inputs: Mapping[str, Any]) -> int:
    return next(int(v.shape[0]) for v in inputs.values() if isinstance(v, torch.Tensor) and v.ndim)
