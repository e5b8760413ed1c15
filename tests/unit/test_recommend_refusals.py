"""Missing, unknown and contradictory facts are refused in one line that names them."""

from __future__ import annotations

from typing import Any

import pytest

from lrpilot.errors import InputError
from lrpilot.facts import RunFacts
from lrpilot.recommend import recommend

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({}, "nothing to go on"),
    ({"batch_size": 32}, "nothing to go on"),
    ({"model": "bert", "method": "magic"}, "method is 'magic'"),
    ({"model": "bert", "optimizer": "muon"}, "optimizer is 'muon'"),
    ({"model": "bert", "optimizer": "prodigy"}, "sets its own rate"),
    ({"model": "bert", "architecture": "quantum"}, "architecture is 'quantum'"),
    ({"model": "bert", "pretraining": "dreams"}, "pretraining is 'dreams'"),
    ({"model": "bert", "architecture": "cnn"}, "known as 'encoder'"),
    ({"model": "bert-base-uncased", "family": "llama3"}, "known as 'bert'"),
    ({"model": "bert", "lora_rank": 8}, "lora_rank is 8, but the method is 'full'"),
    ({"model": "bert", "lora_alpha": 16.0}, "lora_alpha is 16.0, but the method is 'full'"),
    ({"model": "bert-base-uncased", "params": 7e9}, "params is 7e+09"),
    ({"model": "bert", "task": "image-classification"}, "is a model of text"),
    ({"model": "resnet", "task": "sentiment"}, "is a model of vision"),
    ({"model": "whisper-small", "task": "sentiment"}, "is a model of speech"),
    ({"model": "bert", "steps": 10, "epochs": 3.0, "train_examples": 10000, "batch_size": 10},
     "steps is 10, but epochs, train_examples and batch_size come to 3000"),
    ({"model": "bert", "layerwise_decay": 1.5}, "layerwise_decay is 1.5"),
]  # fmt: skip


@pytest.mark.parametrize(("facts", "words"), REFUSED)
def test_refused(facts: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        recommend(RunFacts(**facts))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["params", "planned_lr", "layerwise_decay", "initial_lr", "steps"])
@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan")])
def test_numbers_must_be_positive_and_finite(name: str, value: float) -> None:
    with pytest.raises(InputError, match=name):
        RunFacts(model="bert", **{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "facts",
    [
        {"model": "qwen2-vl-7b", "task": "image-classification"},
        {"model": "bert-base-uncased", "params": 2.2e8},
        {"model": "bert", "steps": 2500, "epochs": 3.0, "train_examples": 10000, "batch_size": 10},
        {"model": "bert", "method": "lora", "lora_rank": 8, "lora_alpha": 16.0},
        {"task": "sentiment"},
        {"params": 1e8},
        {"architecture": "decoder"},
    ],
)
def test_not_refused(facts: dict[str, Any]) -> None:
    found = recommend(RunFacts(**facts))
    assert found.low <= found.peak_lr <= found.high
