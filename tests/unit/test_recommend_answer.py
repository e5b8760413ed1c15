"""What each fact does to the answer, against what the evidence and arithmetic say."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrpilot.facts import Recommendation, RunFacts
from lrpilot.recommend import recommend

LONG = {"train_examples": 100_000, "batch_size": 32, "epochs": 3.0}


def peak(**facts: Any) -> float:
    return recommend(RunFacts(**facts)).peak_lr


def centre(**facts: Any) -> float:
    """The middle of the band: the centre, to rounding."""
    found = recommend(RunFacts(**facts))
    return math.sqrt(found.low * found.high)


@pytest.mark.parametrize(
    ("small", "large"),
    [
        ({"architecture": "encoder", "params": 1.1e8}, {"architecture": "encoder", "params": 1e9}),
        ({"architecture": "decoder", "params": 1e9}, {"architecture": "decoder", "params": 7e10}),
        ({"model": "roberta-base"}, {"model": "roberta-large"}),
        ({"model": "llama-3.1-8b"}, {"model": "llama-3.1-70b"}),
    ],
)
def test_larger_language_models_take_less(small: dict[str, Any], large: dict[str, Any]) -> None:
    assert centre(**small, task="text-classification") > centre(**large, task="text-classification")


def test_a_larger_batch_never_takes_less() -> None:
    rates = [centre(model="bert-base-uncased", task="nli", batch_size=b) for b in (8, 32, 128, 512)]
    assert rates == sorted(rates)
    assert rates[-1] < rates[0] * 64  # and less than in proportion


def test_fewer_steps_take_more_in_small_models_and_nothing_in_large_ones() -> None:
    small = [
        centre(model="all-MiniLM-L6-v2", task="sentiment", steps=s, epochs=1)
        for s in (50, 200, 1000)
    ]
    assert small == sorted(small, reverse=True)
    assert small[0] > 2 * small[-1]
    assert centre(model="llama-3.1-8b", task="chat", steps=50) == pytest.approx(
        centre(model="llama-3.1-8b", task="chat", steps=5000), rel=1e-9
    )


def test_examples_seen_again_take_less_and_more_classes_more() -> None:
    run = {"model": "all-MiniLM-L6-v2", "task": "text-classification", "batch_size": 16,
           "steps": 50}  # fmt: skip
    by_examples = [centre(**run, train_examples=n) for n in (100, 300, 800)]
    assert by_examples == sorted(by_examples)
    assert by_examples[-1] > 1.5 * by_examples[0]
    assert centre(**run, classes=8) > 1.5 * centre(**run, classes=2)
    told = recommend(RunFacts(**run, train_examples=100, classes=4))  # type: ignore[arg-type]
    reason = next(r.text for r in told.reasons if r.rule == "short-run")
    assert "8 epochs, 4 classes" in reason
    assert re.search(r": x \d", reason)
    lora = {"model": "llama-3.1-8b", "method": "lora", "task": "chat", "lora_rank": 16}
    rank = recommend(RunFacts(**lora)).reasons  # type: ignore[arg-type]
    assert next(r.text for r in rank if r.rule == "lora-rank").endswith(": no change")


def test_a_short_run_widens_the_band() -> None:
    def width(steps: int) -> float:
        found = recommend(RunFacts(model="all-MiniLM-L6-v2", task="sentiment", steps=steps))
        return math.log10(found.high / found.low)

    assert width(50) > width(5000) + 0.01


def test_the_rank_moves_the_rate_as_a_power() -> None:
    low, high = (
        centre(model="llama-3.1-8b", method="lora", lora_rank=r, task="chat") for r in (4, 64)
    )
    assert high / low == pytest.approx(16**0.16, rel=0.08)  # two digits of each end are kept


def test_where_no_recipe_of_sgd_is_near_those_of_sgd_elsewhere_are_asked() -> None:
    facts = {"model": "bert-base-uncased", "task": "sentiment", "steps": 3000}
    assert centre(optimizer="sgd", **facts) > 50 * centre(**facts)
    found = recommend(RunFacts(optimizer="sgd", **facts))
    assert found.sources
    assert not any("adam" in (source.note or "") for source in found.sources)
    assert found.low < 1e-2 < found.high  # what image models take with it


def test_lora_preference_and_sgd_stand_where_the_evidence_puts_them() -> None:
    full = centre(model="llama-3.1-8b", task="chat")
    assert 5 < centre(model="llama-3.1-8b", task="chat", method="lora") / full < 60
    assert centre(model="llama-3.1-8b", task="dpo") < full / 5
    adam = centre(model="resnet-50", task="image-classification")
    assert centre(model="resnet-50", task="image-classification", optimizer="sgd") > 10 * adam


def test_a_self_supervised_vision_start_takes_far_more() -> None:
    facts = {"architecture": "vit", "task": "image-classification", "params": 8.6e7}
    far = centre(**facts, pretraining="self-supervised")
    assert far > 4 * centre(**facts, pretraining="supervised")


def test_lion_is_adamw_over_three() -> None:
    adamw, lion = (
        centre(model="deberta-v3-base", task="nli", optimizer=o) for o in ("adamw", "lion")
    )
    assert adamw / lion == pytest.approx(10**0.5, rel=0.08)


def test_adafactors_two_scales_are_told_apart() -> None:
    """T5's own 1e-3 is relative to the weights; Trainer's Adafactor is answered like Adam."""
    facts: dict[str, Any] = {"model": "t5-base", "task": "summarization", "batch_size": 32}
    relative = recommend(RunFacts(optimizer="adafactor-relative", **facts))
    absolute = recommend(RunFacts(optimizer="adafactor", **facts))
    assert relative.low <= 1e-3 <= relative.high
    assert relative.peak_lr > 2.0 * absolute.peak_lr
    assert recommend(RunFacts(optimizer="adafactor_absolute", **facts)) == absolute


@pytest.mark.parametrize(
    ("optimizer", "says", "other"),
    [
        ("adafactor", "absolute", "adafactor-relative"),
        ("adafactor-relative", "relative to", "optimizer adafactor"),
    ],
)
def test_which_scale_was_taken_is_said_and_how_to_ask_for_the_other(
    optimizer: str, says: str, other: str
) -> None:
    found = recommend(RunFacts(model="t5-base", task="summarization", optimizer=optimizer))
    [told] = [reason.text for reason in found.advice if reason.rule == "adafactor-scale"]
    assert says in told
    assert other in told


def test_only_adafactor_is_told_of_its_scale() -> None:
    found = recommend(RunFacts(model="t5-base", task="summarization"))
    assert "adafactor-scale" not in {reason.rule for reason in found.advice}


@pytest.mark.parametrize(
    ("more", "moves"),
    [
        ({}, True),
        ({"optimizer": "lion"}, True),
        ({"optimizer": "adafactor"}, True),
        ({"optimizer": "adafactor-relative"}, True),
        ({"optimizer": "sgd", "model": "bert-base-uncased", "task": "nli"}, True),
        ({"optimizer": "sgd"}, False),  # vision transformers: not swept with it
        ({"method": "prompt"}, False),
        ({"method": "linear-probe"}, False),
    ],
)
def test_short_runs_are_corrected_where_sweeps_show_it(more: dict[str, Any], moves: bool) -> None:
    facts = {"model": "swin-tiny", "task": "image", **more}
    short, long = (centre(steps=s, **facts) for s in (20, 20_000))
    assert (short > long) is moves
    assert moves or short == long


def test_data_size_and_distance_are_named_and_move_nothing() -> None:
    plain = recommend(RunFacts(model="bert-base-uncased", task="sentiment", steps=5000))
    more = recommend(RunFacts(model="bert-base-uncased", task="sentiment", steps=5000,
                              train_examples=10, distance="far"))  # fmt: skip
    assert (more.peak_lr, more.low, more.high) == (plain.peak_lr, plain.low, plain.high)
    assert {"data-size", "distance"} <= {r.rule for r in more.reasons}


def test_language_models_start_a_little_low_and_others_in_the_middle() -> None:
    assert peak(model="llama-3.1-8b", task="chat") < 0.95 * centre(
        model="llama-3.1-8b", task="chat"
    )
    assert peak(model="bert-base-uncased", task="nli") == pytest.approx(
        centre(model="bert-base-uncased", task="nli"), rel=0.06
    )
    assert peak(model="gpt2", task="text", steps=100) == pytest.approx(
        centre(model="gpt2", task="text", steps=100), rel=0.06
    )


def test_a_full_fine_tuning_starts_below_its_initial_training() -> None:
    free = peak(model="bert-base-uncased", task="sentiment")
    held = recommend(RunFacts(model="bert-base-uncased", task="sentiment", initial_lr=free))
    assert held.peak_lr == pytest.approx(free / 2, rel=0.05)
    assert held.low <= held.peak_lr
    assert peak(model="bert-base-uncased", task="sentiment", initial_lr=10 * free) == free
    lora = {"model": "bert-base-uncased", "task": "sentiment", "method": "lora"}
    assert peak(**lora, initial_lr=1e-5) == peak(**lora)


@pytest.mark.parametrize(("planned", "words"), [(1e-2, "above the band"), (1e-9, "below the band")])
def test_a_planned_rate_outside_the_band_is_warned_of(planned: float, words: str) -> None:
    found = recommend(RunFacts(model="bert-base-uncased", task="nli", planned_lr=planned))
    assert any(words in warning for warning in found.warnings)


def test_a_planned_rate_not_below_the_initial_one_is_warned_of() -> None:
    facts = RunFacts(model="bert-base-uncased", task="nli", initial_lr=1e-4, planned_lr=1e-4)
    assert any("not lower than" in w for w in recommend(facts).warnings)
    assert recommend(replace(facts, planned_lr=3e-5)).warnings == ()


def test_an_unknown_model_is_answered_widely_and_says_so() -> None:
    known = recommend(RunFacts(model="bert-base-uncased", task="sentiment", batch_size=32))
    unknown = recommend(RunFacts(model="acme-7", task="sentiment"))
    assert unknown.confidence == "low"
    assert any("'acme-7' is not known" in warning for warning in unknown.warnings)
    assert math.log10(unknown.high / unknown.low) > 1.5 * math.log10(known.high / known.low)
    assert any("pretraining" in fact for fact in unknown.missing)


def test_an_unknown_task_is_said_to_move_nothing() -> None:
    found = recommend(RunFacts(model="roberta-large", task="alchemy", batch_size=32))
    assert any("'alchemy'" in warning for warning in found.warnings)
    plain = recommend(RunFacts(model="roberta-large", batch_size=32))
    assert (found.peak_lr, found.low) == (plain.peak_lr, plain.low)


def test_the_reasons_multiply_to_the_answer() -> None:
    found = recommend(RunFacts(model="roberta-large", task="nli", batch_size=32))
    first = next(r for r in found.reasons if r.rule == "method")
    start = float(first.text.rsplit(" ", 1)[1])
    product = math.prod(r.factor for r in found.reasons)
    assert start * product == pytest.approx(math.sqrt(found.low * found.high), rel=0.12)


def test_the_sources_name_the_model_first_and_can_be_opened() -> None:
    found = recommend(RunFacts(model="whisper-small", task="asr"))
    assert "whisper-small" in found.sources[0].title
    assert found.sources[0].where.startswith("https://github.com/")
    assert "/blob/" in found.sources[0].where


def test_layer_wise_decay_is_advised_where_its_family_uses_it() -> None:
    mae = recommend(RunFacts(model="vit-mae-base", task="image-classification"))
    assert mae.layerwise_decay is not None
    assert 0.5 < mae.layerwise_decay < 1.0
    refused = recommend(RunFacts(model="vit-mae-base", task="image", layerwise_decay=1.0))
    assert refused.layerwise_decay is None
    assert refused.peak_lr < mae.peak_lr
    assert recommend(RunFacts(model="bert-base-uncased", task="nli")).layerwise_decay is None
    # ConvNeXt and InternImage use it, the only two of their kind: that says nothing of a ResNet
    assert recommend(RunFacts(model="convnext-base", task="image")).layerwise_decay is not None
    assert recommend(RunFacts(model="resnet-50", task="image")).layerwise_decay is None


def test_a_recommendation_survives_json() -> None:
    found = recommend(RunFacts(model="vit-base", task="image", batch_size=64, planned_lr=1.0))
    assert Recommendation.from_json(json.loads(json.dumps(found.to_json()))) == found


NAMES = st.sampled_from(
    ["bert-base-uncased", "roberta-large", "llama-3.1-8b", "t5-base", "vit-base", "resnet-50",
     "wav2vec2-base", "gpt2", "acme-1", "swin-tiny", "sd-1.5", "clip-vit-base-patch32"]
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    name=NAMES,
    method=st.sampled_from(["full", "lora", "prompt", "linear-probe"]),
    optimizer=st.sampled_from(["adamw", "sgd", "adafactor", "adafactor-relative", "lion"]),
    batch=st.none() | st.integers(1, 4096),
    steps=st.none() | st.integers(1, 10**6),
    params=st.none() | st.floats(1e8, 2e8),
)
def test_the_band_always_holds_the_peak(
    name: str,
    method: str,
    optimizer: str,
    batch: int | None,
    steps: int | None,
    params: float | None,
) -> None:
    size = params if name == "acme-1" else None
    found = recommend(RunFacts(model=name, method=method, optimizer=optimizer, batch_size=batch,
                               steps=steps, params=size))  # fmt: skip
    assert 1e-9 < found.low <= found.peak_lr <= found.high < 1e3
    assert found.coverage == 0.8


@settings(max_examples=25, deadline=None)
@given(name=NAMES, maker=st.sampled_from(["", "acme/", "some-lab/"]), upper=st.booleans())
def test_a_makers_prefix_case_and_separators_change_nothing(
    name: str, maker: str, upper: bool
) -> None:
    other = maker + (name.upper() if upper else name.replace("-", "_"))
    assert peak(model=other, batch_size=16) == peak(model=name, batch_size=16)


def test_eight_bit_and_paged_adams_are_adam() -> None:
    rates = {peak(model="bert-base-uncased", optimizer=o)
             for o in ("adamw", "Adam", "paged_adamw_8bit", "adamw_torch_fused")}  # fmt: skip
    assert len(rates) == 1


def test_a_kind_of_another_size_is_not_the_model_of_that_name() -> None:
    own = recommend(RunFacts(model="gpt2", params=6e5, task="text", batch_size=16))
    assert own.basis == "family"
    assert recommend(RunFacts(model="gpt2", task="text", batch_size=16)).basis == "model"


def test_a_tiny_model_in_a_tiny_run_is_not_sent_beyond_what_was_measured() -> None:
    tiny, least = (
        recommend(RunFacts(architecture="cnn", params=p, steps=s, task="image"))
        for p, s in ((258, 1), (3e5, 100))
    )
    assert tiny.peak_lr == least.peak_lr < 0.5
