"""The main job: fine-tune a model on data under the autopilot, and leave everything behind."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, Trainer, TrainingArguments

from lrpilot.errors import InputError
from lrpilot.facts import RunFacts
from lrpilot.integrations._examples import evaluate_batches
from lrpilot.integrations._progress import Progress
from lrpilot.integrations._torch_state import aside
from lrpilot.integrations.transformers import AutopilotCallback
from lrpilot.metric import Evaluation
from lrpilot.outcome import Outcome
from lrpilot.record import RecordWriter, RunRecord
from lrpilot.tune.demos import Demo, find_demo
from lrpilot.tune.files import RunFiles, checkpoints
from lrpilot.tune.prepare import Prepared, load_user_data, prepare
from lrpilot.tune.settings import Settings

DEFAULT_EPOCHS = 3.0  # assumed: the usual number of passes in published fine-tuning recipes


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How good a finished model is on the test data.

    Attributes:
        name: Which run ("autopilot", "constant 1e-05, linear decay").
        metric: "accuracy" or "loss".
        value: Its mean over the test examples.
        standard_error: Of that mean.
        n: Number of test examples (sequences for text generation).
        loss: The mean test loss in nats.
    """

    name: str
    metric: str
    value: float
    standard_error: float | None
    n: int
    loss: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a tune run left.

    Attributes:
        folder: The output folder.
        outcome: How the run ended.
        scores: Test scores of the autopilot and, if asked for, of the baseline.
        report: The report file; None if Plotly is not installed.
    """

    folder: Path
    outcome: Outcome
    scores: tuple[Score, ...] = ()
    report: Path | None = None


@dataclass(slots=True)
class Events:
    """What a live display may listen to.

    Attributes:
        stage: A new stage has begun ("loading", "training", "baseline", ...), in words.
        progress: A step or a validation is done.
        pilot: The callback of the run that is about to train, so that it can be interrupted.
    """

    stage: Callable[[str], None] = lambda text: None
    progress: Callable[[Progress], None] = lambda progress: None
    pilot: Callable[[AutopilotCallback], None] = lambda pilot: None


def tune(
    settings: Settings, output: str | Path, *, resume: bool = False, events: Events | None = None
) -> Result:
    """Fine-tune a model under the autopilot.

    Args:
        settings: What to train on what.
        output: The folder to make; see `docs/files.md` for what is left in it.
        resume: Go on with the run in that folder.
        events: What a live display listens to.

    Returns:
        The outcome, the scores and the report's path.

    Raises:
        InputError: Something cannot work; nothing has been written then.
    """
    events = events or Events()
    folder = Path(output)
    _check_output(folder, resume=resume)
    events.stage("reading the data")
    demo = find_demo(settings.demo) if settings.demo else None
    settings, model, parts = _inputs(settings, demo, events)
    events.stage(f"loading the model {demo.model_name if demo else model}")
    prepared = prepare(settings, model, parts)
    first_model = prepared.new_model()
    if not resume:
        _make_folder(folder)
        settings.write(folder)
    title = demo.title if demo else f"{Path(model).name} on {Path(str(settings.data)).name}"
    facts = _facts(settings, demo, prepared)
    outcome = _finished(folder) if resume else None
    if outcome is None:
        outcome = _train(
            settings, prepared, first_model, folder, title=title, facts=facts, resume=resume,
            events=events,
        )  # fmt: skip
        if outcome.status == "interrupted":
            return Result(folder=folder, outcome=outcome)
    if settings.max_minutes is not None:  # the baseline takes as many steps
        settings = replace(settings, steps=max(1, outcome.step))
    scores = _scores(settings, prepared, folder, events)
    if scores is None:
        return Result(folder=folder, outcome=replace(outcome, status="interrupted"))
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return Result(folder=folder, outcome=outcome, scores=scores, report=_report(folder))


def _inputs(settings: Settings, demo: Demo | None, events: Events) -> tuple[Settings, str, Any]:
    if demo is None:
        assert settings.model is not None
        return settings, settings.model, load_user_data(settings)

    def progress(*words: Any) -> None:
        events.stage(" ".join(str(word) for word in words))

    parts = demo.data(progress)
    model = str(demo.model(progress))
    settings = replace(
        settings,
        steps=settings.steps or demo.steps,
        batch_size=demo.batch_size,
        max_length=demo.max_length or settings.max_length,
        image_size=demo.image_size,
    )
    return settings, model, parts


def _facts(settings: Settings, demo: Demo | None, prepared: Prepared) -> RunFacts:
    known: dict[str, Any] = {"task": settings.task, "batch_size": settings.batch_size}
    known["train_examples"] = len(prepared.parts.train)
    if demo is not None:
        known["model"] = demo.model_name
    return RunFacts(**known)


# -- training -------------------------------------------------------------------------------


def _train(
    settings: Settings,
    prepared: Prepared,
    model: Any,
    folder: Path,
    *,
    title: str,
    facts: RunFacts,
    resume: bool,
    events: Events,
) -> Outcome:
    events.stage("training under the autopilot")
    found = checkpoints(folder / "checkpoints") if resume else []
    if resume and not found:
        (folder / "run.jsonl").unlink(missing_ok=True)  # nothing but a beginning: begin again
    pilot = AutopilotCallback(
        start_lr=settings.start_lr,
        facts=facts,
        evaluations=settings.evaluations,
        max_minutes=settings.max_minutes,
        policy=settings.policy,
        record=folder / "run.jsonl",
        resume_from=found[-1] if found else None,
        title=title,
        on_progress=events.progress,
        doctor=settings.doctor,
    )
    trainer = _trainer(settings, prepared, model, folder, pilot)
    trainer.add_callback(RunFiles(folder, pilot))
    pilot.eval_dataloader = trainer.get_eval_dataloader()
    events.pilot(pilot)
    trainer.train(resume_from_checkpoint=str(found[-1]) if found else None)
    outcome = pilot.outcome
    assert outcome is not None
    if outcome.status != "interrupted":
        _save_model(model, prepared, folder / "model")
    return outcome


def _trainer(
    settings: Settings, prepared: Prepared, model: Any, folder: Path, pilot: AutopilotCallback
) -> Trainer:
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=4 * settings.batch_size,
        max_steps=settings.steps or -1,
        num_train_epochs=settings.epochs or DEFAULT_EPOCHS,
        lr_scheduler_type="constant",  # the controller anneals
        seed=settings.seed,
        logging_strategy="no",
        save_strategy="no",
        eval_strategy="no",
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
    )
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=prepared.parts.train,
        eval_dataset=prepared.parts.validation,
        data_collator=prepared.collate,
        callbacks=[pilot],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _save_model(model: Any, prepared: Prepared, folder: Path) -> None:
    """The finished model, loadable by `from_pretrained`; whole or not at all."""
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    model.save_pretrained(part)
    for companion in prepared.companions:
        companion.save_pretrained(part)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)


# -- scoring --------------------------------------------------------------------------------


def _scores(
    settings: Settings, prepared: Prepared, folder: Path, events: Events
) -> tuple[Score, ...] | None:
    """Test scores of the finished model and of the baseline; None when interrupted."""
    if prepared.parts.test is None:
        return ()
    scores = []
    model = prepared.new_model()
    _load_weights(model, folder / "model")
    events.stage("scoring on the test data")
    scores.append(_score("autopilot", model, settings, prepared))
    if settings.baseline_lr is not None:
        events.stage(f"the untouched baseline: constant {settings.baseline_lr:g}, linear decay")
        baseline = prepared.new_model()
        if not _train_baseline(settings, prepared, baseline, folder, events):
            return None
        events.stage("scoring the baseline on the test data")
        name = f"constant {settings.baseline_lr:g}, linear decay"
        scores.append(_score(name, baseline, settings, prepared))
    writer = RecordWriter(folder / "run.jsonl")
    for score in scores:
        writer.write(
            "score",
            name=score.name,
            split="test",
            metric=score.metric,
            unit="nats" if score.metric == "loss" else "",
            value=score.value,
            standard_error=score.standard_error,
            n=score.n,
            loss=score.loss,
        )
    writer.close()
    return tuple(scores)


def _train_baseline(
    settings: Settings, prepared: Prepared, model: Any, folder: Path, events: Events
) -> bool:
    (folder / "baseline").mkdir(exist_ok=True)
    record = folder / "baseline" / "run.jsonl"
    record.unlink(missing_ok=True)
    pilot = AutopilotCallback(
        start_lr=settings.baseline_lr,
        evaluations=0,
        policy="constant",
        record=record,
        title="baseline",
        on_progress=events.progress,
        doctor=settings.doctor,
    )
    events.pilot(pilot)
    _trainer(settings, prepared, model, folder, pilot).train()
    return pilot.outcome is not None and pilot.outcome.status == "finished"


def _load_weights(model: Any, folder: Path) -> None:
    trained = type(model).from_pretrained(folder, dtype=torch.float32)
    model.load_state_dict(trained.state_dict())


def _score(name: str, model: Any, settings: Settings, prepared: Prepared) -> Score:
    test = prepared.parts.test
    assert test is not None
    loader = torch.utils.data.DataLoader(
        test,
        batch_size=4 * settings.batch_size,
        collate_fn=prepared.collate or torch.utils.data.default_collate,
    )
    with aside(model):
        losses = evaluate_batches(model, loader)
        assert losses is not None
        if prepared.metric == "loss":
            value = losses
        else:
            value = Evaluation.of(_correct(model, loader), mode="max")
    return Score(
        name=name,
        metric=prepared.metric,
        value=value.mean,
        standard_error=value.standard_error,
        n=value.n,
        loss=losses.mean,
    )


def _correct(model: Any, loader: Any) -> Any:
    found = [
        (model(**batch)["logits"].argmax(-1) == batch["labels"]).cpu().double() for batch in loader
    ]
    return torch.cat(found).numpy()


# -- folders --------------------------------------------------------------------------------


def _check_output(folder: Path, *, resume: bool) -> None:
    if resume:
        if not folder.is_dir():
            raise InputError(f"{folder} does not exist: there is nothing to resume")
        return
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file: give a folder that does not exist yet")
    if folder.is_dir() and any(folder.iterdir()):
        raise InputError(
            f"the output folder {folder} is in use: give another one, or --resume to go on with "
            "the run in it"
        )
    parent = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not os.access(parent, os.W_OK | os.X_OK):
        raise InputError(f"no permission to write to {parent}: give another --output")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be made ({error}): give another --output") from error


def _finished(folder: Path) -> Outcome | None:
    """The outcome of a run whose training is over; None if there is still some to do."""
    if not (folder / "model").is_dir():
        return None
    end = RunRecord.read(folder).of("end")
    if not end or end[-1]["status"] == "interrupted":
        return None
    names = ("status", "cause", "step", "best_step", "best_value")
    return Outcome(**{name: end[-1][name] for name in names})


def _report(folder: Path) -> Path | None:
    from lrpilot.errors import MissingExtraError
    from lrpilot.report import write_report

    try:
        return write_report(folder)
    except MissingExtraError:
        return None
