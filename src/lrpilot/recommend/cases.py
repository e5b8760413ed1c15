"""A case: what the estimator sees of a published recipe or of a user's run, in the same words."""

from __future__ import annotations

from dataclasses import dataclass

from lrpilot.recommend.table import Recipe
from lrpilot.recommend.vocabulary import (
    DOMAINS,
    METHOD_GROUPS,
    OPTIMIZER_SCALES,
    TUNED,
    read_method,
    read_optimizer,
    read_task,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The facts that move a learning rate; None is "not known" and is alike to nothing.

    Attributes:
        layer_decay: 1.0 where the rate falls from each layer to the one below, 0.0 where not, and
            between the two where only the share of such recipes is known.
        source, searched: Who published it, and whether the rate won a search; for recipes only.
    """

    model: str | None = None
    family: str | None = None
    architecture: str | None = None
    domain: str | None = None
    pretraining: str | None = None
    tuned: str | None = None
    method: str | None = None
    method_group: str | None = None
    optimizer: str | None = None
    optimizer_scale: str | None = None
    task: str | None = None
    task_group: str | None = None
    params: float | None = None
    batch_size: float | None = None
    steps: float | None = None
    epochs: float | None = None
    classes: int | None = None
    layer_decay: float = 0.0
    source: str | None = None
    searched: bool = False


def make_case(
    *,
    model: str | None,
    family: str | None,
    architecture: str | None,
    pretraining: str | None,
    method: str,
    optimizer: str,
    task: str | None,
    params: float | None,
    batch_size: float | None,
    steps: float | None,
    epochs: float | None = None,
    classes: int | None = None,
    layer_decay: float = 0.0,
    source: str | None = None,
    searched: bool = False,
) -> Case:
    """A case from raw words; derives the groups that the estimator pools over."""
    kind = {"qlora": "lora"}.get(read_method(method), read_method(method))
    rule = read_optimizer(optimizer)
    name = group = domain = None
    if task:
        name, group, domain = read_task(task)
    if architecture:
        domain = DOMAINS.get(architecture, architecture)
    return Case(
        model=model,
        family=family,
        architecture=architecture,
        domain=domain,
        pretraining=pretraining,
        tuned=None if pretraining is None else ("yes" if pretraining in TUNED else "no"),
        method=kind,
        method_group=METHOD_GROUPS[kind],
        optimizer=rule,
        optimizer_scale=OPTIMIZER_SCALES.get(rule, "adam"),
        task=name if group else None,
        task_group=group,
        params=params,
        batch_size=batch_size,
        steps=steps,
        epochs=epochs,
        classes=classes,
        layer_decay=layer_decay,
        source=source,
        searched=searched,
    )


def recipe_case(recipe: Recipe) -> Case:
    """The case of a published recipe."""
    return make_case(
        model=recipe.model,
        family=recipe.family,
        architecture=recipe.architecture,
        pretraining=recipe.pretraining,
        method=recipe.method,
        optimizer=recipe.optimizer,
        task=recipe.task,
        params=recipe.params,
        batch_size=recipe.batch_size,
        steps=recipe.steps,
        epochs=recipe.epochs,
        layer_decay=float((recipe.layerwise_decay or 1.0) < 1.0),
        source=recipe.source,
        searched=recipe.evidence == "sweep-best",
    )
