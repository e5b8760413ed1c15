"""Settings under the names that frameworks and people give them, in one mapping or nested.

Which file it is shows in keys that only one framework has. Keys that no framework names (hparams
of one's own script) are read under their usual names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lrpilot.diagnose.history import Plan
from lrpilot.diagnose.readers.bounded import count, number, positive, truth
from lrpilot.diagnose.readers.plans import (
    from_arguments,
    join,
    make_plan,
    optimizer_name,
    precision_name,
    warmup,
)

Settings = Mapping[str, Any]
_ARGUMENTS = {"learning_rate", "per_device_train_batch_size", "num_train_epochs",
              "lr_scheduler_type", "gradient_accumulation_steps", "max_steps", "warmup_ratio",
              "output_dir"}  # fmt: skip
_COMMON: dict[str, tuple[str, ...]] = {
    "planned_lr": ("learning_rate", "lr", "peak_lr", "max_lr", "base_lr", "initial_lr"),
    "batch_size": ("effective_batch_size", "total_batch_size", "global_batch_size",
                   "train_batch_size", "batch_size"),
    "epochs": ("num_train_epochs", "num_epochs", "max_epochs", "epochs", "n_epochs"),
    "steps": ("max_steps", "total_steps", "num_training_steps", "num_train_steps", "train_steps"),
    "warmup_steps": ("warmup_steps", "num_warmup_steps", "lr_warmup_steps"),
    "warmup_frac": ("warmup_ratio", "warmup_frac", "warmup_proportion"),
    "weight_decay": ("weight_decay", "wd"),
    "max_grad_norm": ("max_grad_norm", "gradient_clip_val", "clip_grad_norm", "grad_clip"),
    "schedule": ("lr_scheduler_type", "lr_scheduler", "scheduler", "schedule", "lr_schedule"),
    "optimizer": ("optim", "optimizer", "opt", "optimizer_name"),
    "precision": ("precision", "dtype", "mixed_precision"),
    "model": ("model_name_or_path", "model_name", "base_model", "pretrained_model_name_or_path",
              "model_id"),
    "lora_rank": ("lora_r", "lora_rank", "lora_dim"),
    "lora_alpha": ("lora_alpha",),
    "classes": ("num_labels", "num_classes"),
    "train_examples": ("train_examples", "num_train_examples", "train_size"),
    "eval_examples": ("eval_examples", "num_eval_examples", "val_examples"),
}  # fmt: skip
_MOST_LETTERS = 200


def plan_of(data: Settings) -> tuple[str, Plan, tuple[str, ...]] | None:
    """(what wrote it, the plan, what was left out); None where no setting is known."""
    for name, knows, read in _KINDS:
        if knows(data):
            plan = read(data)
            return (name, plan, ()) if plan.stated else None
    return None


def common(data: Settings) -> Plan:
    """Settings under their usual names."""
    found = {want: _first(data, names) for want, names in _COMMON.items()}
    if found["planned_lr"] is None:
        nested = _dict(data.get("optimizer")) or _dict(data.get("optim"))
        found["planned_lr"] = _first(nested, _COMMON["planned_lr"])
        found["optimizer"] = _first(
            nested, ("name", "type", "_component_", "class_path", "_target_")
        )
    rank = count(found["lora_rank"])
    return make_plan(
        {
            "planned_lr": positive(found["planned_lr"]),
            "batch_size": count(found["batch_size"]),
            "epochs": positive(found["epochs"]),
            "steps": count(found["steps"]),
            "weight_decay": number(found["weight_decay"]),
            "max_grad_norm": number(found["max_grad_norm"]),
            "schedule": word(found["schedule"]),
            "optimizer": optimizer_name(found["optimizer"]),
            "precision": precision_name(found["precision"]),
            "model": found["model"] if isinstance(found["model"], str) else None,
            "lora_rank": rank,
            "lora_alpha": positive(found["lora_alpha"]) if rank else None,
            "method": "lora" if rank else None,
            "classes": count(found["classes"]),
            "train_examples": count(found["train_examples"]),
            "eval_examples": count(found["eval_examples"]),
            **warmup(found["warmup_steps"], found["warmup_frac"]),
        }
    )


def logged(data: Settings) -> Plan:
    """What a tracker kept of a run's settings: HF's arguments, or names of one's own."""
    plans = [from_arguments(data)] if len(_ARGUMENTS & data.keys()) > 1 else []
    return join(*plans, common(data))


