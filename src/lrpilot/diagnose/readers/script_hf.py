"""Scripts on transformers' Trainer and on TRL: `TrainingArguments`, `SFTConfig` and the like."""

from __future__ import annotations

import ast
from typing import Any

from lrpilot.diagnose.history import Plan
from lrpilot.diagnose.readers.plans import from_arguments, join, make_plan
from lrpilot.diagnose.readers.script_calls import (
    MOST_PLANS,
    Call,
    Found,
    Script,
    not_constant,
    shared,
)
from lrpilot.diagnose.readers.script_torch import optimizer_plan, optimizers
from lrpilot.diagnose.readers.script_values import UNKNOWN
from lrpilot.recommend.vocabulary import PREFERENCE_ARGUMENTS

# transformers 5.23 (training_args.py) and TRL 1.16 (trainer/*_config.py).
_DEFAULTS: dict[str, Any] = {
    "learning_rate": 5e-5, "num_train_epochs": 3.0, "per_device_train_batch_size": 8,
    "gradient_accumulation_steps": 1, "lr_scheduler_type": "linear", "warmup_steps": 0,
    "weight_decay": 0.0, "max_grad_norm": 1.0, "eval_strategy": "no",
    "load_best_model_at_end": False, "optim": "adamw_torch",
}  # fmt: skip
_RATES = {
    "TrainingArguments": 5e-5, "Seq2SeqTrainingArguments": 5e-5, "SFTConfig": 2e-5,
    "DPOConfig": 1e-6, "RewardConfig": 1e-4, "GRPOConfig": 1e-6, "KTOConfig": 1e-6,
    "RLOOConfig": 1e-6, "ORPOConfig": 1e-6, "CPOConfig": 1e-6, "OnlineDPOConfig": 5e-7,
}  # fmt: skip
_WORTH_SAYING = ("learning_rate", "lr_scheduler_type", "warmup_steps", "eval_strategy")
_READ = {*_DEFAULTS, "max_steps", "warmup_ratio", "fp16", "bf16", "evaluation_strategy",
         "eval_steps", "metric_for_best_model", "greater_is_better"}  # fmt: skip


def hf_plans(script: Script) -> Found:
    """A plan for each set of training arguments."""
    calls = [c for c in script.calls if c.last in _RATES or c.last.endswith("TrainingArguments")]
    called = {c.last for c in script.calls if "." in c.name}
    if "train" not in called and called & {"evaluate", "predict"}:
        return []  # arguments for an evaluation alone
    return [_plan(script, call) for call in calls[:MOST_PLANS]]


def _plan(script: Script, call: Call) -> tuple[int, Plan, tuple[str, ...]]:
    given, said = _given(script, call)
    unset = {k: v for k, v in _DEFAULTS.items() if k not in call.keywords}
    if call.last in _RATES:
        unset["learning_rate"] = _RATES[call.last]
    else:
        said.append(f"{call.last} is not known here, so what is not set is unknown.")
        unset = {}
    if "evaluation_strategy" in call.keywords:
        unset.pop("eval_strategy", None)
    if {"warmup_ratio", "warmup_steps"} & call.keywords.keys():
        unset.pop("warmup_steps", None)
    if "learning_rate" in call.keywords:
        unset.pop("learning_rate", None)
    if call.open:
        said.append(f"{call.last} takes '**' arguments: what they set is unknown.")
        unset = {}
    defaults = [f"{k}={v!r}" for k, v in unset.items() if k in _WORTH_SAYING]
    if defaults:
        said.append(f"Not set, so {call.last}'s defaults: {', '.join(defaults)}.")
    plan = from_arguments({**unset, **given})
    plan = join(_trainer(script), plan, _method(script, call))
    return call.node.lineno, plan, tuple(said)


def _given(script: Script, call: Call) -> tuple[dict[str, Any], list[str]]:
    """The arguments that the text tells; a setting of unknown value has no entry."""
    found: dict[str, Any] = {}
    said: list[str] = []
    for name, node in call.keywords.items():
        if name not in _READ:
            continue
        value = script.value(node)
        if value is UNKNOWN and isinstance(node, ast.Attribute):
            value = _member(node)
        if value is UNKNOWN:
            said.append(not_constant(name, node))
        elif value is not None:
            found[name] = value
    return found, said


def _member(node: ast.Attribute) -> Any:
    """`SchedulerType.COSINE` and `IntervalStrategy.STEPS`."""
    owner = node.value.attr if isinstance(node.value, ast.Attribute) else None
    owner = node.value.id if isinstance(node.value, ast.Name) else owner
    enums = ("SchedulerType", "IntervalStrategy", "OptimizerNames", "EvaluationStrategy")
    return node.attr.lower() if owner in enums else UNKNOWN


def _method(script: Script, call: Call) -> Plan:
    values = shared(script)
    if call.last in PREFERENCE_ARGUMENTS:
        lora = "lora" in values.get("method", "")
        values["method"] = "preference-lora" if lora else "preference-full"
    return make_plan(values)


def _trainer(script: Script) -> Plan:
    """What the Trainer is given beside its arguments: data sets, and an optimizer of one's own."""
    values: dict[str, Any] = {}
    own: list[Plan] = []
    for call in script.calls:
        if not call.last.endswith("Trainer") or "max_epochs" in call.keywords:
            continue
        train, held_out = call.argument("train_dataset"), call.argument("eval_dataset")
        if held_out is not None and train is not None:
            values["eval_on_train"] = same_data(train, held_out)
        if "optimizers" in call.keywords:
            own += [optimizer_plan(script, c)[0] for c in optimizers(script)[:1]]
        if held_out is not None and any(c.last == "AutopilotCallback" for c in script.calls):
            values["evaluates"] = True  # it validates by itself, whatever eval_strategy says
    return join(*own, make_plan(values))


def same_data(train: ast.expr, held_out: ast.expr) -> bool | None:
    """True for one expression, False for two splits by name, None where the text does not tell."""
    if ast.dump(train) == ast.dump(held_out):
        return True
    if isinstance(train, ast.Subscript) and isinstance(held_out, ast.Subscript):
        keys = [s.slice for s in (train, held_out)]
        if all(isinstance(k, ast.Constant) for k in keys):
            return False
    return None
