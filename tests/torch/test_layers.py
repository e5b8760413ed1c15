"""Below a new head the rate rises from the lowest layers to the top ones."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from lrpilot.control import TrialController  # noqa: E402
from lrpilot.facts import RunFacts  # noqa: E402
from lrpilot.integrations._layers import LayerSteps, layer_multiples, layer_rise  # noqa: E402
from lrpilot.torch import Autopilot  # noqa: E402


def net() -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(*(torch.nn.Linear(8, 8, bias=False) for _ in range(5)),
                               torch.nn.Linear(8, 2))  # fmt: skip


def start(model: Any, **how: Any) -> Autopilot:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    return Autopilot(model, optimizer, total_steps=9, start_lr=1e-3, **how)


def test_rates_rise_geometrically_around_the_common_one_in_five_levels() -> None:
    model = net()
    found = layer_multiples(list(model[:5].parameters()), 4.0)
    assert list(found.values()) == pytest.approx([0.5, 0.5**0.5, 1.0, 2**0.5, 2.0])
    many = [torch.nn.Parameter(torch.zeros(1)) for _ in range(40)]
    levels = list(layer_multiples(many, 4.0).values())
    assert (levels[0], levels[-1], len(set(levels))) == (0.5, 2.0, 5)
    assert levels == sorted(levels)
    assert layer_multiples(many[:1], 4.0) == {id(many[0]): 1.0}


def test_steps_are_those_of_groups_with_these_rates() -> None:
    model = net()
    twin = copy.deepcopy(model)
    ours = torch.optim.AdamW(model.parameters(), lr=1e-2)
    rates = [1e-2 * 4 ** (at / 4 - 0.5) for at in range(5)] + [3e-2]
    groups = [
        {"params": layer.parameters(), "lr": lr} for layer, lr in zip(twin, rates, strict=True)
    ]
    theirs = torch.optim.AdamW(groups)
    LayerSteps(ours, model, head=3.0, rise=4.0)
    for step in range(3):
        x = torch.randn(4, 8, generator=torch.Generator().manual_seed(step))
        for each, optimizer in ((model, ours), (twin, theirs)):
            each(x).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    assert len(ours.param_groups) == 1
    assert ours.param_groups[0]["lr"] == 1e-2
    assert len(ours.param_groups[0]["params"]) == 7


def with_batch_norm() -> Any:
    return torch.nn.Sequential(*net()[:5], torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 2))


def with_old_head() -> Any:
    model = net()
    with torch.no_grad():
        model[-1].weight.mul_(1.5)
    return model


@pytest.mark.parametrize("model", [with_batch_norm, with_old_head])
def test_with_batch_norm_or_without_a_new_head_the_rate_is_common(model: Any) -> None:
    assert start(model()).recommendation.layer_rise is None


def test_where_not_all_weights_train_the_rate_is_common() -> None:
    assert layer_rise(net(), 3.0, RunFacts()) == 4.0
    assert layer_rise(net(), 3.0, RunFacts(method="lora")) is None
    assert layer_rise(net(), None, RunFacts()) is None


def test_the_recommendation_says_so_and_other_policies_do_not_do_it() -> None:
    told = start(net()).recommendation
    assert told.layer_rise == 4.0
    assert [reason.text for reason in told.reasons if reason.rule == "layers"] == [
        "the lowest layers take 0.5 of the rate, the top ones 2 times it"
    ]
    for policy in ("constant", TrialController(layer_rates=False)):
        assert start(net(), policy=policy).recommendation.layer_rise is None


@pytest.mark.parametrize("rates", [True, False])
def test_the_autopilot_steps_by_them(rates: bool) -> None:
    """At constant gradients an Adam's first step moves every entry by the layer's rate."""
    model = net()
    pilot = start(model, policy=TrialController(layer_rates=rates))
    before = [layer.weight.detach().clone() for layer in model]
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    lr = pilot.lr
    pilot._rates.optimizer.step()
    moved = [
        float((a.weight.detach() - b).abs().mean()) for a, b in zip(model, before, strict=True)
    ]
    rise = math.log(moved[4] / moved[0], 4)
    assert rise == pytest.approx(1.0 if rates else 0.0, abs=0.05)  # weight decay aside
    assert moved[2] == pytest.approx(lr, rel=0.05)
