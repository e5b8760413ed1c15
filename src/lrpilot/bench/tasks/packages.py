"""What tasks need beside torch: packages, imported late, and the weights that lrpilot ships."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from lrpilot.errors import MissingExtraError

WEIGHTS = Path(__file__).with_name("weights")


def load(module: str) -> Any:
    """The module.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise MissingExtraError(
            f"this task needs {package}: pip install 'lrpilot[bench]'"
        ) from None


def transformers() -> Any:
    """The module, without its bars and reports: hundreds of models are loaded."""
    module = load("transformers")
    module.logging.set_verbosity_error()
    module.logging.disable_progress_bar()
    return module


def with_lora(model: nn.Module, targets: Sequence[str], *, rank: int, **options: Any) -> nn.Module:
    """The model with LoRA matrices (alpha twice the rank) on its `targets`; all else is frozen."""
    peft = load("peft")
    config = peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=list(targets), **options)
    adapted: nn.Module = peft.get_peft_model(model, config)
    return adapted


def shipped_weights(name: str) -> dict[str, torch.Tensor]:
    """What `scripts/bench_pretrain.py` made, in single precision.

    Shipped, because pretraining on another processor rounds otherwise and ends elsewhere, and runs
    that begin elsewhere cannot be compared.
    """
    return {k: v.float() for k, v in load_file(WEIGHTS / f"{name}.safetensors").items()}
