"""`recommend`: which learning rate, and why, from what is known before training."""

from __future__ import annotations

from lrpilot.errors import InputError
from lrpilot.facts import Reason, Recommendation, RunFacts
from lrpilot.recommend import article

__all__ = ["recommend"]


def recommend(facts: RunFacts) -> Recommendation:
    """A starting learning rate with its band, the rest of the recipe, and why.

    Args:
        facts: What is known about the run.

    Raises:
        InputError: There is nothing to go on, or the facts contradict each other.
    """
    if not (facts.model or facts.family or facts.architecture or facts.task or facts.params):
        raise InputError("nothing to go on: give model, family, architecture, task or params")
    row = article.find_row(facts)
    low, high = article.RANGE
    if row is not None:
        peak, reasons = row.fine_tuning_lr, article.row_reasons(row)
    else:
        peak = 2e-5  # paper: the article's start for BERT and a middle of its range
        reasons = (Reason(rule="article-range", text="the usual range is 1e-5 to 1e-4"),)
    return Recommendation(
        peak_lr=peak,
        low=low,
        high=high,
        warmup_frac=0.1,  # paper: google-research/bert README.md
        basis="article",
        reasons=reasons,
        sources=(article.SOURCE,),
    )
