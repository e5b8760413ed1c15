"""The rest of the recipe: warm-up, shape, layer-wise decay, batch, head, epochs, method."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from lrpilot.facts import Reason, RunFacts
from lrpilot.recommend.cases import Case
from lrpilot.recommend.estimate import Estimate, Estimator
from lrpilot.recommend.resolve import Resolved
from lrpilot.recommend.table import Recipe
from lrpilot.recommend.vocabulary import METHOD_GROUPS

_NEIGHBOURS = 25  # assumed: as many recipes as vote on a warm-up or a schedule
_DEFAULT_WARMUP = 0.06  # assumed: the middle of the 3%, 6% and 10% that most recipes give
_LONGEST_WARMUP = 0.2  # assumed: longer shares come from counts of steps set for longer runs
_SHAPES = {"cosine_with_min_lr": "cosine", "tri-stage": "linear", "onecycle": "cosine",
           "inverse-sqrt": "linear", "inverse_sqrt": "linear", "step": "constant"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """Warm-up, shape and layer-wise decay, with the rest in words."""

    warmup_frac: float
    schedule: str
    layerwise_decay: float | None
    advice: tuple[Reason, ...]


def make_plan(
    facts: RunFacts, resolved: Resolved, estimate: Estimate, estimator: Estimator
) -> Plan:
    """What the nearest recipes do beside the rate; one vote a source."""
    order = estimate.likeness.argsort()[::-1][:_NEIGHBOURS]
    near = [estimator.recipes[i] for i in order]
    warmup = _vote(near, warmup_share)
    shape = _vote(near, lambda recipe: recipe.schedule)
    schedule = _SHAPES.get(str(shape), str(shape)) if shape else "linear"
    frac = float(warmup) if isinstance(warmup, float) else _DEFAULT_WARMUP
    decay = _layer_decay(facts, resolved.case, estimator.recipes)
    advice = [
        Reason(
            rule="schedule",
            text=f"warm up over {frac:.0%} of the steps, then {_fall(schedule)}: what most of the"
            " nearest sources do",
        ),
        _head(resolved.case, decay),
        *_batch(resolved.case, estimator),
        *_other_method(resolved, estimator),
        *_epochs(facts, near),
    ]
    if decay is not None and facts.layerwise_decay is None:
        text = (
            f"layer-wise decay {decay:g}: recipes of this start use it, and their rate is the"
            " head's; without it take the band's low end"
        )
        advice.insert(1, Reason(rule="layer-decay", text=text))
    return Plan(frac, schedule, decay, tuple(advice))


def warmup_share(recipe: Recipe) -> float | None:
    """The share of the steps that a recipe warms up for, from "6%", "0.06", "500 steps"."""
    words = (recipe.warmup or "").split()
    if not words:
        return None
    try:
        amount = float(words[0].rstrip("%"))
    except ValueError:
        return None
    if words[0].endswith("%"):
        return amount / 100.0
    if len(words) == 1:
        return amount if amount < 1.0 else None
    whole = {"steps": recipe.steps, "epochs": recipe.epochs}.get(words[1])
    return min(_LONGEST_WARMUP, round(amount / whole, 3)) if whole else None


def _vote(
    near: Sequence[Recipe], say: Callable[[Recipe], float | str | None]
) -> float | str | None:
    """The weighted median of numbers, or the favourite word; each source has one vote."""
    votes: dict[float | str, float] = defaultdict(float)
    count: dict[str, int] = defaultdict(int)
    for recipe in near:
        if say(recipe) is not None:
            count[recipe.source] += 1
    for recipe in near:
        value = say(recipe)
        if value is not None:
            votes[value] += 1.0 / count[recipe.source]
    if not votes:
        return None
    if all(isinstance(value, float) for value in votes):
        half, total = sum(votes.values()) / 2.0, 0.0
        for value in sorted(votes):
            total += votes[value]
            if total >= half:
                return value
    return max(votes, key=lambda value: votes[value])


def _fall(schedule: str) -> str:
    return {"constant": "stay constant", "cosine": "fall to zero along a cosine"}.get(
        schedule, "fall linearly to zero"
    )


def _layer_decay(facts: RunFacts, case: Case, recipes: Sequence[Recipe]) -> float | None:
    if facts.layerwise_decay is not None:
        return facts.layerwise_decay if facts.layerwise_decay < 1.0 else None
    if case.layer_decay <= 0.5 or case.method != "full":
        return None
    used = sorted(
        recipe.layerwise_decay
        for recipe in recipes
        if recipe.layerwise_decay
        and recipe.layerwise_decay < 1.0
        and recipe.architecture == case.architecture
    )
    return used[len(used) // 2] if used else None


def _head(case: Case, decay: float | None) -> Reason:
    if case.method_group != "weights" or case.method == "preference-full":
        return Reason(rule="head", text="the body stays frozen: one rate for all new weights")
    if decay is not None:
        return Reason(rule="head", text="a new head takes the full rate, the lowest layer least")
    if case.domain == "vision":
        text = (
            "a new head may train alone first where the task is far from the pretraining (Kumar et"
            " al. 2022, LP-FT); then one rate for head and body, as the recipes have it"
        )
        return Reason(rule="head", text=text)
    return Reason(rule="head", text="one rate for a new head and the body, as the recipes have it")


def _batch(case: Case, estimator: Estimator) -> list[Reason]:
    base = case.batch_size or 32.0  # assumed: only the ratio of the two answers is used
    once, twice = estimator.beliefs(
        [replace(case, batch_size=base), replace(case, batch_size=2.0 * base)]
    )
    factor = 10.0 ** (twice.mean - once.mean)
    text = (
        f"twice the batch: rate x {factor:.2f} by the recipes (the square-root rule says x 1.41,"
        " the linear one x 2)"
    )
    return [Reason(rule="batch", text=text, factor=factor)]


def _other_method(resolved: Resolved, estimator: Estimator) -> list[Reason]:
    other = {"full": "lora", "lora": "full", "preference-full": "preference-lora",
             "preference-lora": "preference-full"}.get(resolved.case.method or "")  # fmt: skip
    if other is None or not _is_used(other, resolved.case, estimator):
        return []
    changed = replace(resolved.case, method=other, method_group=METHOD_GROUPS[other])
    here, there = estimator.beliefs([resolved.case, changed])
    factor = 10.0 ** (there.mean - here.mean)
    name = {"lora": "LoRA", "preference-lora": "LoRA"}.get(other, "full fine-tuning")
    text = f"{name} instead would take about x {factor:.2g}"
    return [Reason(rule="method", text=text, factor=factor)]


def _is_used(method: str, case: Case, estimator: Estimator) -> bool:
    """Whether enough recipes of the domain use a method for its rate to be quoted."""
    used = [c for c in estimator.cases if c.method == method and c.domain == case.domain]
    return len({c.source for c in used}) > 1


def _epochs(facts: RunFacts, near: Sequence[Recipe]) -> list[Reason]:
    if facts.epochs is not None or facts.steps is not None:
        return []
    epochs = _vote(near, lambda recipe: recipe.epochs)
    if not isinstance(epochs, float):
        return []
    return [Reason(rule="epochs", text=f"about {epochs:g} epochs, as the nearest sources train")]
