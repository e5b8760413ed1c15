"""How many parameters a saved model has, from its weights' header or else from its config."""

from __future__ import annotations

import json
import struct
from math import prod
from pathlib import Path
from typing import Any

_LONGEST_HEADER = 100_000_000  # safetensors' own limit, in bytes


def config_params(config: dict[str, Any], folder: Path) -> float | None:
    """Exact from `model.safetensors` beside the config; else by the transformer's arithmetic."""
    return _header_params(folder / "model.safetensors") or _transformer_params(config)


def _header_params(path: Path) -> float | None:
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > _LONGEST_HEADER:
                return None
            header = json.loads(file.read(length))
        shapes = [entry["shape"] for name, entry in header.items() if name != "__metadata__"]
        return float(sum(prod(shape) for shape in shapes)) or None
    except (OSError, ValueError, struct.error, KeyError, TypeError, AttributeError):
        return None


def _transformer_params(config: dict[str, Any]) -> float | None:
    """Attention (4 h h), feed-forward (2 or 3 h f) in each layer, and the embedding (v h)."""
    nested = config.get("text_config") or config.get("vision_config")
    source = {**config, **nested} if isinstance(nested, dict) else config

    def number(*names: str) -> float:
        values = (source.get(name) for name in names)
        return next((float(v) for v in values if isinstance(v, (int, float)) and v > 0), 0.0)

    width = number("hidden_size", "d_model", "n_embd", "dim")
    layers = number("num_hidden_layers", "num_layers", "n_layer", "n_layers")
    layers += number("num_decoder_layers", "decoder_layers")
    if not width or not layers:
        return None
    inner = number("intermediate_size", "d_ff", "n_inner", "encoder_ffn_dim") or 4.0 * width
    gated = 3.0 if source.get("hidden_act") in ("silu", "swiglu", "geglu") else 2.0
    return layers * (4.0 * width**2 + gated * width * inner) + number("vocab_size") * width
