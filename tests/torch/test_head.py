"""A new head takes steps as large as the body's, and the optimizer's groups stay as they are."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from lrpilot.facts import RunFacts  # noqa: E402
from lrpilot.integrations._head import HeadSteps, head_ratio  # noqa: E402
from lrpilot.recommend import recommend  # noqa: E402
from lrpilot.record import RunRecord  # noqa: E402
from lrpilot.torch import Autopilot  # noqa: E402

RATIO = 64 / math.sqrt(64 * 2)  # the median matrix has 64 x 64 entries, the head 64 x 2


def net() -> Any:
    """A pretrained body, made up, and a new head."""
    torch.manual_seed(0)
    layers = [torch.nn.Linear(64, 64) for _ in range(3)]
    for layer in layers:
        torch.nn.init.normal_(layer.weight, std=0.1)
    return torch.nn.Sequential(*layers, torch.nn.Linear(64, 2))


def ratio(model: Any, kind: Any = torch.optim.AdamW, **facts: Any) -> float | None:
    return head_ratio(model, kind(model.parameters(), lr=1e-3), RunFacts(**facts))


def test_a_new_head_moves_as_far_as_the_median_matrix() -> None:
    assert ratio(net()) == pytest.approx(RATIO)
    assert ratio(net(), torch.optim.SGD, optimizer="lion") == pytest.approx(RATIO)


def test_a_head_that_was_trained_has_the_common_rate() -> None:
    model = net()
    with torch.no_grad():
        model[-1].weight.mul_(1.5)
    assert ratio(model) is None
    with torch.no_grad():
        model[-1].bias.zero_()  # so transformers and timm begin
    assert ratio(model) == pytest.approx(RATIO)


def test_a_bounded_head_need_not_be_new() -> None:
    model = net()
    with torch.no_grad():
        model[-1].weight.mul_(0.5)  # inside torch's interval, which it does not fill
    assert ratio(model) is None


def test_the_checkpoint_may_say_that_it_has_no_such_head() -> None:
    model = net()
    with torch.no_grad():
        model[-1].weight.mul_(1.5)
    model.config = SimpleNamespace(architectures=["Body"])
    assert ratio(model) == pytest.approx(RATIO)
    model.config.architectures = ["Sequential"]
    assert ratio(model) is None


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        (torch.optim.SGD, {}),
        (torch.optim.Adafactor, {"optimizer": "adafactor-relative"}),
        (torch.optim.AdamW, {"method": "soft-prompt"}),
        (torch.optim.AdamW, {"task": "dpo"}),
    ],
)
def test_where_such_steps_were_not_measured_the_rate_is_common(
    kind: Any, facts: dict[str, Any]
) -> None:
    assert ratio(net(), kind, **facts) is None


def test_rates_of_the_users_own_stay() -> None:
    model = net()
    groups = [{"params": model[:-1].parameters()}, {"params": model[-1].parameters(), "lr": 1e-2}]
    assert head_ratio(model, torch.optim.AdamW(groups, lr=1e-3), RunFacts()) is None


@pytest.mark.parametrize(
    ("rate", "expected"),
    [(1e-3, RATIO), (5e-3, 3.125), (1e-2, 1.5625), (4e-2, 1.0)],
)
def test_a_step_moves_the_outputs_by_one_at_most(rate: float, expected: float) -> None:
    """64 inputs of one each: at 1/64 a step of the rate alone does."""
    model = net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    told: list[tuple[float, float]] = []
    steps = HeadSteps(optimizer, model, RATIO, rate=rate, on_inputs=lambda *seen: told.append(seen))
    head = model[-1]
    with torch.no_grad():
        head(torch.ones(3, 64) * torch.tensor([1.0, -1.0]).repeat(32))
        head(torch.ones(3, 64) * 100)  # only the first is looked at
    assert told == [(pytest.approx(expected), pytest.approx(64.0))]
    before = head.weight.detach().clone()
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()
    moved = float((head.weight.detach() - before).abs().max())
    assert moved == pytest.approx(rate * expected, rel=0.02)  # weight decay aside
    steps.close()


def test_before_anything_went_forward_the_rate_is_common() -> None:
    model = net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    HeadSteps(optimizer, model, RATIO, rate=1e-3)
    before = model[-1].weight.detach().clone()
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()
    assert float((model[-1].weight.detach() - before).abs().max()) == pytest.approx(1e-3, rel=1e-3)


def test_inputs_may_come_by_name_and_a_convolution_sees_its_whole_window() -> None:
    told: list[tuple[float, float]] = []
    model = torch.nn.Sequential(torch.nn.Conv2d(4, 4, 3), torch.nn.Conv2d(4, 2, 3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    HeadSteps(optimizer, model, 5.0, rate=1e-3, on_inputs=lambda *seen: told.append(seen))
    model[-1](input=torch.full((1, 4, 5, 5), 0.5))
    assert told == [(5.0, pytest.approx(0.5 * 4 * 9))]


@pytest.mark.parametrize(("classes", "expected"), [(1, None), (2, None), (3, 2.0), (9, 8.0)])
def test_beside_lora_many_classes_decide(classes: int, expected: float | None) -> None:
    peft = pytest.importorskip("peft")
    model = net()
    model[-1] = torch.nn.Linear(64, classes)
    config = peft.LoraConfig(r=2, target_modules=["0", "1"], modules_to_save=["3"])
    assert ratio(peft.get_peft_model(model, config), method="lora") == expected


def test_an_adapters_own_matrices_are_no_head() -> None:
    peft = pytest.importorskip("peft")
    model = peft.get_peft_model(net(), peft.LoraConfig(r=2, target_modules=["0", "3"]))
    assert ratio(model, method="lora") is None  # its B is zero, as a new layer might be
    model.get_base_model().config = SimpleNamespace(architectures=["Sequential"])
    assert ratio(model, method="lora") is None


def test_a_large_or_frozen_head_is_left() -> None:
    model = net()
    model[-1] = torch.nn.Linear(64, 100)
    assert ratio(model) is None
    model = net()
    model[-1].weight.requires_grad_(False)
    assert ratio(model) is None


@pytest.mark.parametrize("fused", [False, True])
def test_steps_are_those_of_a_group_of_its_own(fused: bool) -> None:
    model = net()
    twin = copy.deepcopy(model)
    ours = torch.optim.AdamW(model.parameters(), lr=1e-2, fused=fused)
    schedule = torch.optim.lr_scheduler.LambdaLR(ours, lambda step: 1 / (1 + step))
    groups = [{"params": twin[:-1].parameters()}, {"params": twin[-1].parameters(), "lr": 5e-2}]
    theirs = torch.optim.AdamW(groups, lr=1e-2, fused=fused)
    their_schedule = torch.optim.lr_scheduler.LambdaLR(theirs, lambda step: 1 / (1 + step))
    steps = HeadSteps(ours, model, 5.0)
    before = ours.state_dict()["param_groups"]
    for step in range(4):
        x = torch.randn(8, 64, generator=torch.Generator().manual_seed(step))
        for each, optimizer, plan in (
            (model, ours, schedule),
            (twin, theirs, their_schedule),
        ):
            each(x).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
            plan.step()
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(a, b)
    after = ours.state_dict()["param_groups"]
    assert [g["params"] for g in after] == [g["params"] for g in before]
    steps.close()
    held = model[-1].weight.detach().clone()
    for group in ours.param_groups:
        group["lr"] = 0.0
    model(torch.ones(1, 64)).sum().backward()
    ours.step()
    assert torch.equal(held, model[-1].weight)


def test_a_step_that_raises_leaves_nothing_behind() -> None:
    model = net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    HeadSteps(optimizer, model, 5.0)

    def fails() -> float:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        optimizer.step(fails)
    model(torch.ones(1, 64)).sum().backward()
    optimizer.step()
    assert len(optimizer.param_groups) == 1
    assert len(optimizer.param_groups[0]["params"]) == len(list(model.parameters()))


def steer(folder: Path, model: Any, optimizer: Any, x: Any, **how: Any) -> Autopilot:
    """Twelve steps on 16 examples of two classes, or up to `stop`; `how` goes to the autopilot."""
    stop, resume = how.pop("stop", None), how.pop("resume", False)
    y = torch.arange(16) % 2

    def losses() -> Any:
        return torch.nn.functional.cross_entropy(model(x), y, reduction="none")

    how = {"evaluate": losses, "resume_from": folder if resume else None} | how
    pilot = Autopilot(model, optimizer, total_steps=12, **how)
    for step in range(pilot.steps, 12):
        loss = losses().mean() + 0.01 * step
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        pilot.step(loss)
        if pilot.steps == stop:
            pilot.save(folder)
            break
    return pilot


def run(folder: Path, model: Any, **how: Any) -> Autopilot:
    """A new head on a body."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    x = torch.randn(16, 64, generator=torch.Generator().manual_seed(0))
    facts = RunFacts(params=1e7)  # what the sizes of the weights suggest is then near the number
    return steer(folder, model, optimizer, x, start_lr=1e-3, facts=facts, **how)


