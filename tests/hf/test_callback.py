"""The callback in a user's own Trainer script, and the contract that both hosts pass."""

from __future__ import annotations

import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from lrpilot.facts import RunFacts  # noqa: E402
from lrpilot.integrations._torch_state import rng_state  # noqa: E402
from lrpilot.record import RunRecord  # noqa: E402
from lrpilot.testing.hosts import Bench, HostSuite  # noqa: E402
from lrpilot.torch import Autopilot  # noqa: E402
from lrpilot.transformers import AutopilotCallback  # noqa: E402

VOCABULARY = 30


def bert(labels: int = 2, **more: Any) -> Any:
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=VOCABULARY, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=16, num_labels=labels, **more,
    )  # fmt: skip
    return transformers.BertForSequenceClassification(config)


def rows(count: int, *, seed: int = 1) -> list[dict[str, Any]]:
    """Sequences of eight words; the class is told by the first."""
    words = torch.randint(5, VOCABULARY, (count, 8), generator=torch.Generator().manual_seed(seed))
    return [{"input_ids": w.tolist(), "labels": int(w[0] > 17)} for w in words]


TRAIN, HELD_OUT = rows(96), rows(40, seed=2)


def trainer(
    folder: Path,
    callbacks: list[Any],
    *,
    model: Any = None,
    train: Any = None,
    held_out: Any = HELD_OUT,
    optimizers: Any = (None, None),
    **arguments: Any,
) -> Any:
    settings = {
        "max_steps": 24, "per_device_train_batch_size": 8, "learning_rate": 5e-5,
        "report_to": [], "disable_tqdm": True, "save_strategy": "no", "seed": 3,
        "dataloader_pin_memory": False, "logging_strategy": "no", **arguments,
    }  # fmt: skip
    made = transformers.Trainer(
        model=bert() if model is None else model,
        args=transformers.TrainingArguments(str(folder), **settings),
        train_dataset=TRAIN if train is None else train,
        eval_dataset=held_out,
        callbacks=callbacks,
        optimizers=optimizers,
    )
    made.remove_callback(transformers.PrinterCallback)
    return made


@pytest.mark.parametrize("start_lr", [1e-9, 10.0])
def test_a_start_that_is_far_off_is_noticed(start_lr: float, tmp_path: Path) -> None:
    pilot = AutopilotCallback(start_lr=start_lr, max_examples=8)
    trainer(tmp_path, [pilot], max_steps=20).train()
    assert pilot.session.recommendation.peak_lr == start_lr
    assert 1e-3 < pilot.session.state.start * start_lr < 0.1


class DPOConfig(transformers.TrainingArguments):  # type: ignore[misc]
    """Stands for TRL's, of which the name is read."""


def test_trls_arguments_of_preference_tuning_say_so(tmp_path: Path) -> None:
    starts = []
    for kind in (transformers.TrainingArguments, DPOConfig):
        pilot = AutopilotCallback(max_examples=8)
        made = trainer(tmp_path, [pilot], max_steps=2)
        made.args.__class__ = kind
        made.train()
        starts.append(pilot.session.recommendation.peak_lr)
    assert starts[1] < starts[0] / 3
    assert pilot.session.facts.task == "preference"


def test_one_argument_steers_and_records(tmp_path: Path) -> None:
    pilot = AutopilotCallback(record=tmp_path / "run.jsonl")
    trainer(tmp_path, [pilot]).train()
    record = RunRecord.read(tmp_path)
    assert [e["step"] for e in record.of("step")] == list(range(1, 25))
    assert {e["n"] for e in record.of("evaluation")} == {32}
    assert [e["rule"] for e in record.of("decision")][:3] == ["head", "start", "warm"]
    assert pilot.outcome is not None
    assert pilot.outcome.status == "finished"
    assert record.header["facts"]["model"] == "bert"


