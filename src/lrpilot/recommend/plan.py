"""The rest of the recipe: warm-up, shape, layer-wise decay, batch, head, epochs, method."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from lrpilot.facts import Reason, RunFacts
from lrpilot.recommend.cases import Case
from lrpilot.recommend.estimate import Estimate, Estimator
from lrpilot.recommend.resolve import Resolved
from lrpilot.recommend.table import Recipe
from lrpilot.recommend.vocabulary import METHOD_GROUPS, read_optimizer

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
    decay = resolved.layer_decay
    advice = [
        Reason(
            rule="schedule",
            text=f"{_rise(frac)}, then {_fall(schedule)}: what most of the nearest sources do",
        ),
        _head(resolved.case, decay),
        *_scale(resolved.case),
        *_batch(resolved.case, estimator),
        *_other_method(resolved, estimator),
        *_epochs(facts, near),
    ]
    if decay is not None and facts.layerwise_decay is None:
        text = (
            f"layer-wise decay {decay:g}: recipes of this start use it, and their rate is the"
            " head's; say layerwise_decay 1 if you go without"
        )
        advice.insert(1, Reason(rule="layer-decay", text=text))
    return Plan(frac, schedule, decay, tuple(advice))


def _scale(case: Case) -> list[Reason]:
    """Which of its two meanings Adafactor's rate has here, and how to ask for the other."""
    text = {
        "adafactor": (
            "Adafactor's rate is taken as absolute, like Adam's (scale_parameter=False: so does"
            ' Trainer\'s optim="adafactor"); with scale_parameter=True, or torch.optim.Adafactor,'
            " ask for optimizer adafactor-relative"
        ),
        "adafactor-relative": (
            "the rate is relative to the root mean square of each tensor (scale_parameter=True,"
            " relative_step=False; T5's own code, torch.optim.Adafactor); for Trainer's"
            ' optim="adafactor" ask for optimizer adafactor'
        ),
    }.get(case.optimizer or "")
    return [Reason(rule="adafactor-scale", text=text)] if text else []


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


def _rise(frac: float) -> str:
    return f"warm up over {frac:.0%} of the steps" if frac else "no warm-up"


def _fall(schedule: str) -> str:
    return {"constant": "stay constant", "cosine": "fall to zero along a cosine"}.get(
        schedule, "fall linearly to zero"
    )


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
    # the process alone: its slope is pooled, where the nearest recipes change with the batch
    once, twice = estimator.blend.process.beliefs(
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
    if other in ("lora", "full"):
        ratio, pairs = lora_over_full(estimator.recipes)
        text += (
            f" (sources that give both for one model: LoRA over full x {ratio:.2g}, {pairs} pairs)"
        )
    return [Reason(rule="method", text=text, factor=factor)]


def lora_over_full(recipes: Sequence[Recipe]) -> tuple[float, int]:
    """LoRA's rate over that of full fine-tuning by the same source of the same model.

    Returns:
        The median ratio of the medians, and the number of pairs.
    """
    rates: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for recipe in recipes:
        if read_optimizer(recipe.optimizer) == "adamw":
            kind = {"qlora": "lora"}.get(recipe.method, recipe.method)
            rates[recipe.source, recipe.model][kind].append(recipe.peak_lr)
    ratios = [
        median(pair["lora"]) / median(pair["full"])
        for pair in rates.values()
        if pair["lora"] and pair["full"]
    ]
    return (median(ratios) if ratios else 1.0), len(ratios)


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
    return [Reason(rule="epochs", text=f"epochs: about {epochs:g}, as the nearest sources train")]