def word(value: Any) -> str | None:
    """A name, in small letters, without the module that it stands in."""
    text = str(value).rsplit(".", 1)[-1].lower() if isinstance(value, str) else ""
    return text.removeprefix("get_").removesuffix("_schedule_with_warmup")[:_MOST_LETTERS] or None


def _first(data: Settings, names: tuple[str, ...]) -> Any:
    return next(
        (v for n in names if (v := data.get(n)) is not None and not isinstance(v, dict | list)),
        None,
    )


def _dict(value: Any) -> Settings:
    return value if isinstance(value, dict) else {}


# -- Axolotl --------------------------------------------------------------------------------


def _axolotl(data: Settings) -> Plan:
    device, gathered = count(data.get("micro_batch_size")), data.get("gradient_accumulation_steps")
    adapter, rate = data.get("adapter"), number(data.get("val_set_size"))
    held_out = bool(data.get("test_datasets")) or (rate or 0) > 0
    scale = truth(data.get("rl")) or isinstance(data.get("rl"), str)
    method = adapter if adapter in ("lora", "qlora") else "full" if not adapter else None
    return make_plan(
        {
            "model": data.get("base_model") if isinstance(data.get("base_model"), str) else None,
            "planned_lr": positive(data.get("learning_rate")),
            "batch_size": device * (count(gathered) or 1) if device else None,
            "epochs": positive(data.get("num_epochs")),
            "steps": count(data.get("max_steps")),
            "method": ("preference-full" if method == "full" else "preference-lora")
            if scale and method else method,
            "lora_rank": count(data.get("lora_r")) if adapter else None,
            "lora_alpha": positive(data.get("lora_alpha")) if adapter else None,
            "optimizer": optimizer_name(data.get("optimizer")),
            "schedule": word(data.get("lr_scheduler")),
            "weight_decay": number(data.get("weight_decay")),
            "max_grad_norm": number(data.get("max_grad_norm")),
            "precision": _axolotl_precision(data),
            "evaluates": held_out,  # val_set_size is 0 where it is not set
            "eval_every_steps": count(data.get("eval_steps")),
            "keeps_best": truth(data.get("load_best_model_at_end")),
            **warmup(data.get("warmup_steps"), data.get("warmup_ratio")),
        }
    )  # fmt: skip


def _axolotl_precision(data: Settings) -> str | None:
    brain, half = data.get("bf16"), data.get("fp16")
    if truth(brain) or brain == "full":
        return "bf16"
    if truth(half):
        return "fp16"
    return "fp32" if truth(brain) is False and truth(half) is not True else None


# -- LLaMA-Factory --------------------------------------------------------------------------


def _factory(data: Settings) -> Plan:
    strategy = str(data.get("eval_strategy", data.get("evaluation_strategy", "no"))).lower()
    validates = positive(data.get("val_size")) is not None or bool(data.get("eval_dataset"))
    validates = validates and strategy not in ("no", "none", "false")
    preference = str(data.get("stage")).lower() in ("dpo", "kto", "orpo", "simpo")
    plan = from_arguments(data)
    method = plan.facts.method if "method" in plan.stated else "lora"  # its default
    if preference:
        method = "preference-full" if method == "full" else "preference-lora"
    return join(make_plan({"method": method, "evaluates": validates}), plan)


# -- torchtune ------------------------------------------------------------------------------