def test_what_the_inputs_showed_is_in_the_record(tmp_path: Path) -> None:
    model = net()
    with torch.no_grad():
        model[2].bias.fill_(20.0)  # 64 inputs of about 20: a step of 1e-3 moves the outputs by 1.3
    pilot = run(tmp_path, model, record=tmp_path / "run.jsonl")
    assert pilot.recommendation.head_ratio == 1.0
    told = [e for e in RunRecord.read(tmp_path / "run.jsonl").of("decision") if e["rule"] == "head"]
    assert len(told) == 1
    assert told[0]["figures"]["inputs"] > 1e3


def test_the_autopilot_says_so_and_other_policies_do_not_do_it(tmp_path: Path) -> None:
    start = run(tmp_path, net()).recommendation
    assert start.head_ratio == pytest.approx(RATIO)
    assert "head" in [reason.rule for reason in start.reasons]
    start = run(tmp_path, net(), policy="constant").recommendation
    assert start.head_ratio is None
    assert "head" not in [reason.rule for reason in start.reasons]


def test_a_resumed_run_knows_that_the_head_was_new(tmp_path: Path) -> None:
    whole, cut = net(), net()
    run(tmp_path / "a", whole)
    run(tmp_path / "b", cut, stop=5)
    assert ratio(cut) is None  # five steps later it is no longer
    run(tmp_path / "b", cut, resume=True)
    for a, b in zip(whole.parameters(), cut.parameters(), strict=True):
        assert torch.equal(a, b)


