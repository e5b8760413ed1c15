"""What lies beside a Trainer's log: training_args.bin, config.json, adapter_config.json."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from lrpilot.diagnose.history import Plan
from lrpilot.diagnose.readers.plans import from_arguments, join, make_plan
from lrpilot.errors import InputError
from lrpilot.facts import RunFacts
from lrpilot.recommend.read import facts_from_files
from lrpilot.recommend.read_pickle import read_pickled_values

_ARGUMENTS = {
    "learning_rate", "per_device_train_batch_size", "gradient_accumulation_steps",
    "num_train_epochs", "max_steps", "optim", "lr_scheduler_type", "warmup_steps", "warmup_ratio",
    "weight_decay", "max_grad_norm", "fp16", "bf16", "eval_strategy", "evaluation_strategy",
    "eval_steps", "load_best_model_at_end", "metric_for_best_model", "greater_is_better",
}  # fmt: skip
_NAMES = ("training_args.bin", "adapter_config.json", "config.json")


def facts_beside(*folders: Path) -> tuple[Plan, tuple[str, ...]]:
    """The plan that these folders' files state, the first folder first, and what went unread."""
    plans: list[Plan] = []
    unread: list[str] = []
    present = {f.name for folder in folders for f in (folder / n for n in _NAMES) if f.is_file()}
    if "config.json" in present and "adapter_config.json" not in present:
        plans.append(make_plan({"method": "full"}))  # PEFT would have saved its own config
    for folder in dict.fromkeys(folders):
        for name in _NAMES:
            file = folder / name
            if not file.is_file():
                continue
            try:
                plans.append(_one(file))
            except (InputError, OSError, ValueError) as error:
                unread.append(f"{name} was left out: {error}.")
    return join(*plans), tuple(unread)


def _one(file: Path) -> Plan:
    if file.name == "training_args.bin":
        return from_arguments(read_pickled_values(file, _ARGUMENTS))
    facts = facts_from_files(file)
    unset = RunFacts()
    values: dict[str, Any] = {
        f.name: getattr(facts, f.name)
        for f in fields(RunFacts)
        if getattr(facts, f.name) != getattr(unset, f.name)
    }
    if file.name == "adapter_config.json":
        values["method"] = facts.method
        values["new_head"] = _new_head(file)
    return make_plan(values)


def _new_head(file: Path) -> bool | None:
    """A LoRA that saves further modules trains them from scratch: a head (PEFT's own rule)."""
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return True if isinstance(data, dict) and data.get("task_type") == "SEQ_CLS" else None
