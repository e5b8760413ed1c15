"""The autopilot in a plain PyTorch loop."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch

from lrpilot.control import Budget, Controller, Decision, controller
from lrpilot.diagnose.finding import Finding
from lrpilot.facts import Recommendation, RunFacts
from lrpilot.integrations._batches import Batches
from lrpilot.integrations._checkpoint import load_held, load_tree, save_tree, write_folder
from lrpilot.integrations._doctor import LiveDoctor
from lrpilot.integrations._inputs import attend_head, shorten
from lrpilot.integrations._progress import Progress, Spent
from lrpilot.integrations._rates import Rates
from lrpilot.integrations._session import Session
from lrpilot.integrations._start import starting_point
from lrpilot.integrations._steps import StepCounter
from lrpilot.integrations._torch_state import Snapshot, TorchState, aside
from lrpilot.metric import Evaluation
from lrpilot.outcome import Outcome
from lrpilot.record import RecordWriter


class Autopilot:
    """Steers the learning rate of a PyTorch loop from validation.

    Call `step(loss)` once after each `loss.backward()` and its `optimizer.step()`. Gradient
    accumulation needs nothing more: call it after every micro-batch, only real optimizer steps
    count, and steps that a gradient scaler skipped do not.

    Args:
        model: The module that trains.
        optimizer: Any torch optimizer. The ratios between its groups' rates are kept; at one rate
            for all, "trial" lets a new head take larger steps (docs/control.md).
        total_steps: Optimizer steps of the whole run; the rate reaches zero there.
        evaluate: Called without arguments, in evaluation mode and without gradients, when a
            validation is due. Returns the loss of each validation example, always the same
            examples in the same order (a tensor, array or list of shape (n,), or an
            `Evaluation`); a bare mean works, but takes longer to judge. None: only a loss that is
            not finite can be reacted to, and there is nothing to roll back to before it.
        steps_per_epoch: Optimizer steps until an example is seen again, if known: before that,
            worse validation cannot be overfitting; and the recommendation knows the epochs.
        scheduler: Your schedule on that optimizer, if any. The autopilot then multiplies it and
            leaves the annealing to it.
        scaler: Your gradient scaler of mixed precision, if any.
        start_lr: Where to start; "trial" begins elsewhere if the sizes of the weights do not at all
            bear it out (docs/control.md). None: what `lrpilot.recommend` says for `facts`.
        facts: What you know of the run, for the recommendation.
        evaluations: How many validations to spend at most, without the one before training.
        max_minutes: How long the run may take, validations included, from here to its end. Where
            `total_steps` do not fit, fewer are taken, and the rate reaches zero after those; it
            ends with the step or validation in hand at the latest. A resumed run goes on counting.
        policy: "trial", "validation", "constant", or a controller of your own.
        record: File for the run record (JSON Lines); its folder must exist. None keeps none.
        resume_from: A checkpoint folder that `save` wrote, of a run with the same model,
            optimizer and budget; the run goes on to the same numbers.
        on_progress: Called with a `Progress` after each step and validation.
        doctor: Let the doctor's rules look at each validation; what they find goes into the
            record, to `on_progress` and to `findings`. It changes nothing in the training.

    Raises:
        InputError: A setting that cannot work, in one line.
        RecordError: The checkpoint is missing or damaged.

    Example:
        >>> pilot = Autopilot(model, optimizer, total_steps=1000, evaluate=val_losses)
        ... for batch in pilot.batches(loader):  # doctest: +SKIP
        ...     loss = model(**batch).loss
        ...     loss.backward()
        ...     optimizer.step()
        ...     optimizer.zero_grad()
        ...     pilot.step(loss)
    """

    def __init__(
        self,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        total_steps: int,
        evaluate: Callable[[], Any] | None = None,
        steps_per_epoch: int | None = None,
        scheduler: Any = None,
        scaler: Any = None,
        start_lr: float | None = None,
        facts: RunFacts | None = None,
        evaluations: int = 14,
        max_minutes: float | None = None,
        policy: str | Controller[Any] = "trial",
        record: str | Path | None = None,
        resume_from: str | Path | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        doctor: bool = True,
    ) -> None:
        self._evaluate = evaluate
        budget = Budget(
            steps=total_steps,
            steps_per_epoch=steps_per_epoch,
            evaluations=min(evaluations, total_steps) if evaluate is not None else 0,
            anneal=scheduler is None,
        )
        chosen = controller(policy) if isinstance(policy, str) else policy
        facts, recommendation = starting_point(
            model,
            optimizer,
            facts=facts,
            start_lr=start_lr,
            budget=budget,
            policy=chosen,
        )
        self._rates = Rates(optimizer, peak_lr=recommendation.peak_lr, scheduler=scheduler)
        self._state = TorchState(model, self._rates, scaler=scaler)
        self._counter = StepCounter(self._rates)
        self._batches: Batches | None = None
        self._resumed_at: dict[str, Any] | None = None
        self._session = Session(
            chosen,
            recommendation,
            budget,
            self,
            facts=facts,
            writer=RecordWriter(record),
            on_progress=on_progress,
            doctor=LiveDoctor.of(facts, recommendation, budget) if doctor else None,
            max_minutes=max_minutes,
        )
        if resume_from is not None:
            self._load(Path(resume_from))
        self._head = attend_head(optimizer, model, self._session, self._rates)
        if resume_from is None:
            self._session.begin()

    # -- what a loop calls ------------------------------------------------------------------

    def step(self, loss: torch.Tensor | float, *, grad_norm: float | None = None) -> None:
        """Report one micro-batch; after a real optimizer step, steer.

        Args:
            loss: The training loss of the micro-batch (its mean over examples).
            grad_norm: The gradient's norm before clipping, if at hand.
        """
        if self.done:
            return
        self._counter.add(float(loss.detach() if isinstance(loss, torch.Tensor) else loss))
        happened, mean = self._counter.take()
        if not happened:
            return
        self._session.step(mean, grad_norm=grad_norm, lr=self._counter.lr)
        if self._session.step_count >= self._session.budget.steps:
            self.finish()

    def batches(self, loader: Iterable[Any]) -> Iterator[Any]:
        """Batches until the budget is spent, over as many passes as it takes.

        A roll-back then returns to the very batch of the kept state, and a resumed run goes on
        with the next one. In a loop of your own over the loader, data go forward instead.

        Args:
            loader: A data loader whose order follows from its generators.
        """
        self._batches = Batches(loader, lambda: self.done)
        if self._resumed_at is not None:
            self._batches.turn_to(self._resumed_at)
            self._resumed_at = None
        yield from self._batches

    def finish(self) -> Outcome:
        """End the run: the outcome is written and the record closed. Called at the budget's end.

        The model then holds the best state that validation saw.
        """
        self._counter.close()
        self._head.close()
        return self._session.finish()

    @property
    def done(self) -> bool:
        """Whether the budget is spent or the run was stopped."""
        session = self._session
        return session.stopped or session.step_count >= session.budget.steps

    @property
    def lr(self) -> float:
        """The rate of the next step, for the group with the most parameters."""
        return self._rates.current

    @property
    def steps(self) -> int:
        """Optimizer steps that really happened."""
        return self._session.step_count

    @property
    def recommendation(self) -> Recommendation:
        """Where the run started, and why."""
        return self._session.recommendation

    @property
    def last_decision(self) -> Decision | None:
        """The latest decision that has something to say."""
        return self._session._last_decision

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the doctor found since this object was made, in order."""
        return () if self._session.doctor is None else tuple(self._session.doctor.findings)

    @property
    def spent(self) -> Spent:
        """Seconds spent by the autopilot itself, on validations and on snapshots."""
        return self._session.spent

    @property
    def outcome(self) -> Outcome | None:
        """How the run ended; None while it runs."""
        return self._session.outcome

    # -- saving and loading -----------------------------------------------------------------

    def save(self, folder: str | Path) -> None:
        """Write a checkpoint: safetensors and JSON, the whole folder or nothing.

        Args:
            folder: The folder to make or replace.

        Raises:
            OSError: It could not be written; an older one of that name stays.
        """

        def write(aside_folder: Path) -> None:
            save_tree(self.snapshot(), aside_folder, "current")
            for name, state in self._session.held.items():
                save_tree(state, aside_folder, name)
            text = json.dumps(self._session.state_dict())
            (aside_folder / "session.json").write_text(text, encoding="utf-8")

        write_folder(Path(folder), write)

    def _load(self, folder: Path) -> None:
        current = load_tree(folder, "current")
        data = json.loads((folder / "session.json").read_text(encoding="utf-8"))
        self.restore(current)
        self._session.resume(data, load_held(folder))

    # -- what the session asks (the Host protocol) -------------------------------------------

    def set_lr_scale(self, scale: float) -> float:
        """Set the rate to `scale` times the peak; return it."""
        return self._rates.set_scale(scale)

    def evaluate(self) -> Evaluation | None:
        """Call the user's `evaluate` without leaving a trace."""
        if self._evaluate is None:
            return None
        with aside(self._state.model):
            result = self._evaluate()
        if isinstance(result, Evaluation):
            return result
        if isinstance(result, torch.Tensor):
            result = result.detach().cpu().double().reshape(-1).numpy()
        return Evaluation.of(result)

    def snapshot(self) -> Snapshot:
        """Copy model, optimizer, schedule, scaler, random states and data position."""
        position = None if self._batches is None else self._batches.position()
        return {**self._state.snapshot(), "data": position}

    def restore(self, snapshot: Snapshot) -> None:
        """Put a snapshot back."""
        self._state.restore(snapshot)
        if self._batches is None:
            self._resumed_at = snapshot["data"]
        else:
            self._batches.turn_to(snapshot["data"])

    def stretch(self, origin: Snapshot, snapshot: Snapshot, factor: float) -> None:
        """Set the weights on the line from one snapshot (0) through another (1)."""
        self._state.stretch(origin, snapshot, factor)

    def shorten(self, budget: Budget) -> Recommendation:
        """Set the peak to what suits fewer steps; return the recommendation."""
        return shorten(self._state.model, self._session, self._rates, self._head, budget)

    def stop(self) -> None:
        """Nothing to do: `batches` ends, and a loop of the user's own asks `done`."""
