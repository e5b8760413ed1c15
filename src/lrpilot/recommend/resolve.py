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
    is_preference,
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
        layer_decay: The layer-wise decay given, or that recipes of this kind use; None is none.
    """

    case: Case
    known: Known
    method: str
    optimizer: str
    task_known: bool
    layer_decay: float | None


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
    if method.startswith("preference") and not facts.pretraining:
        # assumed: preference tuning follows supervised tuning, as in every recipe of it
        known = replace(known, pretraining="instruction-tuned")
    _check(facts, known, method)
    if facts.params and not known.sized:
        known = replace(known, model=None)  # "gpt2" of another size is not that model
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
        epochs=facts.planned_epochs,
        classes=facts.classes,
    )
    share, decay = usual_layer_decay(case, recipes)
    if facts.layerwise_decay is not None:
        share = float(facts.layerwise_decay < 1.0)
        decay = facts.layerwise_decay if share else None
    return Resolved(
        case=replace(case, layer_decay=share),
        known=known,
        method=method,
        optimizer=optimizer,
        task_known=facts.task is None or read_task(facts.task)[1] is not None,
        layer_decay=decay,
    )


def _method(facts: RunFacts) -> str:
    """The method; a preference task makes it a preference method."""
    method = read_method(facts.method)
    if is_preference(facts.task):
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
    if facts.params and known.params and known.sized:
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


def usual_layer_decay(case: Case, recipes: Sequence[Recipe]) -> tuple[float, float | None]:
    """The share of recipes with layer-wise decay, by its family or by families of the same start.

    Returns:
        The share, each family counted once; and the middle decay where it can be advised: most use
        it, and one or two families alone say nothing of another.
    """
    families: dict[str, list[float]] = {}
    for recipe in recipes:
        if (
            recipe.method == case.method
            and read_optimizer(recipe.optimizer) == case.optimizer
            and recipe.architecture == case.architecture
            and recipe.pretraining == case.pretraining
        ):
            families.setdefault(recipe.family, []).append(recipe.layerwise_decay or 1.0)
    own = case.family in families
    if case.family in families:
        families = {case.family: families[case.family]}
    if not families:
        return 0.0, None
    shares = [sum(decay < 1.0 for decay in used) / len(used) for used in families.values()]
    share = sum(shares) / len(shares)
    # assumed: three families; two may have their code from each other, as ConvNeXt and InternImage
    if share <= 0.5 or not (own or len(families) > 2):
        return share, None
    used = sorted(decay for family in families.values() for decay in family if decay < 1.0)
    return share, used[len(used) // 2]
