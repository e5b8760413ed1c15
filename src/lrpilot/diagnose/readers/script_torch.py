"""Scripts with a loop of their own on PyTorch, and on Lightning."""

from __future__ import annotations

import ast
import re
from typing import Any

from lrpilot.diagnose.history import Group, Plan
from lrpilot.diagnose.readers.bounded import count, number, positive
from lrpilot.diagnose.readers.plans import join, make_plan, optimizer_name, precision_name, warmup
from lrpilot.diagnose.readers.script_calls import (
    MOST_PLANS,
    Call,
    Found,
    Script,
    epochs_of_loop,
    not_constant,
    shared,
    text_of,
)

# torch 2.13's defaults; None: the class asks for a rate, or sets its own.
_RATES: dict[str, float | None] = {
    "AdamW": 1e-3, "Adam": 1e-3, "SGD": 1e-3, "RMSprop": 1e-2, "Adagrad": 1e-2, "NAdam": 2e-3,
    "RAdam": 1e-3, "Adamax": 2e-3, "Adadelta": 1.0, "LBFGS": 1.0, "Muon": 1e-3, "Adafactor": None,
    "Lion": None, "LAMB": None, "LARS": None, "AdamW8bit": None, "Adam8bit": None,
    "PagedAdamW8bit": None, "Lion8bit": None, "Prodigy": None, "DAdaptAdam": None,
    "AdamWScheduleFree": None, "SGDScheduleFree": None, "FusedAdam": None,
}  # fmt: skip
_SCHEDULES = {
    "CosineAnnealingLR": "cosine", "CosineAnnealingWarmRestarts": "cosine_with_restarts",
    "StepLR": "step", "MultiStepLR": "step", "ExponentialLR": "exponential", "LinearLR": "linear",
    "PolynomialLR": "polynomial", "OneCycleLR": "one-cycle", "CyclicLR": "cyclic",
    "ReduceLROnPlateau": "reduce-lr-on-plateau", "ConstantLR": "constant",
    "get_linear_schedule_with_warmup": "linear", "get_cosine_schedule_with_warmup": "cosine",
    "get_constant_schedule_with_warmup": "constant_with_warmup",
    "get_constant_schedule": "constant", "get_polynomial_decay_schedule_with_warmup": "polynomial",
    "get_inverse_sqrt_schedule": "inverse_sqrt",
    "get_cosine_with_hard_restarts_schedule_with_warmup": "cosine_with_restarts",
}  # fmt: skip
_OPAQUE = ("LambdaLR", "MultiplicativeLR", "SequentialLR", "ChainedScheduler", "create_scheduler")
_HEADS = re.compile(r"head|classifier|pooler|\bfc\b|score", re.IGNORECASE)
_HELD_OUT = re.compile(r"val|valid|eval|dev|test", re.IGNORECASE)


def torch_plans(script: Script) -> Found:
    """A plan for each optimizer that is made."""
    found: Found = []
    for call in optimizers(script)[:MOST_PLANS]:
        plan, said = optimizer_plan(script, call)
        schedule, more = _schedule(script)
        whole = join(plan, _lightning(script), schedule, _loop(script), make_plan(shared(script)))
        found.append((call.node.lineno, whole, (*said, *more)))
    return found


def optimizers(script: Script) -> list[Call]:
    """Calls that make a PyTorch optimizer."""
    return [
        c for c in script.calls
        if c.last in _RATES and "keras" not in c.name and "tensorflow" not in c.name
        and not c.name.startswith("tf.") and (c.node.args or "params" in c.keywords)
    ]  # fmt: skip


def optimizer_plan(script: Script, call: Call) -> tuple[Plan, tuple[str, ...]]:
    """Rate, decay and groups of one optimizer."""
    said: list[str] = []
    given = call.argument("lr", 1)
    rate: float | None = None
    if given is not None:
        rate = positive(script.known(given))
        if rate is None:
            said.append(not_constant("lr", given))
    elif not call.open and _RATES[call.last] is not None:
        rate = _RATES[call.last]
        said.append(f"lr is not set, so {call.last}'s default: {rate:g}.")
    groups = _groups(script, call, rate)
    heads = [g.lr for g in groups if _HEADS.search(g.name)]
    bodies = [g.lr for g in groups if not _HEADS.search(g.name)]
    decay = call.argument("weight_decay")
    values: dict[str, Any] = {
        "planned_lr": bodies[0] if bodies else rate,
        "optimizer": _optimizer(script, call),
        "weight_decay": number(script.known(decay)) if decay is not None else None,
        "groups": groups or None,
        "head_lr": heads[0] if heads and bodies else None,
    }
    return make_plan(values), tuple(said)


def _optimizer(script: Script, call: Call) -> str | None:
    """The optimizer's name; the classes of Adafactor scale by each tensor's size unless told not
    to."""
    name = optimizer_name(call.last)
    scaled = call.argument("scale_parameter")
    if name == "adafactor" and (scaled is None or script.known(scaled) is True):
        return "adafactor-relative"
    return name


