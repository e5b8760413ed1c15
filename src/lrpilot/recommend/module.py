"""Facts from a live model: looked at through its own methods, no framework is imported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from lrpilot.errors import InputError
from lrpilot.facts import RunFacts

# transformers' own convention for names; a token's or an object's classes are another matter
CLASSIFIER = ("ForSequenceClassification", "ForImageClassification")


def facts_from_module(module: Any, facts: RunFacts | None = None) -> RunFacts:
    """The facts, completed by what a live module shows.

    Parameters are counted; LoRA layers (`lora_A`, with their rank) and a small trainable share tell
    the method; a Hugging Face `config`, where there is one, tells the model's name and, of a
    classifier, how many classes it has.

    Args:
        module: A torch `nn.Module`, or anything with `named_parameters()`.
        facts: What is known already; it is never overridden.

    Raises:
        InputError: The object has no parameters.
    """
    known = facts or RunFacts()
    try:
        named = [(name, p.numel(), p.requires_grad, tuple(p.shape))
                 for name, p in module.named_parameters()]  # fmt: skip
    except (AttributeError, TypeError) as error:
        raise InputError(
            f"{type(module).__name__} has no named_parameters(): give a torch module"
        ) from error
    total = sum(count for _, count, _, _ in named)
    if not total:
        raise InputError(f"{type(module).__name__} has no parameters: give the model that trains")
    found: dict[str, Any] = {}
    ranks = [shape[0] for name, _, _, shape in named if "lora_A" in name and shape]
    added = sum(count for name, count, _, _ in named if "lora_" in name)
    if known.params is None:
        found["params"] = float(total - added)
    trainable = sum(count for _, count, trains, _ in named if trains)
    if known.method == "full" and ranks:
        found["method"] = "lora"
        if known.lora_rank is None:
            found["lora_rank"] = max(ranks)
    elif known.method == "full" and 0 < trainable < 0.01 * total:
        # assumed: under one in a hundred is a head or biases, not a body
        biases = all(name.endswith("bias") for name, _, trains, _ in named if trains)
        found["method"] = "bitfit" if biases else "linear-probe"
    if known.model is None and known.family is None:
        found.update(_from_config(getattr(module, "config", None)))
    if known.classes is None:
        found["classes"] = _classes(module)
    if known.architecture is None and not found.get("model") and _convolutional(module):
        found["architecture"] = "cnn"
    return replace(known, **found)


def _from_config(config: Any) -> dict[str, str]:
    kind = getattr(config, "model_type", None)
    if not isinstance(kind, str) or not kind:
        return {}
    name = getattr(config, "_name_or_path", "")
    local = not isinstance(name, str) or not name or Path(name).exists() or name[0] in "./~"
    return {"model": kind if local or name.count("/") > 1 else name}


def _classes(module: Any) -> int | None:
    """Of a classifier of `transformers`, which says how many labels its head tells apart."""
    inner = getattr(module, "base_model", None)  # PEFT wraps the classifier
    names = {type(m).__name__ for m in (module, getattr(inner, "model", inner))}
    labels = getattr(getattr(module, "config", None), "num_labels", None)
    classifies = any(name.endswith(CLASSIFIER) for name in names)
    return labels if classifies and isinstance(labels, int) and labels > 1 else None


def _convolutional(module: Any) -> bool:
    """Whether batch norm and convolutions make most of its layers, and none attends."""
    kinds = [type(layer).__name__ for layer in module.modules()]
    attends = any("Attention" in kind for kind in kinds)
    return not attends and any(kind.startswith("Conv2d") for kind in kinds)
