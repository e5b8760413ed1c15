"""The best checkpoint is chosen by a metric in the wrong direction."""

from __future__ import annotations

import re

from lrpilot.diagnose.history import History
from lrpilot.diagnose.rule import BasicRule, Seen
from lrpilot.diagnose.view import figure, finite

_LOWER = re.compile(r"loss|perplexity|\bppl\b|error|\b[wc]er\b|\br?mse\b|\bmae\b|nll|bpb", re.I)
_HIGHER = re.compile(
    r"acc|\bf1\b|auc|bleu|rouge|precision|recall|matthews|pearson|spearman|\bmap\b"
    r"|iou|score|exact", re.I
)  # fmt: skip


def _look(run: History, alpha: float) -> Seen | str | None:
    name, mode = run.plan.metric, run.plan.metric_mode
    if name is None or mode is None:
        return "the metric that chooses the checkpoint, and its direction"
    words = re.sub(r"[_/\-.]+", " ", name)
    low, high = bool(_LOWER.search(words)), bool(_HIGHER.search(words))
    if low == high:
        return f"the direction of {name!r}, which its name does not tell"
    if (mode == "min") == low:
        return None
    kept = _kept(run, name)
    return Seen(
        summary=f"the best checkpoint is the one with the {'largest' if low else 'smallest'}"
        f" {name}{kept}: that is the worst",
        last_step=run.best_checkpoint,
        remedy=f"greater_is_better={not low} for {name}",
    )


def _kept(run: History, name: str) -> str:
    series = finite(run.eval_loss if "loss" in name else run.score)
    if series is None or run.best_checkpoint is None:
        return ""
    at = int(abs(series.steps - run.best_checkpoint).argmin())
    return f" (step {run.best_checkpoint}, {figure(float(series.values[at]))})"


RULE = BasicRule(
    id="metric-direction",
    title="the metric's direction is wrong",
    severity="error",
    needs="the metric that chooses the checkpoint, and its direction",
    threshold="a loss or an error that is to rise, an accuracy that is to fall (exact, by name)",
    remedy="set greater_is_better (transformers) or mode (Keras, Lightning) to the metric's own"
    " direction",
    source="transformers training_args.py guesses it from the name's end; Keras mode='auto'",
    look=_look,
    shows="eval_loss",
)
