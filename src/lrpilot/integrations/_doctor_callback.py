"""The doctor in transformers' Trainer, without the autopilot: it watches the log and speaks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from transformers import TrainerCallback

from lrpilot.diagnose import Finding, History, Plan, diagnose
from lrpilot.diagnose.readers.assemble import assemble
from lrpilot.diagnose.readers.bounded import number
from lrpilot.diagnose.readers.collect import Collector
from lrpilot.diagnose.readers.plans import from_arguments, join, make_plan
from lrpilot.integrations._doctor import AT_END, FROM_MIDDLE, sentence
from lrpilot.recommend import facts_from_module

_AT_END = ("train_runtime", "train_loss", "train_samples_per_second", "train_steps_per_second",
           "total_flos")  # fmt: skip
_USUAL_LOOKS = 16  # assumed: where Trainer's arguments do not tell how many validations come
logger = logging.getLogger("lrpilot")


class DoctorCallback(TrainerCallback):
    """Says during training what `lrpilot doctor` would say afterwards; it changes nothing.

    `Trainer(..., callbacks=[DoctorCallback()])`. The rules look at each evaluation and at the
    end, at what Trainer logs (`logging_steps`, `eval_steps`) and at its arguments. Each rule
    speaks once in a run, a resumed run included. The chance of a false alarm is shared by all
    looks: 5% for the whole run.

    Args:
        on_finding: Called with each new finding. None: a line in the log "lrpilot", at level
            WARNING, or INFO for mere remarks.
    """

    def __init__(self, *, on_finding: Callable[[Finding], None] | None = None) -> None:
        self.findings: list[Finding] = []
        self._on_finding = on_finding
        self._told: set[str] = set()
        self._plan = Plan()

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Read the plan; after a resume, repeat in silence the looks that were taken before."""
        self.findings, self._told = [], set()
        model = kwargs.get("model")
        seen = {} if model is None else facts_from_module(model).known()
        steps = {"steps": state.max_steps, "schedule_steps": state.max_steps}
        self._plan = join(make_plan({**seen, **steps}), from_arguments(args.to_dict()))
        entries = state.log_history
        for index, entry in enumerate(entries):
            if any(name.startswith("eval_") for name in entry):
                self._told |= {f.rule for f in self._look(args, entries[: index + 1], entry)}

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Look; evaluations before or after training are none of ours."""
        if state.global_step > 0 and state.log_history:
            self._tell(self._look(args, state.log_history, state.log_history[-1]))

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Look for the last time, if the run came to its planned end."""
        if state.global_step >= state.max_steps and state.log_history:
            self._tell(self._look(args, state.log_history, None))

    def _look(
        self, args: Any, entries: Sequence[dict[str, Any]], last: dict[str, Any] | None
    ) -> list[Finding]:
        """Ask the rules that have not spoken yet; `last` is None at the end of the run."""
        from lrpilot.diagnose.rules import RULES

        total = self._plan.facts.planned_steps or 0
        step = 0 if last is None else number(last.get("step")) or 0
        late = last is None or 2 * step >= total
        rules = [
            r
            for r in RULES
            if r.id not in self._told
            and (last is None or r.id not in AT_END)
            and (late or r.id not in FROM_MIDDLE)
        ]
        history = _history(entries, self._plan, finished=last is None)
        if history is None:
            return []
        return list(diagnose(history, alpha=0.05 / _looks(args, total), rules=rules).findings)

    def _tell(self, found: Sequence[Finding]) -> None:
        self.findings += found
        self._told |= {f.rule for f in found}
        for finding in found:
            if self._on_finding is not None:
                self._on_finding(finding)
            else:
                level = logging.INFO if finding.severity == "info" else logging.WARNING
                logger.log(level, sentence(finding))


def _history(entries: Sequence[dict[str, Any]], plan: Plan, *, finished: bool) -> History | None:
    """The log as a history; None while there is no training loss in it."""
    collected = Collector()
    for entry in entries:
        step = number(entry.get("step"))
        for name, raw in entry.items():
            value = None if name == "step" or name in _AT_END else number(raw)
            if step is not None and value is not None:
                collected.add(name, step, value)
    if "loss" not in collected.names:
        return None
    made = assemble("this run", "hf-trainer", collected, plan=plan)
    return replace(made, finished=True if finished else None)


def _looks(args: Any, steps: int) -> int:
    """How often the rules will look, the end included."""
    every = number(getattr(args, "eval_steps", None))
    strategy = str(getattr(args.eval_strategy, "value", args.eval_strategy))
    if strategy == "epoch":
        return int(args.num_train_epochs) + 2
    if strategy == "steps" and every:
        return round(steps / (every if every >= 1 else max(1.0, every * steps))) + 1
    return 1 if strategy == "no" else _USUAL_LOOKS
