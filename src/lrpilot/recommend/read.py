"""Facts from the user's own files: a model's config, an adapter's config, training arguments."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from lrpilot.errors import InputError
from lrpilot.facts import RunFacts
from lrpilot.recommend.models import look_up
from lrpilot.recommend.module import CLASSIFIER
from lrpilot.recommend.read_config import config_params
from lrpilot.recommend.read_data import DataFacts, facts_from_data
from lrpilot.recommend.read_pickle import read_pickled_values

__all__ = ["DataFacts", "facts_from_data", "facts_from_files"]

_ARGUMENTS = {"learning_rate", "per_device_train_batch_size", "gradient_accumulation_steps",
              "num_train_epochs", "max_steps", "optim"}  # fmt: skip
_LARGEST = 16_000_000  # assumed: bytes; a config.json holds a few thousand
_ADAPTERS = {"LORA": "lora", "IA3": "adapter", "PREFIX_TUNING": "prefix",
             "PROMPT_TUNING": "prompt", "P_TUNING": "prompt", "ADALORA": "lora"}  # fmt: skip
# Families that a model type names for certain; "llama" is the type of many makers' models.
_SHARED_TYPES = ("llama", "mistral", "gpt-neox", "qwen2", "clip")


def facts_from_files(path: str | Path, facts: RunFacts | None = None) -> RunFacts:
    """The facts, completed by a model's folder or by one file of it.

    Read are `config.json`, `adapter_config.json`, `training_args.bin` (without unpickling it),
    training arguments as flat JSON or YAML, and the header of `model.safetensors`.

    Args:
        path: The folder, or one of the files.
        facts: What is known already; it is never overridden.

    Raises:
        InputError: Nothing there can be read.
    """
    place = Path(path)
    known = facts or RunFacts()
    if not place.exists():
        raise InputError(f"{place} does not exist: give a model's folder or its config.json")
    if place.is_file():
        return _complete(known, _one_file(place))
    names = ("config.json", "adapter_config.json", "training_args.bin", "training_args.json",
             "training_args.yaml")  # fmt: skip
    present = [place / name for name in names if (place / name).is_file()]
    if not present:
        raise InputError(f"{place} holds none of {', '.join(names)}: give a model's folder")
    found: dict[str, Any] = {}
    for file in present:
        found.update({k: v for k, v in _one_file(file).items() if k not in found})
    return _complete(known, found)


def _complete(known: RunFacts, found: dict[str, Any]) -> RunFacts:
    """What was found, below what was given. A method or optimizer given is other than its
    default."""
    defaults = {"method": "full", "optimizer": "adamw"}
    taken = {
        name: value
        for name, value in found.items()
        if value is not None and getattr(known, name) == defaults.get(name)
    }
    if known.model is not None or known.family is not None:
        for name in ("model", "family", "architecture"):
            taken.pop(name, None)
    if {**taken, "method": taken.get("method", known.method)}["method"] not in ("lora", "qlora"):
        taken.pop("lora_rank", None)
        taken.pop("lora_alpha", None)
    return replace(known, **taken)


def _one_file(path: Path) -> dict[str, Any]:
    if path.suffix == ".bin":
        return _arguments(read_pickled_values(path, _ARGUMENTS))
    if path.suffix in (".yaml", ".yml"):
        return _arguments(_flat_yaml(path))
    if path.suffix != ".json":
        raise InputError(
            f"{path} is of no known kind: give config.json, adapter_config.json, training_args.bin"
            " or training arguments as .json or .yaml"
        )
    data = _json(path)
    if "peft_type" in data:
        return _adapter(data)
    if "model_type" in data or "architectures" in data:
        return _config(data, path.parent)
    if _ARGUMENTS & data.keys():
        return _arguments(data)
    raise InputError(
        f"{path} is no config of a model, of an adapter or of training: none of model_type,"
        " peft_type, learning_rate stands in it"
    )


def _config(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    kind = data.get("model_type")
    kind = kind.replace("_", "-") if isinstance(kind, str) else ""
    name = data.get("_name_or_path")
    found: dict[str, Any] = {"params": config_params(data, folder), "classes": _classes(data)}
    if isinstance(name, str) and _on_a_hub(name):
        found["model"] = name
        return found
    if not kind:
        raise InputError(f"{folder}: config.json names no model_type: add it, or give --model NAME")
    known = look_up(kind, ())
    found["architecture"] = known.architecture or _by_class(data)
    if known.how != "unknown" and kind not in _SHARED_TYPES:
        found["family"] = known.family
    elif found["architecture"] is None:
        found["model"] = kind
    return found


def _by_class(data: dict[str, Any]) -> str | None:
    """The architecture that the class's name ends with, by transformers' own convention."""
    name = _class(data)
    ends = {"ForCausalLM": "decoder", "ForMaskedLM": "encoder",
            "ForConditionalGeneration": "encoder-decoder",
            "ForSequenceClassification": "encoder"}  # fmt: skip
    return next((v for end, v in ends.items() if name.endswith(end)), None)


def _class(data: dict[str, Any]) -> str:
    names = data.get("architectures")
    name = names[0] if isinstance(names, list) and names else ""
    return name if isinstance(name, str) else ""


def _classes(data: dict[str, Any]) -> int | None:
    """Of a classifier; its config names the labels unless they are two without a name."""
    labels = data.get("id2label")
    if not isinstance(labels, dict) or not _class(data).endswith(CLASSIFIER):
        return None
    return len(labels) if len(labels) > 1 else None


def _on_a_hub(name: str) -> bool:
    return bool(name) and name[0] not in "./~" and name.count("/") <= 1 and not Path(name).exists()


def _adapter(data: dict[str, Any]) -> dict[str, Any]:
    kind = str(data.get("peft_type")).upper()
    if kind not in _ADAPTERS:
        raise InputError(
            f"peft_type is {data.get('peft_type')!r}: known are {', '.join(_ADAPTERS)}"
        )
    found: dict[str, Any] = {"method": _ADAPTERS[kind]}
    if _ADAPTERS[kind] == "lora":
        found["lora_rank"] = _positive(data.get("r"), int)
        found["lora_alpha"] = _positive(data.get("lora_alpha"), float)
    base = data.get("base_model_name_or_path")
    if isinstance(base, str) and base:
        found["model"] = base if _on_a_hub(base) else Path(base).name
    return found


def _arguments(data: dict[str, Any]) -> dict[str, Any]:
    device_batch = _positive(data.get("per_device_train_batch_size"), int)
    gathered = _positive(data.get("gradient_accumulation_steps"), int) or 1
    optim = data.get("optim")
    found: dict[str, Any] = {
        "planned_lr": _positive(data.get("learning_rate"), float),
        "batch_size": device_batch * gathered if device_batch else None,
        "steps": _positive(data.get("max_steps"), int),
        "epochs": _positive(data.get("num_train_epochs"), float),
        "optimizer": optim if isinstance(optim, str) else None,
    }
    if found["steps"]:
        found["epochs"] = None
    if not any(value is not None for value in found.values()):
        raise InputError(
            "no training arguments found: learning_rate, max_steps and so on are absent"
        )
    return found


def _positive(value: Any, kind: type) -> Any:
    """The value as a number where it is a positive one; None otherwise."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return kind(number) if 0 < number < float("inf") else None


def _json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LARGEST:
            raise InputError(f"{path} is too large for a config: give the right file")
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:80]
        raise InputError(f"{path} is not readable JSON ({reason}): give a whole file") from error
    if not isinstance(data, dict):
        raise InputError(f"{path} holds no JSON object: give a config.json")
    return data


def _flat_yaml(path: Path) -> dict[str, Any]:
    """Scalars at the top level of a YAML file: `key: value`, comments left out."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}): give a YAML file") from error
    pairs = (line.split("#", 1)[0].partition(":") for line in lines if line[:1].isalpha())
    return {key.strip(): value.strip().strip("'\"") for key, _, value in pairs if value.strip()}
