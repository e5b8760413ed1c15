"""From a user's facts to a case: names looked up, words read, contradictions refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lrpilot.errors import InputError
from lrpilot.facts import RunFacts
from lrpilot.recommend.cases import Case, make_case
from lrpilot.recommend.models import Known, look_up
from lrpilot.recommend.table import Recipe
from lrpilot.recommend.vocabulary import (
    DOMAINS,
    read_architecture,
    read_method,
    read_optimizer,
    read_pretraining,
    read_task,
)

_LORA = ("lora", "qlora", "preference-lora")
_SIZE_FACTOR = 10.0  # assumed: pruned, quantized or re-headed models stay within it
_STEPS_FACTOR = 3.0  # assumed: packing, filtering and the last short batch stay within it


@dataclass(frozen=True, slots=True)
class Resolved:
    """The facts as the estimator reads them.

    Attributes:
        case: What is compared with the recipes; Lion stands as AdamW, to be shifted.
        known: What the model's name said.
        method, optimizer: As the user meant them, in the table's words.
        task_known: Whether any recipe's task is like the given one; True when none was given.
        size_by: Where the size comes from ("you", "the name") or None.
    """

    case: Case
    known: Known
    method: str
    optimizer: str
    task_known: bool
    size_by: str | None


def resolve(facts: RunFacts, recipes: Sequence[Recipe]) -> Resolved:
    """Read the facts.

    Raises:
        InputError: There is nothing to go on, a word is unknown, or facts contradict each other.
    """
    given = (facts.model, facts.family, facts.architecture, facts.task, facts.params)
    if not any(given):
        raise InputError(
            "nothing to go on: no model, family, architecture, task or params is given;"
            " give at least the model's name, or the architecture and the task"
        )
    method, optimizer = _method(facts), read_optimizer(facts.optimizer)
    known = look_up(facts.model or facts.family or "", recipes)
    if facts.model is None and known.how == "unknown" and facts.family:
        known = replace(known, family=facts.family.strip().lower())
    known = _with_words(facts, known)
    _check(facts, known, method)
    params = facts.params or known.params
    steps = facts.planned_steps
    case = make_case(
        model=known.model if facts.model else None,
        family=known.family,
        architecture=known.architecture,
        pretraining=known.pretraining,
        method=method,
        optimizer="adamw" if optimizer == "lion" else optimizer,
        task=facts.task,
        params=params,
        batch_size=facts.batch_size,
        steps=steps,
    )
    case = replace(case, layer_decay=_layer_decay(facts, case, recipes))
    return Resolved(
        case=case,
        known=known,
        method=method,
        optimizer=optimizer,
        task_known=facts.task is None or read_task(facts.task)[1] is not None,
        size_by="you" if facts.params else ("the name" if known.params else None),
    )


def _method(facts: RunFacts) -> str:
    """The method; a preference task makes it a preference method."""
    method = read_method(facts.method)
    if facts.task and read_task(facts.task)[1] == "preference":
        return {
            "full": "preference-full",
            "lora": "preference-lora",
            "qlora": "preference-lora",
        }.get(method, method)
    return method


def _with_words(facts: RunFacts, known: Known) -> Known:
    """What the user says outright goes before what the name says."""
    if facts.architecture:
        architecture = read_architecture(facts.architecture)
        if known.architecture and known.architecture != architecture:
            raise InputError(
                f"architecture is {architecture!r}, but {facts.model or facts.family!r} is known as"
                f" {known.architecture!r}: leave one of them out"
            )
        known = replace(known, architecture=architecture)
    if facts.family and facts.model and known.family:
        family = facts.family.strip().lower()
        if family != known.family:
            raise InputError(
                f"family is {facts.family!r}, but {facts.model!r} is known as {known.family!r}:"
                " leave one of them out"
            )
    elif facts.family and facts.model:
        known = replace(known, family=facts.family.strip().lower())
    if facts.pretraining:
        known = replace(known, pretraining=read_pretraining(facts.pretraining))
    return known


def _check(facts: RunFacts, known: Known, method: str) -> None:
    for name in ("lora_rank", "lora_alpha"):
        if getattr(facts, name) is not None and method not in _LORA:
            raise InputError(
                f"{name} is {getattr(facts, name)!r}, but the method is {method!r}:"
                " give method lora or qlora, or leave it out"
            )
    if facts.layerwise_decay is not None and facts.layerwise_decay > 1.0:
        raise InputError(f"layerwise_decay is {facts.layerwise_decay!r}: give 1.0 (none) or less")
    if facts.params and known.params:
        ratio = facts.params / known.params
        if not 1.0 / _SIZE_FACTOR <= ratio <= _SIZE_FACTOR:
            raise InputError(
                f"params is {facts.params:g}, but {facts.model!r} has about {known.params:g}:"
                " correct one of them"
            )
    _check_steps(facts)
    _check_domain(facts, known)


def _check_steps(facts: RunFacts) -> None:
    if facts.steps is None:
        return
    implied = replace(facts, steps=None).planned_steps
    if implied and not 1.0 / _STEPS_FACTOR <= facts.steps / implied <= _STEPS_FACTOR:
        raise InputError(
            f"steps is {facts.steps}, but epochs, train_examples and batch_size come to {implied}:"
            " correct one of them"
        )


def _check_domain(facts: RunFacts, known: Known) -> None:
    """Text models do not classify images, nor image models text."""
    domain = DOMAINS.get(known.architecture or "", known.architecture)
    if not facts.task or known.architecture in (None, "multimodal", "tabular"):
        return
    wanted = read_task(facts.task)[2]
    if wanted and domain and wanted != domain and {wanted, domain} <= {"text", "vision", "speech"}:
        raise InputError(
            f"task is {facts.task!r}, but {facts.model or known.architecture!r} is a model of"
            f" {domain} ({known.architecture}): correct one of them"
        )


def _layer_decay(facts: RunFacts, case: Case, recipes: Sequence[Recipe]) -> float:
    """Given, or the share of its family, or of families of the same start, that use it."""
    if facts.layerwise_decay is not None:
        return float(facts.layerwise_decay < 1.0)
    families: dict[str, list[bool]] = {}
    for recipe in recipes:
        if (
            recipe.method == case.method
            and read_optimizer(recipe.optimizer) == case.optimizer
            and DOMAINS.get(recipe.architecture, recipe.architecture) == case.domain
            and recipe.pretraining == case.pretraining
            and (case.architecture is None or recipe.architecture == case.architecture)
        ):
            used = (recipe.layerwise_decay or 1.0) < 1.0
            families.setdefault(recipe.family, []).append(used)
    shares = {name: sum(used) / len(used) for name, used in families.items()}
    if case.family in shares:
        return shares[case.family]
    return sum(shares.values()) / len(shares) if shares else 0.0
