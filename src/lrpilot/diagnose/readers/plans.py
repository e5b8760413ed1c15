"""From settings, as frameworks name them, to a `Plan`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from lrpilot.diagnose.history import Plan
from lrpilot.diagnose.readers.bounded import count, number, positive, truth
from lrpilot.errors import InputError
from lrpilot.facts import RunFacts
from lrpilot.recommend.vocabulary import read_optimizer, tidy

_FACTS = {f.name for f in fields(RunFacts)}
_NEVER = ("no", "none", "false", "off")


def make_plan(values: Mapping[str, Any]) -> Plan:
    """A plan of what is known; names are those of `RunFacts` and of `Plan`, None is unknown.

    A fact that cannot be (a negative rate) is left out.
    """
    known = {k: v for k, v in values.items() if v is not None and v != ""}
    facts = {k: v for k, v in known.items() if k in _FACTS}
    try:
        made = RunFacts(**facts)
    except (InputError, TypeError):
        facts = {k: v for k, v in facts.items() if _possible(k, v)}
        made = RunFacts(**facts)
    rest = {k: v for k, v in known.items() if k not in _FACTS}
    return Plan(facts=made, **rest, stated=frozenset({*facts, *rest}))


def _possible(name: str, value: Any) -> bool:
    try:
        RunFacts(**{name: value})
    except (InputError, TypeError):
        return False
    return True


def join(*plans: Plan) -> Plan:
    """One plan of several: what an earlier one states stands."""
    values: dict[str, Any] = {}
    for plan in reversed(plans):
        values.update({n: getattr(plan.facts if n in _FACTS else plan, n) for n in plan.stated})
    return make_plan(values)


def optimizer_name(word: Any) -> str | None:
    """The table's name where it has one, else the word, tidied ("adamw_torch" is "adamw")."""
    if not isinstance(word, str) or not word.strip():
        return None
    name = tidy(word.rsplit(".", 1)[-1])
    try:
        return read_optimizer(name)
    except InputError:
        return name[:80]


def precision_name(word: Any) -> str | None:
    """ "fp16", "bf16" or "fp32" out of what frameworks call them; None for all else."""
    text = str(word).strip().lower().removeprefix("torch.")
    if "bf16" in text or "bfloat16" in text:
        return "bf16"
    if text in ("16", "16-mixed", "16-true", "fp16", "float16", "half", "mixed_float16"):
        return "fp16"
    if text in ("32", "32-true", "fp32", "float32", "float", "no"):
        return "fp32"
    return None


def warmup(steps: Any, ratio: Any) -> dict[str, Any]:
    """`warmup_steps` and `warmup_frac`; a share may stand where steps are expected (HF 5)."""
    taken, share = number(steps), number(ratio)
    if taken is not None and 0 < taken < 1:
        taken, share = None, taken
    if taken is not None and taken >= 1 and taken == int(taken) and taken < 2**53:
        return {"warmup_steps": int(taken)}
    if share is not None and 0 <= share <= 1:
        return {"warmup_frac": share}
    return {"warmup_steps": 0} if taken == 0 else {}


def from_arguments(data: Mapping[str, Any]) -> Plan:
    """`TrainingArguments` as a mapping, of any version."""
    strategy = data.get("eval_strategy", data.get("evaluation_strategy"))
    strategy = str(strategy).rsplit(".", 1)[-1].lower() if strategy is not None else None
    metric = data.get("metric_for_best_model")
    greater = truth(data.get("greater_is_better"))
    if greater is None and isinstance(metric, str) and metric:
        greater = not metric.endswith("loss")  # TrainingArguments.__post_init__'s own rule
    steps, every = count(data.get("max_steps")), number(data.get("eval_steps"))
    if every is not None and 0 < every < 1:
        every = every * steps if steps else None
    return make_plan(
        {
            "planned_lr": positive(data.get("learning_rate")),
            "batch_size": _batch(data),
            "steps": steps,
            "epochs": None if steps else positive(data.get("num_train_epochs")),
            "optimizer": optimizer_name(data.get("optim")),
            "schedule": _word(data.get("lr_scheduler_type")),
            "weight_decay": number(data.get("weight_decay")),
            "max_grad_norm": number(data.get("max_grad_norm")),
            "precision": _precision(data),
            "evaluates": None if strategy is None else strategy not in _NEVER,
            "eval_every_steps": count(every) if strategy == "steps" else None,
            "keeps_best": truth(data.get("load_best_model_at_end")),
            "metric": metric if isinstance(metric, str) else None,
            "metric_mode": None if greater is None else "max" if greater else "min",
            "schedule_steps": steps,
            **warmup(data.get("warmup_steps"), data.get("warmup_ratio")),
            **_model(data),
        }
    )


def _batch(data: Mapping[str, Any]) -> int | None:
    device = count(data.get("per_device_train_batch_size"))
    gathered = count(data.get("gradient_accumulation_steps")) or 1
    return device * gathered if device else None


def _precision(data: Mapping[str, Any]) -> str | None:
    half, brain = truth(data.get("fp16")), truth(data.get("bf16"))
    if brain:
        return "bf16"
    if half:
        return "fp16"
    return "fp32" if half is False and brain is False else None


def _model(data: Mapping[str, Any]) -> dict[str, Any]:
    """Model and method where an argument file names them (alignment-handbook, LLaMA-Factory)."""
    found: dict[str, Any] = {}
    name = data.get("model_name_or_path")
    if isinstance(name, str):
        found["model"] = name
    kind = data.get("finetuning_type")
    quantized = truth(data.get("load_in_4bit")) or count(data.get("quantization_bit"))
    if truth(data.get("use_peft")) or kind == "lora":
        found["method"] = "qlora" if quantized else "lora"
        found["lora_rank"] = count(data.get("lora_r", data.get("lora_rank")))
        found["lora_alpha"] = positive(data.get("lora_alpha"))
    elif kind == "full" or truth(data.get("use_peft")) is False:
        found["method"] = "full"
    return found


def _word(value: Any) -> str | None:
    text = str(value).rsplit(".", 1)[-1].lower() if isinstance(value, str) else ""
    return text[:80] or None
