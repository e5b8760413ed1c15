"""Scripts on Keras: `compile()` and `fit()`."""

from __future__ import annotations

import ast
from typing import Any

from lrpilot.diagnose.history import Plan
from lrpilot.diagnose.readers.bounded import count, number, positive, truth
from lrpilot.diagnose.readers.plans import join, make_plan, optimizer_name
from lrpilot.diagnose.readers.script_calls import (
    MOST_PLANS,
    Call,
    Found,
    Script,
    call_of,
    not_constant,
    shared,
)

# Keras 3.15's defaults (src/optimizers).
_RATES = {"adam": 1e-3, "adamw": 1e-3, "sgd": 1e-2, "rmsprop": 1e-3, "adagrad": 1e-3,
          "adamax": 1e-3, "nadam": 1e-3, "ftrl": 1e-3, "adadelta": 1e-3, "lion": 1e-3,
          "adafactor": 1e-3, "lamb": 1e-3, "muon": 1e-3}  # fmt: skip
_DEFAULT = "learning_rate is not set, so Keras' default for {}: {:g}."
_SCHEDULES = {"CosineDecay": "cosine", "CosineDecayRestarts": "cosine_with_restarts",
              "ExponentialDecay": "exponential", "PolynomialDecay": "linear",
              "InverseTimeDecay": "inverse", "PiecewiseConstantDecay": "step"}  # fmt: skip


def keras_plans(script: Script) -> Found:
    """A plan for each `compile()` that names an optimizer or a loss."""
    compiles = [c for c in script.of("compile") if {"optimizer", "loss"} & c.keywords.keys()]
    return [_plan(script, call) for call in compiles[:MOST_PLANS]]


def _plan(script: Script, call: Call) -> tuple[int, Plan, tuple[str, ...]]:
    optimizer, said = _optimizer(script, call)
    plan = join(_callbacks(script), optimizer, _fit(script), make_plan(shared(script)))
    if "schedule" not in plan.stated:
        plan = join(plan, make_plan({"schedule": "constant"}))
    return call.node.lineno, plan, tuple(said)


def _named(word: str) -> str | None:
    """The optimizer's name; Keras' Adafactor always scales by each tensor's size."""
    name = optimizer_name(word)
    return "adafactor-relative" if name == "adafactor" else name


def _optimizer(script: Script, call: Call) -> tuple[Plan, list[str]]:
    node = script.names.expression(call.argument("optimizer", 0))
    name = script.known(node) if node is not None else "rmsprop"  # compile()'s own default
    if isinstance(name, str):
        rate = _RATES.get(name.lower())
        said = (
            [f"learning_rate is not set, so Keras' default for {name}: {rate:g}."] if rate else []
        )
        return make_plan({"optimizer": _named(name), "planned_lr": rate}), said
    if not isinstance(node, ast.Call):
        return Plan(), [not_constant("optimizer", node)] if node is not None else []
    made = Call(
        script.names.dotted(node.func), node, {k.arg: k.value for k in node.keywords if k.arg}
    )
    given = made.argument("learning_rate", 0) or made.argument("lr")
    values: dict[str, Any] = {"optimizer": _named(made.last)}
    said = []
    if given is None:
        values["planned_lr"] = rate = _RATES.get(made.last.lower())
        if rate:
            said.append(_DEFAULT.format(made.last, rate))
    else:
        values |= _rate(script, given)
        if values.get("planned_lr") is None:
            said.append(not_constant("learning_rate", given))
    clip = made.argument("global_clipnorm") or made.argument("clipnorm")
    values["max_grad_norm"] = number(script.known(clip)) if clip is not None else 0.0
    decay = made.argument("weight_decay")
    values["weight_decay"] = number(script.known(decay)) if decay is not None else None
    return make_plan(values), said


def _rate(script: Script, node: ast.expr) -> dict[str, Any]:
    """A constant rate, or a schedule's first."""
    value = positive(script.known(node))
    if value is not None:
        return {"planned_lr": value}
    made = script.names.expression(node)
    if not isinstance(made, ast.Call):
        return {}
    name = script.names.dotted(made.func).rsplit(".", 1)[-1]
    if name not in _SCHEDULES:
        return {}
    call = call_of(made, name)
    target = positive(script.known(call.argument("warmup_target")))
    start = positive(script.known(call.argument("initial_learning_rate", 0)))
    return {
        "schedule": _SCHEDULES[name],
        "planned_lr": target or start,
        "schedule_steps": count(script.known(call.argument("decay_steps", 1))),
        "warmup_steps": count(script.known(call.argument("warmup_steps"))),
    }


def _fit(script: Script) -> Plan:
    for call in script.of("fit", "fit_generator"):
        held_out = call.argument("validation_data")
        share = call.argument("validation_split")
        train = [call.argument("x", 0), call.argument("y", 1)]
        values: dict[str, Any] = {
            "epochs": positive(script.known(call.argument("epochs"))),
            "batch_size": count(script.known(call.argument("batch_size"))),
            "evaluates": held_out is not None
            or share is not None
            or (None if call.open else False),
        }
        if isinstance(held_out, ast.Tuple) and all(t is not None for t in train):
            same = [ast.dump(a) == ast.dump(b) for a, b in zip(train, held_out.elts, strict=False)
                    if a is not None]  # fmt: skip
            values["eval_on_train"] = True if all(same) else None
        elif held_out is not None and train[0] is not None:
            values["eval_on_train"] = True if ast.dump(train[0]) == ast.dump(held_out) else None
        return make_plan(values)
    return Plan()


def _callbacks(script: Script) -> Plan:
    values: dict[str, Any] = {}
    if script.of("ReduceLROnPlateau"):
        values["schedule"] = "reduce-lr-on-plateau"
    elif script.of("LearningRateScheduler"):
        values["schedule"] = "callback"
    for call in script.of("EarlyStopping", "ModelCheckpoint"):
        keeps = truth(script.known(call.argument("restore_best_weights")))
        keeps = keeps or truth(script.known(call.argument("save_best_only")))
        metric = script.known(call.argument("monitor", 0 if call.last == "EarlyStopping" else 1))
        mode = script.known(call.argument("mode"))
        values["keeps_best"] = bool(keeps) or bool(values.get("keeps_best"))
        if keeps:
            values["metric"] = metric if isinstance(metric, str) else "val_loss"
            values["metric_mode"] = mode if mode in ("min", "max") else None
    if "keeps_best" not in values:
        values["keeps_best"] = False
    return make_plan(values)
