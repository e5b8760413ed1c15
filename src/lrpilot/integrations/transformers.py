"""The autopilot in transformers' Trainer: one callback, public interfaces only."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from transformers import TrainerCallback

from lrpilot.control import Budget, Controller, controller
from lrpilot.control.plan import affordable
from lrpilot.diagnose.finding import Finding
from lrpilot.errors import InputError
from lrpilot.facts import Recommendation, RunFacts
from lrpilot.integrations._checkpoint import load_held, load_tree, save_tree, write_folder
from lrpilot.integrations._doctor import LiveDoctor
from lrpilot.integrations._examples import evaluate_batches, mean_loss, sample_loader
from lrpilot.integrations._inputs import attend_head, shorten
from lrpilot.integrations._progress import Progress
from lrpilot.integrations._rates import Rates
from lrpilot.integrations._session import Session
from lrpilot.integrations._start import starting_point
from lrpilot.integrations._steps import StepCounter
from lrpilot.integrations._torch_state import (
    Snapshot,
    TorchState,
    aside,
    rng_state,
    set_rng_state,
)
from lrpilot.metric import Evaluation
from lrpilot.outcome import Outcome
from lrpilot.recommend.vocabulary import PREFERENCE_ARGUMENTS
from lrpilot.record import RecordWriter

_WEIGHTS = "model.safetensors"  # transformers' name
_EXTRA = "lrpilot"  # our folder inside a checkpoint of Trainer's own
_LEAST_EXAMPLES = 32  # assumed: fewer cannot tell which branch of a trial is better
_UNANNEALED = ("constant", "constant_with_warmup")


class AutopilotCallback(TrainerCallback):
    """Steers a `Trainer`'s learning rate from validation.

    `trainer = Trainer(..., eval_dataset=validation, callbacks=[AutopilotCallback()])` is all that
    a script needs. The schedule of the arguments is multiplied, its shape stays; a constant one
    is annealed to zero. Validation reads a fixed sample of `eval_dataset`; the metrics,
    logging, saving and evaluation that the arguments ask for go on as they are. Data go forward
    after a roll-back. One process; training on several is refused. The Trainer needs an
    `eval_dataset`; without one, give `evaluations=0`: only a loss that is not finite is seen then.

    Args:
        start_lr: Where to start; "trial" begins elsewhere if the sizes of the weights do not at all
            bear it out (docs/control.md). None: what `lrpilot.recommend` says.
        facts: What you know of the run, for the recommendation; the rest is read off the Trainer.
        evaluations: How many validations to spend at most, without the one before training.
        max_examples: Validate on so many examples of the evaluation data. None: as many as keep
            all validations together near a tenth of the training's cost; where that were fewer
            than 32, there are 32 and fewer validations.
        max_minutes: How long the training may take, validations included. Where the Trainer's
            steps do not fit, fewer are taken, and the rate reaches zero after those; it ends with
            the step or validation in hand at the latest. A resumed run goes on counting.
        policy: "trial", "validation", "constant", or a controller of your own.
        record: File for the run record; its folder must exist. None keeps none.
        resume_from: A folder that `save` wrote. A checkpoint of Trainer's own needs nothing: its
            `resume_from_checkpoint` is enough.
        title: A name for the run, for the record.
        on_progress: Called with a `Progress` after each step and validation.
        doctor: Let the doctor's rules look at each validation; what they find goes into the
            record, to `on_progress` and to `findings`. It changes nothing in the training.

    Raises:
        InputError: A setting that cannot work, in one line.
    """

    def __init__(
        self,
        *,
        start_lr: float | None = None,
        facts: RunFacts | None = None,
        evaluations: int = 14,
        max_examples: int | None = None,
        max_minutes: float | None = None,
        policy: str | Controller[Any] = "trial",
        record: str | Path | None = None,
        resume_from: str | Path | None = None,
        title: str | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        doctor: bool = True,
    ) -> None:
        self.eval_dataloader: Any = None
        self._start_lr = start_lr
        self._facts = facts
        self._evaluations = evaluations
        self._max_examples = max_examples
        self._max_minutes = max_minutes
        self._policy = controller(policy) if isinstance(policy, str) else policy
        self._record = record
        self._resume_from = None if resume_from is None else Path(resume_from)
        self._title = title
        self._on_progress = on_progress
        self._doctor = doctor
        self._stop_asked = False
        self._restore_rng: Any = None
        self._rng_before: Any = None
        self._sample: Any = None

    # -- what Trainer calls -----------------------------------------------------------------

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Read the run off the Trainer, and begin or resume."""
        if args.world_size > 1:
            raise InputError(
                f"{args.world_size} processes train together: lrpilot steers one; start one process"
            )
        self._model = kwargs["model"]
        optimizer = kwargs["optimizer"]
        optimizer = getattr(optimizer, "optimizer", optimizer)  # accelerate's wrapper
        budget, facts = self._plan(args, state, kwargs["train_dataloader"])
        facts, recommendation = starting_point(
            self._model,
            optimizer,
            facts=facts,
            start_lr=self._start_lr,
            budget=budget,
            policy=self._policy,
        )
        resumed = self._resume_folder(args, state)
        self._rates = Rates(
            optimizer,
            peak_lr=recommendation.peak_lr if resumed is None else None,
            scheduler=kwargs["lr_scheduler"],
        )
        self._state = TorchState(self._model, self._rates)
        self._counter = StepCounter(self._rates)
        self._hook = self._model.register_forward_hook(self._note_loss, with_kwargs=True)
        self._accumulates = args.gradient_accumulation_steps > 1
        self._session = Session(
            self._policy,
            recommendation,
            budget,
            self,
            facts=facts,
            writer=RecordWriter(self._record),
            title=self._title,
            on_progress=self._on_progress,
            doctor=LiveDoctor.of(facts, recommendation, budget) if self._doctor else None,
            max_minutes=self._max_minutes,
        )
        if resumed is not None:
            self._resume(resumed)
        self._head = attend_head(optimizer, self._model, self._session, self._rates)
        if resumed is None:
            self._session.begin()
            self._ask_for_evaluation(control)

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """After a resume between two passes the random states come before the next pass."""
        per_epoch = self._session.budget.steps_per_epoch
        if per_epoch is not None and self._session.step_count % per_epoch == 0:
            self._set_rng()

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """After a resume within a pass they come last, when the data were skipped."""
        self._set_rng()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Steer, if the optimizer really stepped."""
        happened, loss = self._counter.take()
        if happened:
            self._session.step(loss, lr=self._counter.lr)
        self._ask_for_evaluation(control)
        if self._stop_asked or not self._unfinished:
            control.should_training_stop = True

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Take the evaluation data, and validate if that is owed."""
        if self.eval_dataloader is None:
            self.eval_dataloader = kwargs.get("eval_dataloader")
        if self._rng_before is not None:  # an evaluation that only we asked for leaves no trace
            set_rng_state(self._rng_before)
            self._rng_before = None
        session = getattr(self, "_session", None)
        if session is not None and session.awaiting is not None and session.outcome is None:
            session.validate(session.awaiting)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Put the session beside a checkpoint of Trainer's own."""
        write_folder(_beside(args, state), self._write_session)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Write the outcome; the model holds the best state that validation saw."""
        self._counter.close()
        self._head.close()
        self._hook.remove()
        cause = "it was asked to stop" if self._stop_asked else ""
        self._session.finish("interrupted" if self._unfinished else None, cause)

    # -- what a script may call -------------------------------------------------------------

    @property
    def outcome(self) -> Outcome | None:
        """How the run ended; None while it runs."""
        return self._session.outcome

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the doctor found since this object was made, in order."""
        return () if self._session.doctor is None else tuple(self._session.doctor.findings)

    @property
    def session(self) -> Session:
        """The session: its state, its spending, its recommendation."""
        return self._session

    def interrupt(self) -> None:
        """Ask for a stop at the next step boundary; safe to call from a signal handler."""
        self._stop_asked = True

    def save(self, folder: str | Path, *, trainer_state: Any) -> None:
        """Write a checkpoint that `resume_from` reads, without pickle, all of it or nothing.

        Args:
            folder: The folder to make or replace; `Trainer.train(resume_from_checkpoint=folder)`
                together with `resume_from=folder` goes on to the same numbers.
            trainer_state: The Trainer's `state`.

        Raises:
            OSError: It could not be written; an older one of that name stays.
        """

        def write(part: Path) -> None:
            current = self.snapshot()
            save_file(current.pop("model"), part / _WEIGHTS)  # Trainer reads it from there
            save_tree(current, part, "current")
            trainer_state.save_to_json(str(part / "trainer_state.json"))
            self._write_session(part)

        write_folder(Path(folder), write)

    # -- what the session asks (the Host protocol) -------------------------------------------

    def set_lr_scale(self, scale: float) -> float:
        """Set the rate to `scale` times the peak; return it."""
        return self._rates.set_scale(scale)

    def evaluate(self) -> Evaluation | None:
        """Per-example losses on a fixed sample of the evaluation data."""
        if self.eval_dataloader is None:
            return None
        if self._sample is None:
            assert self._max_examples is not None
            self._sample = sample_loader(self.eval_dataloader, examples=self._max_examples)
        with aside(self._model):
            return evaluate_batches(self._model, self._sample, max_examples=self._max_examples)

    def snapshot(self) -> Snapshot:
        """Copy model, optimizer, schedule and random states."""
        return self._state.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        """Put a snapshot back; the data go forward."""
        self._state.restore(snapshot)

    def stretch(self, origin: Snapshot, snapshot: Snapshot, factor: float) -> None:
        """Set the weights on the line from one snapshot (0) through another (1)."""
        self._state.stretch(origin, snapshot, factor)

    def shorten(self, budget: Budget) -> Recommendation:
        """Set the peak to what suits fewer steps; return the recommendation."""
        return shorten(self._model, self._session, self._rates, self._head, budget)

    def stop(self) -> None:
        """Trainer stops at the end of the step, which `on_step_end` asks for."""

    # -- small pieces -----------------------------------------------------------------------

    def _ask_for_evaluation(self, control: Any) -> None:
        """Trainer hands its evaluation data out only when it evaluates: ask for that once."""
        if self._session.awaiting is None or self.eval_dataloader is not None:
            return
        if not control.should_evaluate:
            self._rng_before = rng_state()
        control.should_evaluate = True

    def _set_rng(self) -> None:
        if self._restore_rng is not None:
            set_rng_state(self._restore_rng)
            self._restore_rng = None

    @property
    def _unfinished(self) -> bool:
        return self._session.step_count < self._session.budget.steps and not self._session.stopped

    def _note_loss(self, model: Any, args: Any, kwargs: Any, outputs: Any) -> None:
        """A forward hook: the training loss of each micro-batch."""
        if not model.training or not isinstance(outputs, dict) or outputs.get("loss") is None:
            return
        if self._accumulates:
            self._counter.add(mean_loss(model, outputs, kwargs.get("labels")))
        else:
            self._counter.add(float(outputs["loss"].detach()))

    def _plan(self, args: Any, state: Any, loader: Any) -> tuple[Budget, RunFacts]:
        batch = args.train_batch_size * args.gradient_accumulation_steps
        examples: int | None = None
        per_epoch: int | None = None
        with contextlib.suppress(TypeError, AttributeError):  # a stream has no length
            examples = len(loader.dataset)
            per_epoch = max(1, -(-len(loader) // args.gradient_accumulation_steps))
        steps = int(state.max_steps)
        evaluations = self._evaluations
        if self._max_examples is None:
            self._max_examples, evaluations = affordable(
                steps, batch, evaluations=evaluations, least=_LEAST_EXAMPLES
            )
        facts = self._facts or RunFacts()
        preference = type(args).__name__ in PREFERENCE_ARGUMENTS
        facts = replace(
            facts,
            task=facts.task or ("preference" if preference else None),
            train_examples=facts.train_examples or examples,
            batch_size=facts.batch_size or batch,
            steps=steps,
        )
        budget = Budget(
            steps=steps,
            steps_per_epoch=per_epoch,
            evaluations=min(evaluations, steps),
            anneal=str(getattr(args.lr_scheduler_type, "value", args.lr_scheduler_type))
            in _UNANNEALED,
        )
        return budget, facts

    def _resume_folder(self, args: Any, state: Any) -> Path | None:
        if self._resume_from is not None:
            return self._resume_from
        beside = _beside(args, state)
        return beside if state.global_step > 0 and beside.is_dir() else None

    def _write_session(self, folder: Path) -> None:
        for name, state in self._session.held.items():
            save_tree(state, folder, name)
        data = {**self._session.state_dict(), "scale": self._rates.scale}
        (folder / "session.json").write_text(json.dumps(data), encoding="utf-8")

    def _resume(self, folder: Path) -> None:
        data = json.loads((folder / "session.json").read_text(encoding="utf-8"))
        self._rates.scale = data["scale"]
        if (folder / "current.json").exists():
            current = load_tree(folder, "current") | {"model": load_file(folder / _WEIGHTS)}
            self.restore(current)
            self._restore_rng = current["rng"]
        self._session.resume(data, load_held(folder))


def _beside(args: Any, state: Any) -> Path:
    return Path(args.output_dir) / f"checkpoint-{state.global_step}" / _EXTRA
