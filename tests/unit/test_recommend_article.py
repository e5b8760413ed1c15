"""The article's rows answer where nothing else is known, and only there."""

from __future__ import annotations

from typing import Any

import pytest

from lrpilot.facts import RunFacts
from lrpilot.recommend import recommend

ROWS = [
    ("bert", "sentiment", 1e-5, 2e-5),
    ("resnet", "image", 5e-5, 1e-4),
    ("gpt", "text", 2e-5, 3e-5),
]


@pytest.mark.parametrize(("kind", "task", "rate", "initial"), ROWS)
def test_a_bare_kind_and_its_task_get_the_articles_row(
    kind: str, task: str, rate: float, initial: float
) -> None:
    found = recommend(RunFacts(model=kind, task=task))
    assert found.peak_lr == rate
    assert found.basis == "article"
    assert found.low <= rate <= found.high
    texts = " ".join(reason.text for reason in found.reasons)
    assert "the article's row" in texts
    assert f"{initial:g}" in texts
    assert "published recipes" in texts


@pytest.mark.parametrize(
    ("model", "task", "rate"),
    [
        ("BERT", "Sentiment", 1e-5),
        (" bert ", "sentiment-analysis", 1e-5),
        ("ResNet", "image-classification", 5e-5),
        ("GPT", "text_generation", 2e-5),
    ],
)
def test_other_spellings_of_the_rows(model: str, task: str, rate: float) -> None:
    assert recommend(RunFacts(model=model, task=task)).peak_lr == rate
    assert recommend(RunFacts(family=model, task=task)).peak_lr == rate


@pytest.mark.parametrize(
    "more",
    [
        {"model": "bert-base-uncased"},
        {"params": 1.1e8},
        {"train_examples": 1000},
        {"batch_size": 32},
        {"steps": 5000},
        {"method": "lora"},
        {"optimizer": "sgd"},
        {"distance": "far"},
        {"pretraining": "self-supervised"},
    ],
)
def test_the_evidence_leads_as_soon_as_more_is_known(more: dict[str, Any]) -> None:
    found = recommend(RunFacts(**{"model": "bert", "task": "sentiment", **more}))
    assert found.basis != "article"
    assert found.peak_lr != 1e-5
    assert all("http" in s.where or "stored-index" in s.where for s in found.sources)


def test_the_band_of_a_row_holds_the_recipes_number_too() -> None:
    found = recommend(RunFacts(model="bert", task="sentiment"))
    beside = next(r for r in found.reasons if r.rule == "evidence-beside")
    assert found.low <= found.peak_lr * beside.factor <= found.high
    assert beside.factor > 1.0  # recipes for BERT start above the article


def test_a_planned_rate_moves_nothing_and_is_judged() -> None:
    found = recommend(RunFacts(model="bert", task="sentiment", planned_lr=2e-5))
    assert found.peak_lr == 1e-5
    assert any("not lower than the initial training's 2e-05" in w for w in found.warnings)
    calm = recommend(RunFacts(model="bert", task="sentiment", planned_lr=1.5e-5))
    assert calm.warnings == ()


@pytest.mark.parametrize(
    ("kind", "task"), [("bert", "nli"), ("resnet", "segmentation"), ("gpt", "dpo")]
)
def test_a_row_is_for_its_own_task(kind: str, task: str) -> None:
    assert recommend(RunFacts(model=kind, task=task)).basis != "article"
