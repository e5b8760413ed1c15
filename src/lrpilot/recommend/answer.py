"""The answer: facts in, a recommendation with its band, recipe, reasons and sources out."""

from __future__ import annotations

from pathlib import Path

from lrpilot.facts import Confidence, Reason, Recommendation, RunFacts
from lrpilot.recommend import article
from lrpilot.recommend.calibration import COVERAGE
from lrpilot.recommend.estimate import Estimate, Estimator, load_estimator
from lrpilot.recommend.explain import (
    basis_reason,
    change_reasons,
    missing_facts,
    nearest_sources,
    shift_reasons,
    silent_reasons,
)
from lrpilot.recommend.plan import make_plan
from lrpilot.recommend.resolve import Resolved, resolve
from lrpilot.recommend.table import DEFAULT_TABLE, load_recipes

# assumed: half-widths of the band, in powers of ten, that one would call sure, and fairly sure
_SURE, _FAIRLY_SURE = 0.45, 0.75


def recommend(facts: RunFacts, *, table: Path = DEFAULT_TABLE) -> Recommendation:
    """A starting learning rate with its band, the rest of the recipe, and why.

    Where only a kind of model (bert, resnet, gpt) and its task are known, the article's row is the
    answer; as soon as anything else is known, published recipes lead.

    Args:
        facts: What is known about the run; nothing of it is guessed.
        table: A table of recipes of your own, with the columns of `data/README.md`.

    Raises:
        InputError: There is nothing to go on, or the facts contradict each other.

    Example:
        >>> from lrpilot.facts import RunFacts
        >>> recommend(RunFacts(model="bert", task="sentiment")).peak_lr
        1e-05
    """
    recipes = load_recipes(table)
    resolved = resolve(facts, recipes)
    estimator = load_estimator(table)
    estimate = estimator.estimate(resolved, lora_rank=facts.lora_rank)
    row = article.find_row(facts)
    if row is not None:
        return _from_article(row, facts, resolved, estimate, estimator)
    return _from_evidence(facts, resolved, estimate, estimator)


def _from_evidence(
    facts: RunFacts, resolved: Resolved, estimate: Estimate, estimator: Estimator
) -> Recommendation:
    plan = make_plan(facts, resolved, estimate, estimator)
    reasons = [
        basis_reason(resolved, estimate, estimator),
        *change_reasons(resolved, estimator),
        *shift_reasons(estimate),
        *silent_reasons(facts),
    ]
    low, high = tidy_rate(10.0**estimate.low), tidy_rate(10.0**estimate.high)
    peak = tidy_rate(10.0**estimate.peak)
    capped = article.below_initial(peak, facts, resolved.method)
    if capped is not None:
        peak, reason = capped
        reasons.append(reason)
    low, high = min(low, peak), max(high, peak)
    return Recommendation(
        peak_lr=peak,
        low=low,
        high=high,
        coverage=COVERAGE,
        warmup_frac=plan.warmup_frac,
        schedule=plan.schedule,
        layerwise_decay=plan.layerwise_decay,
        confidence=_confidence(estimate),
        basis=estimate.level,
        reasons=tuple(reasons),
        sources=nearest_sources(estimate, estimator),
        warnings=_warnings(facts, resolved, low, high),
        advice=plan.advice,
        missing=missing_facts(facts, resolved),
    )


def _from_article(
    row: article.Row,
    facts: RunFacts,
    resolved: Resolved,
    estimate: Estimate,
    estimator: Estimator,
) -> Recommendation:
    """The article's row, with the evidence's own number beside it; the band holds both."""
    plan = make_plan(facts, resolved, estimate, estimator)
    said = tidy_rate(10.0**estimate.centre)
    beside = Reason(
        rule="evidence-beside",
        text=f"published recipes for {row.label} on {row.task} say {said:g}; name the exact model,"
        " and they lead",
        factor=said / row.fine_tuning_lr,
    )
    low = min(row.fine_tuning_lr, tidy_rate(10.0**estimate.low))
    high = max(row.fine_tuning_lr, tidy_rate(10.0**estimate.high))
    return Recommendation(
        peak_lr=row.fine_tuning_lr,
        low=low,
        high=high,
        coverage=COVERAGE,
        warmup_frac=plan.warmup_frac,
        schedule=plan.schedule,
        layerwise_decay=plan.layerwise_decay,
        confidence="low",
        basis="article",
        reasons=(*article.row_reasons(row), beside),
        sources=(article.SOURCE, *nearest_sources(estimate, estimator)),
        warnings=_warnings(facts, resolved, low, high, initial_lr=row.initial_lr),
        advice=plan.advice,
        missing=("the exact model (bert-base-uncased, say)", *missing_facts(facts, resolved)),
    )


def tidy_rate(rate: float) -> float:
    """Two significant digits: more would pretend."""
    return float(f"{rate:.1e}")


def _confidence(estimate: Estimate) -> Confidence:
    half = (estimate.high - estimate.low) / 2.0
    if estimate.level in ("model", "family") and half <= _SURE:
        return "high"
    return "medium" if estimate.level != "prior" and half <= _FAIRLY_SURE else "low"


def _warnings(
    facts: RunFacts,
    resolved: Resolved,
    low: float,
    high: float,
    *,
    initial_lr: float | None = None,
) -> tuple[str, ...]:
    found = []
    if resolved.known.how == "unknown" and facts.model:
        found.append(
            f"the model {facts.model!r} is not known: the answer rests on the other facts alone"
        )
    if not resolved.task_known:
        found.append(f"no recipe has a task like {facts.task!r}: it moves nothing")
    if facts.planned_lr is None:
        return tuple(found)
    initial = facts.initial_lr or initial_lr
    if initial and facts.planned_lr >= initial:
        found.append(
            f"the planned rate {facts.planned_lr:g} is not lower than the initial training's"
            f" {initial:g}: fine-tuning should start lower"
        )
    if not low <= facts.planned_lr <= high:
        side = "below" if facts.planned_lr < low else "above"
        risk = "it may hardly learn" if side == "below" else "it may diverge or forget"
        found.append(
            f"the planned rate {facts.planned_lr:g} lies {side} the band {low:g} to {high:g}:"
            f" {risk}"
        )
    return tuple(found)