def lone(folder: Path, kind: Any = torch.optim.AdamW, **how: Any) -> tuple[Autopilot, Any]:
    """A head alone on 64 inputs of about two each."""
    torch.manual_seed(0)
    body, head = torch.nn.Linear(640, 64), torch.nn.Linear(64, 2)
    torch.nn.init.constant_(body.bias, 2.0)
    model = torch.nn.Sequential(body.requires_grad_(False), head)
    x = torch.randn(16, 640, generator=torch.Generator().manual_seed(0))
    return steer(folder, model, kind(head.parameters(), lr=1e-3), x, **how), head


@pytest.mark.parametrize("validated", [True, False])
def test_a_head_alone_begins_where_a_step_moves_its_outputs_by_four(
    validated: bool, tmp_path: Path
) -> None:
    pilot, _ = lone(
        tmp_path, record=tmp_path / "run.jsonl", **({} if validated else {"evaluate": None})
    )
    (told,) = [e for e in RunRecord.read(tmp_path).of("decision") if e["rule"] == "head"]
    inputs = told["figures"]["inputs"]
    assert 64 * 1.8 < inputs < 64 * 2.2
    published = recommend(pilot._session.facts).peak_lr
    peak = published**0.2 * (4 / inputs) ** 0.8
    assert pilot.recommendation.peak_lr == pytest.approx(peak, rel=0.05)
    assert pilot.recommendation.reasons[-1].rule == "weights"
    rates = [e["lr"] for e in RunRecord.read(tmp_path).of("step")]
    assert max(rates) == pytest.approx(pilot.recommendation.peak_lr, rel=0.2)


def test_a_number_of_the_users_own_and_sgd_stay(tmp_path: Path) -> None:
    assert lone(tmp_path, start_lr=1e-3)[0].recommendation.peak_lr == 1e-3
    pilot, _ = lone(tmp_path, torch.optim.SGD, facts=RunFacts(optimizer="sgd"))
    assert pilot.recommendation.peak_lr == recommend(pilot._session.facts).peak_lr


def test_a_head_alone_resumes_to_the_same_numbers(tmp_path: Path) -> None:
    whole = lone(tmp_path / "a")
    lone(tmp_path / "b", stop=5)
    cut = lone(tmp_path / "b", resume=True)
    assert whole[0].recommendation.peak_lr == cut[0].recommendation.peak_lr
    assert whole[0].lr == cut[0].lr
    assert torch.equal(whole[1].weight, cut[1].weight)