def _groups(script: Script, call: Call, rate: float | None) -> tuple[Group, ...]:
    """Parameter groups that are written out as a list of dictionaries."""
    listed = script.names.expression(call.argument("params", 0))
    if not isinstance(listed, ast.List):
        return ()
    found = []
    for position, item in enumerate(listed.elts):
        if not isinstance(item, ast.Dict):
            return ()
        entries = {k.value: v for k, v in zip(item.keys, item.values, strict=True)
                   if isinstance(k, ast.Constant)}  # fmt: skip
        own = positive(script.known(entries["lr"])) if "lr" in entries else rate
        if own is None:
            return ()
        name = text_of(entries.get("params")).replace(".parameters()", "")
        found.append(Group(name=name or f"group {position}", lr=own))
    return tuple(found)


def _schedule(script: Script) -> tuple[Plan, tuple[str, ...]]:
    """The scheduler; none is a constant rate."""
    for call in script.of("get_scheduler"):
        name = script.known(call.argument("name", 0))
        word = name if isinstance(name, str) else None
        return _of_scheduler(script, call, word, 2, 3), ()
    for call in script.of(*_SCHEDULES):
        warm = 1 if call.last.endswith("warmup") else None
        return _of_scheduler(script, call, _SCHEDULES[call.last], warm, 2), ()
    opaque = script.of(*_OPAQUE)
    if opaque:
        return Plan(), (f"The schedule is {opaque[0].last}, whose shape the text does not tell.",)
    named = any(c.last.lower().endswith(("scheduler", "schedule")) for c in script.calls)
    return (Plan() if named else make_plan({"schedule": "constant"})), ()


def _of_scheduler(
    script: Script, call: Call, name: str | None, warm: int | None, total: int
) -> Plan:
    warm_steps = call.argument("num_warmup_steps", warm)
    last = warm is not None or "num_training_steps" in call.keywords
    steps = count(script.known(call.argument("num_training_steps", total))) if last else None
    return make_plan(
        {
            "schedule": name,
            "schedule_steps": steps,
            **(warmup(script.known(warm_steps), None) if warm_steps is not None else {}),
        }
    )


def _lightning(script: Script) -> Plan:
    """Lightning's Trainer, and what its callbacks watch."""
    values: dict[str, Any] = {}
    for call in script.of("Trainer"):
        values |= {
            "epochs": positive(script.known(call.argument("max_epochs"))),
            "steps": count(script.known(call.argument("max_steps"))),
            "precision": precision_name(script.known(call.argument("precision"))),
            "max_grad_norm": number(script.known(call.argument("gradient_clip_val"))) or 0.0,
        }
        if values["steps"]:
            values["epochs"] = None
        gathered = count(script.known(call.argument("accumulate_grad_batches"))) or 1
        size = _batch_size(script)
        values["batch_size"] = size * gathered if size else None
    for call in script.of("ModelCheckpoint"):
        metric = script.known(call.argument("monitor"))
        mode = script.known(call.argument("mode"))
        if isinstance(metric, str):
            values |= {"metric": metric, "keeps_best": True}
            values["metric_mode"] = mode if mode in ("min", "max") else "min"  # its default
    return make_plan(values)


def _loop(script: Script) -> Plan:
    """What a loop of one's own shows: epochs, clipping, precision, validation, batch size."""
    clip = next(iter(script.of("clip_grad_norm_", "clip_grad_norm")), None)
    norm = script.known(clip.argument("max_norm", 1)) if clip is not None else 0.0
    return make_plan(
        {
            "epochs": epochs_of_loop(script),
            "max_grad_norm": number(norm),
            "precision": _precision(script),
            "evaluates": _evaluates(script),
            "batch_size": _batch_size(script),
        }
    )


def _batch_size(script: Script) -> int | None:
    """Of the loader of training data: named so, or shuffled."""
    for call in script.of("DataLoader"):
        data = text_of(call.argument("dataset", 0))
        shuffled = script.known(call.argument("shuffle")) is True
        if "train" in data.lower() or (shuffled and not _HELD_OUT.search(data)):
            return count(script.known(call.argument("batch_size", 1)))
    return None


def _precision(script: Script) -> str | None:
    for call in script.of("autocast", "Accelerator"):
        for name in ("dtype", "mixed_precision"):
            node = call.argument(name)
            if node is not None:
                return precision_name(script.known(node) or text_of(node))
    return "fp16" if script.of("GradScaler") else None


def _evaluates(script: Script) -> bool | None:
    """Whether anything validates: a method of Lightning's, `model.eval()`, or held-out loaders."""
    for node in ast.walk(script.tree):
        if isinstance(node, ast.FunctionDef) and node.name in ("validation_step", "val_dataloader"):
            return True
    if any(c.name.endswith(".eval") for c in script.calls):
        return True
    loaders = [text_of(c.argument("dataset", 0)) for c in script.of("DataLoader")]
    if any(_HELD_OUT.search(text) for text in loaders):
        return True
    words = {n.id for n in ast.walk(script.tree) if isinstance(n, ast.Name)}
    words |= {n.name for n in ast.walk(script.tree) if isinstance(n, ast.FunctionDef)}
    return None if any(_HELD_OUT.search(word) for word in words) else False
