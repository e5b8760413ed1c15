"""Facts and recommendations refuse what cannot be, and survive storage."""

from __future__ import annotations

import json
import math

import pytest

from lrpilot.errors import InputError
from lrpilot.facts import Reason, Recommendation, RunFacts, Source


@pytest.mark.parametrize("name", ["params", "lora_rank", "batch_size", "epochs", "planned_lr"])
@pytest.mark.parametrize("value", [0, -1, math.inf, math.nan])
def test_numbers_must_be_positive_and_finite(name: str, value: float) -> None:
    with pytest.raises(InputError, match=name):
        RunFacts(**{name: value})


def test_a_distance_is_one_of_three_words() -> None:
    with pytest.raises(InputError, match="near, medium or far"):
        RunFacts(distance="close")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "steps"),
    [
        (RunFacts(steps=7, epochs=3, train_examples=100, batch_size=10), 7),
        (RunFacts(epochs=3, train_examples=100, batch_size=16), 19),  # 18.75
        (RunFacts(epochs=0.01, train_examples=10, batch_size=16), 1),
        (RunFacts(epochs=3, batch_size=16), None),
    ],
)
def test_planned_steps(facts: RunFacts, steps: int | None) -> None:
    assert facts.planned_steps == steps


@pytest.mark.parametrize(
    ("facts", "epochs"),
    [
        (RunFacts(steps=7, epochs=3, train_examples=100, batch_size=10), 3),
        (RunFacts(steps=40, train_examples=100, batch_size=16), 6.4),
        (RunFacts(steps=40, batch_size=16), None),
    ],
)
def test_planned_epochs(facts: RunFacts, epochs: float | None) -> None:
    assert facts.planned_epochs == epochs


def test_one_class_is_no_classification() -> None:
    with pytest.raises(InputError, match="classes is 1: give 2 or more"):
        RunFacts(classes=1)


def test_known_leaves_out_what_was_not_said() -> None:
    assert RunFacts(model="m", batch_size=4).known() == {
        "model": "m",
        "batch_size": 4,
        "method": "full",
        "optimizer": "adamw",
    }


@pytest.mark.parametrize(
    ("low", "peak", "high"), [(2, 1, 3), (1, 4, 3), (0, 1, 2), (1, 2, math.inf)]
)
def test_a_band_holds_its_peak(low: float, peak: float, high: float) -> None:
    with pytest.raises(InputError):
        Recommendation(peak_lr=peak, low=low, high=high)


def test_a_recommendation_survives_storage() -> None:
    said = Recommendation(
        peak_lr=2e-5,
        low=1e-5,
        high=5e-5,
        reasons=(Reason(rule="size", text="larger models want less", factor=0.5),),
        sources=(Source(title="BERT", where="arXiv:1810.04805", peak_lr=2e-5),),
        warnings=("w",),
    )
    stored = json.loads(json.dumps(said.to_json()))
    assert (stored["peak_lr"], stored["low"], stored["high"]) == (2e-5, 1e-5, 5e-5)
    assert Recommendation.from_json(stored) == said
