"""The article's advice: its usual range, its three table rows and its rules of thumb.

Source: the project's founding article on learning rates for fine-tuning, whose table and rules
are quoted in `docs/article.md` beside what published recipes say. Where only the kind of model
and the task are known, its row is the answer; otherwise the evidence leads.
"""

from __future__ import annotations

from dataclasses import dataclass

from lrpilot.facts import Reason, RunFacts, Source

RANGE = (1e-5, 1e-4)  # paper: the article, "a range of 1e-5 to 1e-4 is common"

SOURCE = Source(
    title="the article's table of learning rates",
    where="docs/article.md",
    note="Learning rate for fine-tuning: BERT, ResNet, GPT",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of the article's table: rates of the initial training and of the fine-tuning."""

    kind: str
    label: str
    task: str
    initial_lr: float
    fine_tuning_lr: float
    kinds: frozenset[str]
    tasks: frozenset[str]


ROWS = (  # paper: the article's table, all six rates
    Row(
        kind="bert",
        label="BERT",
        task="sentiment analysis",
        initial_lr=2e-5,
        fine_tuning_lr=1e-5,
        kinds=frozenset({"bert"}),
        tasks=frozenset({"sentiment", "sentiment-analysis", "text-classification"}),
    ),
    Row(
        kind="resnet",
        label="ResNet",
        task="image classification",
        initial_lr=1e-4,
        fine_tuning_lr=5e-5,
        kinds=frozenset({"resnet"}),
        tasks=frozenset({"image", "image-classification"}),
    ),
    Row(
        kind="gpt",
        label="GPT",
        task="text generation",
        initial_lr=3e-5,
        fine_tuning_lr=2e-5,
        kinds=frozenset({"gpt"}),
        tasks=frozenset({"text", "text-generation", "language-modeling", "causal-lm"}),
    ),
)

# Facts that do not count as "something else is known": the row names them, or they only warn.
_BESIDE_THE_ROW = {"model", "family", "task", "method", "optimizer", "planned_lr"}


def find_row(facts: RunFacts) -> Row | None:
    """The table's row for a bare kind of model and a task, or None when anything else is known."""
    known = facts.known()
    if set(known) - _BESIDE_THE_ROW or facts.method != "full" or facts.optimizer != "adamw":
        return None
    kind = (facts.model or facts.family or "").strip().lower()
    task = (facts.task or "").strip().lower().replace("_", "-").replace(" ", "-")
    return next((row for row in ROWS if kind in row.kinds and task in row.tasks), None)


def row_reasons(row: Row) -> tuple[Reason, ...]:
    """Why the row's rate: the row itself, and that fine-tuning starts below initial training."""
    return (
        Reason(
            rule="article-row",
            text=f"only the kind of model and the task are known, so this is the article's row for"
            f" {row.label} on {row.task}: {row.fine_tuning_lr:g}",
        ),
        Reason(
            rule="article-initial",
            text=f"the article starts fine-tuning below the initial training's {row.initial_lr:g}",
            factor=row.fine_tuning_lr / row.initial_lr,
        ),
    )


def below_initial(peak: float, facts: RunFacts, method: str) -> tuple[float, Reason] | None:
    """Where the initial training's rate is known, start a full fine-tuning below it.

    Recipes do not test this rule, so the article's holds: half, as in its BERT and ResNet rows.
    New weights (LoRA, adapters, prompts) had no initial training.
    """
    if facts.initial_lr is None or method not in ("full", "preference-full"):
        return None
    if peak < facts.initial_lr:
        return None
    lowered = float(f"{facts.initial_lr / 2.0:.1e}")
    text = f"below the initial training's {facts.initial_lr:g}, as the article asks: half of it"
    return lowered, Reason(rule="article-initial", text=text, factor=lowered / peak)