@pytest.mark.parametrize("schedule", ["linear", "constant", "cosine"])
def test_it_ends_in_time_whatever_the_schedule(
    schedule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step lasts a second, of which 60 are given for 400 steps."""
    now = [0.0]
    clock = SimpleNamespace(perf_counter=lambda: now[0])
    monkeypatch.setattr("lrpilot.integrations._session.time", clock)

    class Passes(transformers.TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            now[0] += 1.0

    pilot = AutopilotCallback(record=tmp_path / "run.jsonl", max_minutes=1, max_examples=8)
    made = trainer(tmp_path, [Passes(), pilot], max_steps=400, lr_scheduler_type=schedule)
    made.train()
    assert 50 <= made.state.global_step <= 60
    assert pilot.outcome is not None
    assert (pilot.outcome.status, pilot.outcome.step) == ("finished", made.state.global_step)
    rates = [event["lr"] for event in RunRecord.read(tmp_path).of("step")]
    assert rates[-1] < 0.1 * max(rates)


@pytest.mark.parametrize("schedule", ["linear", "constant", "cosine"])
def test_under_the_constant_policy_the_rate_is_the_users_schedule(
    schedule: str, tmp_path: Path
) -> None:
    """An independent truth: the same Trainer without the callback, with linear decay."""
    plain = bert()
    rates: list[float] = []

    class Watch(transformers.TrainerCallback):
        def on_pre_optimizer_step(self, *_: Any, optimizer: Any = None, **__: Any) -> None:
            rates.append(optimizer.param_groups[0]["lr"])

    expected = "linear" if schedule == "constant" else schedule  # a constant one is annealed
    trainer(tmp_path / "a", [Watch()], model=plain, lr_scheduler_type=expected,
            learning_rate=1e-3).train()  # fmt: skip
    piloted = bert()
    record = tmp_path / "run.jsonl"
    pilot = AutopilotCallback(start_lr=1e-3, policy="constant", evaluations=4, record=record)
    trainer(tmp_path / "b", [pilot], model=piloted, lr_scheduler_type=schedule,
            learning_rate=7e-5).train()  # fmt: skip
    assert [e["lr"] for e in RunRecord.read(record).of("step")] == pytest.approx(rates, rel=1e-9)
    for (name, a), b in zip(plain.state_dict().items(), piloted.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7, msg=name)


def test_gradient_accumulation_counts_optimizer_steps(tmp_path: Path) -> None:
    pilot = AutopilotCallback(record=tmp_path / "run.jsonl", start_lr=1e-4, policy="constant")
    trainer(tmp_path, [pilot], gradient_accumulation_steps=3, max_steps=6).train()
    steps = RunRecord.read(tmp_path).of("step")
    assert [e["step"] for e in steps] == list(range(1, 7))
    assert all(0.5 < e["loss"] < 1.0 for e in steps)  # log 2, not three times that


def test_sorted_validation_data_are_sampled(tmp_path: Path) -> None:
    ordered = sorted(rows(200, seed=4), key=lambda row: row["labels"])
    pilot = AutopilotCallback(record=tmp_path / "run.jsonl", max_examples=60)
    trainer(tmp_path, [pilot], held_out=ordered, max_steps=4).train()
    labels = [pilot._sample.dataset[i]["labels"] for i in range(60)]
    assert 15 < sum(labels) < 45


def test_label_smoothing_still_gives_an_evaluation(tmp_path: Path) -> None:
    pilot = AutopilotCallback(record=tmp_path / "run.jsonl")
    trainer(tmp_path, [pilot], label_smoothing_factor=0.1, max_steps=6).train()
    assert RunRecord.read(tmp_path).of("evaluation")


def test_without_validations_it_trains_on(tmp_path: Path) -> None:
    pilot = AutopilotCallback(record=tmp_path / "run.jsonl", start_lr=1e-4, evaluations=0)
    trainer(tmp_path, [pilot], held_out=None, max_steps=6).train()
    record = RunRecord.read(tmp_path)
    assert not record.of("evaluation")
    assert len(record.of("step")) == 6


def test_regression_and_language_modelling_pair_their_examples(tmp_path: Path) -> None:
    scores = [{**row, "labels": float(row["labels"])} for row in HELD_OUT]
    pilot = AutopilotCallback(record=tmp_path / "a.jsonl")
    trainer(tmp_path, [pilot], model=bert(1), held_out=scores, train=scores, max_steps=3).train()
    assert RunRecord.read(tmp_path / "a.jsonl").of("evaluation")[0]["n"] == 32
    torch.manual_seed(0)
    gpt = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=VOCABULARY,
            n_positions=8,
            n_embd=16,
            n_layer=1,
            n_head=2,
            bos_token_id=0,
            eos_token_id=0,
        )
    )
    blocks = [{"input_ids": r["input_ids"], "labels": r["input_ids"]} for r in HELD_OUT]
    pilot = AutopilotCallback(record=tmp_path / "b.jsonl", max_examples=40)
    trainer(tmp_path, [pilot], model=gpt, held_out=blocks, train=blocks, max_steps=3).train()
    seen = RunRecord.read(tmp_path / "b.jsonl").of("evaluation")[0]
    assert seen["n"] == 40
    assert set(seen["weights"]) == {7.0}  # eight tokens predict seven
    with torch.no_grad():
        ids = torch.tensor([b["input_ids"] for b in blocks], device=gpt.device)
        truth = float(gpt.eval()(input_ids=ids, labels=ids).loss)
    last = RunRecord.read(tmp_path / "b.jsonl").of("evaluation")[-1]
    assert last["mean"] == pytest.approx(truth, rel=1e-4)


def test_broken_weights_are_rolled_back_and_the_run_ends_finite(tmp_path: Path) -> None:
    class Break(transformers.TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == 12:
                with torch.no_grad():
                    kwargs["model"].classifier.weight.fill_(float("nan"))

    model = bert()
    pilot = AutopilotCallback(record=tmp_path / "run.jsonl", start_lr=1e-4)
    trainer(tmp_path, [pilot, Break()], model=model).train()
    assert any(e["rule"] == "divergence" for e in RunRecord.read(tmp_path).of("decision"))
    assert all(p.isfinite().all() for p in model.parameters())


def test_trainers_own_checkpoints_resume_the_decisions(tmp_path: Path) -> None:
    saving = {"save_strategy": "steps", "save_steps": 12}
    whole = AutopilotCallback(record=tmp_path / "whole.jsonl", start_lr=1e-4)
    trainer(tmp_path / "whole", [whole], **saving).train()

    class Stop(transformers.TrainerCallback):
        def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            control.should_training_stop = True

    first = AutopilotCallback(record=tmp_path / "cut.jsonl", start_lr=1e-4)
    trainer(tmp_path / "cut", [first, Stop()], **saving).train()
    second = AutopilotCallback(record=tmp_path / "cut.jsonl", start_lr=1e-4)
    trainer(tmp_path / "cut", [second], **saving).train(resume_from_checkpoint=True)
    a, b = (RunRecord.read(tmp_path / f"{n}.jsonl") for n in ("whole", "cut"))
    for kind, names in (("step", ("step", "lr")), ("decision", ("step", "action", "rule"))):
        stories = [[[e[n] for n in names] for e in r.of(kind)] for r in (a, b)]
        assert stories[0] == stories[1]
    ratios = [p.session.recommendation.head_ratio for p in (whole, second)]
    assert ratios[0] == ratios[1] is not None  # by then the head was new no longer


def test_a_head_alone_begins_by_its_inputs_under_trainers_schedule(tmp_path: Path) -> None:
    model = bert()
    model.bert.requires_grad_(False)
    facts = RunFacts(model="a-model-of-our-own", method="linear-probe")
    pilot = AutopilotCallback(record=tmp_path / "run.jsonl", facts=facts)
    trainer(tmp_path, [pilot], model=model).train()
    record = RunRecord.read(tmp_path)
    (told,) = [e for e in record.of("decision") if e["rule"] == "head"]
    begun, moved = record.header["recommendation"]["peak_lr"], pilot.session.recommendation.peak_lr
    assert moved > 3 * begun
    assert told["figures"]["inputs"] > 1.0
    assert max(e["lr"] for e in record.of("step")[2:]) == pytest.approx(moved, rel=0.2)


def test_a_lora_snapshot_holds_the_adapters_only(tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=2, target_modules=["query", "value"], modules_to_save=[])
    model = peft.get_peft_model(bert(), config)
    pilot = AutopilotCallback(record=tmp_path / "run.jsonl")
    trainer(tmp_path, [pilot], model=model, max_steps=3).train()
    parameters = {n for n, _ in model.named_parameters()}
    held = set(pilot.snapshot()["model"]) & parameters
    assert held
    assert all("lora_" in name for name in held)
    facts = RunRecord.read(tmp_path).header["facts"]
    assert (facts["method"], facts["lora_rank"]) == ("lora", 2)


# -- the contract -------------------------------------------------------------------------------


def two_groups(model: Any) -> Any:
    head = list(model.classifier.parameters())
    body = [p for n, p in model.named_parameters() if not n.startswith("classifier")]
    return torch.optim.AdamW([{"params": body}, {"params": head, "lr": 1e-3}], lr=1e-4)


def state_of(model: Any, optimizer: Any) -> dict[str, Any]:
    found = {f"model.{k}": v.cpu().numpy().copy() for k, v in model.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        found |= {f"optimizer.{index}.{k}": v.cpu().numpy().copy() for k, v in state.items()}
    found["rng"] = rng_state()["torch"].numpy()
    found["python"] = random.random.__self__.getstate()[1]  # type: ignore[attr-defined]
    found["modes"] = np.array([m.training for m in model.modules()])
    return found


def stepper(model: Any, optimizer: Any) -> Any:
    def train(steps: int) -> None:
        model.train()
        for _ in range(steps):
            ids = torch.randint(5, VOCABULARY, (4, 8)).to(model.device)
            model(input_ids=ids, labels=(ids[:, 0] > 17).long()).loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    return train


class TestTorchHost(HostSuite):
    def make(self) -> Bench:
        model = bert()
        optimizer = two_groups(model)
        ids = torch.tensor([row["input_ids"] for row in HELD_OUT])
        labels = torch.tensor([row["labels"] for row in HELD_OUT])

        def losses() -> Any:
            logits = model(input_ids=ids).logits
            return torch.nn.functional.cross_entropy(logits, labels, reduction="none")

        pilot = Autopilot(model, optimizer, total_steps=100, evaluate=losses, start_lr=1e-4)
        return Bench(
            pilot,
            stepper(model, optimizer),
            lambda: [g["lr"] for g in optimizer.param_groups],
            lambda: state_of(model, optimizer),
        )


class TestTrainerHost(HostSuite):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def make(self) -> Bench:
        model = bert()
        optimizer = two_groups(model)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
        pilot = AutopilotCallback(start_lr=1e-4)

        class Hold(transformers.TrainerCallback):
            """Stops right after the beginning: the host is set up, and nothing has trained."""

            def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                raise KeyboardInterrupt

        made = trainer(self.folder, [pilot, Hold()], model=model, optimizers=(optimizer, schedule))
        pilot.eval_dataloader = made.get_eval_dataloader()
        with pytest.raises(KeyboardInterrupt):
            made.train()
        return Bench(
            pilot,
            stepper(model, optimizer),
            lambda: [g["lr"] for g in optimizer.param_groups],
            lambda: state_of(model, optimizer),
        )


def test_both_hosts_decide_the_same_on_the_same_run(tmp_path: Path) -> None:
    """The same model, batches, optimizer and validation data through either host."""
    hosted = bert(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    callback = AutopilotCallback(record=tmp_path / "a.jsonl", start_lr=1e-4, policy="validation",
                                 max_examples=40)  # fmt: skip
    one_pass = TRAIN  # in order: no shuffling, so that both see the same batches

    class InOrder(transformers.Trainer):
        def get_train_dataloader(self) -> Any:
            return torch.utils.data.DataLoader(
                one_pass, batch_size=8, collate_fn=transformers.default_data_collator
            )

    arguments = transformers.TrainingArguments(
        str(tmp_path), max_steps=24, per_device_train_batch_size=8, report_to=[],
        disable_tqdm=True, save_strategy="no", logging_strategy="no", max_grad_norm=0.0,
        lr_scheduler_type="constant", optim="adamw_torch", dataloader_pin_memory=False,
    )  # fmt: skip
    made = InOrder(model=hosted, args=arguments, train_dataset=one_pass, eval_dataset=HELD_OUT,
                   callbacks=[callback])  # fmt: skip
    made.remove_callback(transformers.PrinterCallback)
    callback.eval_dataloader = made.get_eval_dataloader()
    made.train()

    model = bert(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.0)
    ids = torch.tensor([row["input_ids"] for row in HELD_OUT])
    labels = torch.tensor([row["labels"] for row in HELD_OUT])

    def losses() -> Any:
        logits = model(input_ids=ids).logits
        return torch.nn.functional.cross_entropy(logits, labels, reduction="none")

    pilot = Autopilot(model, optimizer, total_steps=24, evaluate=losses, start_lr=1e-4,
                      policy="validation",
                      steps_per_epoch=12, record=tmp_path / "b.jsonl")  # fmt: skip
    loader = torch.utils.data.DataLoader(
        one_pass, batch_size=8, collate_fn=transformers.default_data_collator
    )
    model.train()
    while not pilot.done:
        for batch in loader:
            loss = model(**batch).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            pilot.step(loss)
            if pilot.done:
                break
    a, b = (RunRecord.read(tmp_path / f"{n}.jsonl") for n in "ab")
    told = [[(e["step"], e["action"], e["rule"]) for e in r.of("decision")] for r in (a, b)]
    assert told[0] == told[1]
    assert len(told[0]) > 10
    scales = [[e["lr_scale"] for e in r.of("decision")] for r in (a, b)]
    assert scales[0] == pytest.approx(scales[1])
    means = [[e["mean"] for e in r.of("evaluation")] for r in (a, b)]
    assert means[0] == pytest.approx(means[1], rel=1e-4)