def _torchtune(data: Settings) -> Plan:
    optimizer, scheduler = _dict(data.get("optimizer")), _dict(data.get("lr_scheduler"))
    model = _dict(data.get("model"))
    component = str(model.get("_component_", ""))
    device, gathered = count(data.get("batch_size")), data.get("gradient_accumulation_steps")
    rank, method = count(model.get("lora_rank")), "full"
    if rank or "lora" in component:
        method = "qlora" if "qlora" in component or truth(model.get("quantize_base")) else "lora"
    return make_plan(
        {
            "model": component.rsplit(".", 1)[-1] or None,
            "planned_lr": positive(optimizer.get("lr")),
            "optimizer": optimizer_name(optimizer.get("_component_")),
            "weight_decay": number(optimizer.get("weight_decay")),
            "batch_size": device * (count(gathered) or 1) if device else None,
            "epochs": positive(data.get("epochs")),
            "method": method if component else None,
            "lora_rank": rank,
            "lora_alpha": positive(model.get("lora_alpha")) if rank else None,
            "schedule": word(scheduler.get("_component_")) if scheduler else "constant",
            "max_grad_norm": number(data.get("clip_grad_norm", 0.0)),
            "precision": precision_name(data["dtype"]) if "dtype" in data else None,
            "evaluates": bool(data.get("dataset_val")),
            "eval_every_steps": count(data.get("run_val_every_n_steps")),
            **warmup(scheduler.get("num_warmup_steps"), None),
        }
    )


# -- alignment-handbook --------------------------------------------------------------------


def _handbook(data: Settings) -> Plan:
    plan = from_arguments(data)
    values: dict[str, Any] = {}
    if "beta" in data:  # only its preference recipes have one
        lora = "lora" in plan.facts.method
        values["method"] = "preference-lora" if lora else "preference-full"
    if not {"eval_strategy", "evaluation_strategy"} & data.keys():
        values["evaluates"] = False  # TrainingArguments' default
    return join(make_plan(values), plan)


def _is_handbook(data: Settings) -> bool:
    mixed = {"dataset_mixer", "dataset_mixture"} & data.keys()
    return bool(mixed) and "learning_rate" in data


# -- Lightning's CLI ------------------------------------------------------------------------


def _lightning(data: Settings) -> Plan:
    trainer, optimizer = _dict(data.get("trainer")), _dict(data.get("optimizer"))
    model = _dict(_dict(data.get("model")).get("init_args")) or _dict(data.get("model"))
    given = _dict(optimizer.get("init_args")) or optimizer
    own = make_plan(
        {
            "planned_lr": positive(given.get("lr")),
            "optimizer": optimizer_name(optimizer.get("class_path")),
            "weight_decay": number(given.get("weight_decay")),
            "schedule": word(_dict(data.get("lr_scheduler")).get("class_path")),
            "epochs": positive(trainer.get("max_epochs")),
            "steps": count(trainer.get("max_steps")),
            "max_grad_norm": number(trainer.get("gradient_clip_val")),
            "precision": precision_name(trainer.get("precision")),
        }
    )
    return join(own, common(model))


def _is_lightning(data: Settings) -> bool:
    trainer = data.get("trainer")
    return isinstance(trainer, dict) and ("max_epochs" in trainer or "max_steps" in trainer)


def _is_torchtune(data: Settings) -> bool:
    part = _dict(data.get("optimizer"))
    return "_component_" in part and "lr" in part


def _is_arguments(data: Settings) -> bool:
    return len(_ARGUMENTS & data.keys()) > 1


def _has(*names: str) -> Callable[[Settings], bool]:
    return lambda data: all(name in data for name in names)


_KINDS: tuple[tuple[str, Callable[[Settings], bool], Callable[[Settings], Plan]], ...] = (
    ("axolotl", _has("base_model", "micro_batch_size"), _axolotl),
    ("llama-factory", lambda d: "stage" in d and ("finetuning_type" in d or "template" in d),
     _factory),
    ("torchtune", _is_torchtune, _torchtune),
    ("alignment-handbook", _is_handbook, _handbook),
    ("lightning-cli", _is_lightning, _lightning),
    ("hf-arguments", _is_arguments, from_arguments),
)  # fmt: skip
