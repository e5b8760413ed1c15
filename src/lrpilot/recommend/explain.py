"""Why this number: what each fact changed, the recipes it rests on, what would make it surer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lrpilot.facts import Reason, RunFacts, Source
from lrpilot.recommend.cases import Case
from lrpilot.recommend.estimate import Estimate, Estimator
from lrpilot.recommend.resolve import Resolved

_NEAREST = 5  # assumed: as many sources as a reader will look at
_NOTHING = 0.02  # assumed: a factor within 5% of one is called "no change"


def change_reasons(resolved: Resolved, estimator: Estimator) -> list[Reason]:
    """What each known fact changed, one after the other, from the method alone to all of them."""
    stages = list(_stages(resolved))
    beliefs = estimator.beliefs([case for _, _, case in stages])
    first = beliefs[0].mean
    reasons = [Reason(rule=stages[0][0], text=f"{stages[0][1]}: about {_rate(first)}")]
    before = first
    for (rule, text, _), belief in zip(stages[1:], beliefs[1:], strict=True):
        step = belief.mean - before
        factor = 10.0**step
        if abs(step) < _NOTHING and rule in ("model", "all"):
            continue
        to = "" if abs(step) < _NOTHING else f", to {_rate(belief.mean)}"
        reasons.append(Reason(rule=rule, text=f"{text}: {_effect(step)}{to}", factor=factor))
        before = belief.mean
    return reasons


def _stages(resolved: Resolved) -> Iterator[tuple[str, str, Case]]:
    """(rule, words, case) for each fact in turn; a case knows the facts up to it."""
    whole = resolved.case
    case = Case(
        method=whole.method,
        method_group=whole.method_group,
        optimizer=whole.optimizer,
        optimizer_scale=whole.optimizer_scale,
    )
    yield "method", f"{resolved.method} with {whole.optimizer}", case
    if whole.domain:
        words = whole.architecture or f"a model of {whole.domain}"
        case = replace(case, domain=whole.domain, architecture=whole.architecture)
        yield "architecture", f"architecture {words}", case
    if whole.pretraining:
        case = replace(case, pretraining=whole.pretraining, tuned=whole.tuned)
        yield "pretraining", f"{whole.pretraining} start", case
    if whole.layer_decay:
        case = replace(case, layer_decay=whole.layer_decay)
        share = (
            f"as {whole.layer_decay:.0%} of such recipes"
            if resolved.layer_decay is None
            else (f"by {resolved.layer_decay:g}")
        )
        yield "layer-decay", f"layer-wise decay, {share}", case
    if whole.task_group:
        case = replace(case, task=whole.task, task_group=whole.task_group)
        yield "task", f"task of the kind {whole.task_group}", case
    if whole.params:
        case = replace(case, params=whole.params)
        yield "size", f"{_size(whole.params)} parameters", case
    if whole.family:
        case = replace(case, family=whole.family)
        yield "family", f"family {whole.family}", case
    if whole.model:
        case = replace(case, model=whole.model)
        yield "model", f"model {whole.model}", case
    if whole.batch_size:
        case = replace(case, batch_size=whole.batch_size)
        yield "batch", f"batch of {whole.batch_size:g}", case
    yield "all", "all facts together", replace(whole)


def basis_reason(resolved: Resolved, estimate: Estimate, estimator: Estimator) -> Reason:
    """At which level the recipes answered, and how many there are."""
    case = resolved.case
    rows = [
        recipe
        for recipe, known in zip(estimator.recipes, estimator.cases, strict=True)
        if known.method == case.method
        and known.optimizer == case.optimizer
        and {
            "model": known.model == case.model,
            "family": known.family == case.family,
            "cell": known.domain == case.domain and known.pretraining == case.pretraining,
        }.get(estimate.level, known.domain == case.domain)
    ]
    sources = len({row.source for row in rows})
    recipes = f"{len(rows)} recipe{'s' * (len(rows) > 1)}"
    many = f"{recipes} of {sources} source{'s' * (sources > 1)}" if rows else "no recipe"
    words = {
        "model": f"of this very model: {many}",
        "family": f"of its family, not of the model itself: {many}",
        "cell": f"none of its family; {many} with its method, optimizer, domain and pretraining",
    }.get(estimate.level, f"hardly known: {many} with its method, optimizer and domain; wide band")
    return Reason(rule=f"basis-{estimate.level}", text=words)


def shift_reasons(estimate: Estimate) -> list[Reason]:
    """What each correction changed, beyond what the recipes say."""
    return [
        Reason(rule=s.rule, text=f"{s.text}: {_effect(s.by)}", factor=10.0**s.by)
        for s in estimate.shifts
    ]


def silent_reasons(facts: RunFacts) -> list[Reason]:
    """Facts that the article moves the rate for and the evidence does not."""
    reasons = []
    if facts.train_examples is not None:
        text = (
            f"{facts.train_examples:,} training examples: no change of its own (the article says"
            " slightly higher for more data; published recipes show no slope)"
        )
        reasons.append(Reason(rule="data-size", text=text))
    if facts.distance == "far":
        text = (
            "a task far from the pretraining: no change for the target score (the evidence leans"
            " to higher); to keep old skills take the band's low end, as the article advises"
        )
        reasons.append(Reason(rule="distance", text=text))
    elif facts.distance is not None:
        text = f"a {facts.distance} task: no change; the kind of pretraining already says it"
        reasons.append(Reason(rule="distance", text=text))
    return reasons


def nearest_sources(estimate: Estimate, estimator: Estimator) -> tuple[Source, ...]:
    """The recipes most alike to the case, one a repository and model, with their rates."""
    found: list[Source] = []
    seen: set[tuple[str, str, float]] = set()
    for i in estimate.likeness.argsort()[::-1]:
        recipe = estimator.recipes[i]
        key = (recipe.source, recipe.model, recipe.peak_lr)
        if key in seen or sum(s.where == recipe.link for s in found) > 1:
            continue
        seen.add(key)
        kind = "won a search" if recipe.evidence == "sweep-best" else "the authors' recipe"
        batch = f", batch {recipe.batch_size:g}" if recipe.batch_size else ""
        found.append(
            Source(
                title=f"{recipe.model}, {recipe.method}, {recipe.task}",
                where=recipe.link,
                peak_lr=recipe.peak_lr,
                note=f"{kind}; {recipe.optimizer}{batch}",
            )
        )
        if len(found) == _NEAREST:
            break
    return tuple(found)


def missing_facts(facts: RunFacts, resolved: Resolved) -> tuple[str, ...]:
    """What was not given and would make the answer surer, the most telling first."""
    case = resolved.case
    found = []
    if not case.architecture:
        found.append("architecture (encoder, decoder, vit, cnn, ...)")
    if not case.pretraining:
        found.append("pretraining (self-supervised, supervised, ...): moves the rate most")
    if not case.params:
        found.append("params: larger models take less")
    if not facts.task:
        found.append("task")
    if not case.batch_size:
        found.append("batch_size")
    if not case.steps:
        found.append("steps, or epochs with train_examples and batch_size")
    if resolved.method in ("lora", "qlora", "preference-lora") and facts.lora_rank is None:
        found.append("lora_rank")
    return tuple(found)


def _effect(step: float) -> str:
    return "no change" if abs(step) < _NOTHING else f"x {10.0**step:.2g}"


def _rate(log_rate: float) -> str:
    return f"{10.0**log_rate:.1e}".replace("e-0", "e-")


def _size(params: float) -> str:
    for unit, name in ((1e9, "billion"), (1e6, "million"), (1e3, "thousand")):
        if params >= unit:
            return f"{params / unit:.3g} {name}"
    return f"{params:g}"
