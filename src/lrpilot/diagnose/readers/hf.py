"""Hugging Face Trainer and TRL: `trainer_state.json`, checkpoint folders, output folders."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lrpilot.diagnose.history import History, Plan, Series
from lrpilot.diagnose.readers.assemble import assemble
from lrpilot.diagnose.readers.bounded import count, number, positive
from lrpilot.diagnose.readers.collect import Collector
from lrpilot.diagnose.readers.format import Format, Place
from lrpilot.diagnose.readers.hf_facts import facts_beside
from lrpilot.diagnose.readers.plans import join, make_plan
from lrpilot.diagnose.readers.stream import ArrayStream
from lrpilot.errors import InputError

_STATE = "trainer_state.json"
_CHECKPOINT = re.compile(r"^checkpoint-(\d{1,15})$")
_GLOBAL_STEP = re.compile(r'"global_step"\s*:\s*(\d{1,15})\b')
_AT_END = frozenset({"step", "train_runtime", "train_loss", "train_samples_per_second",
                     "train_steps_per_second", "total_flos"})  # fmt: skip
# Values that only reinforcement learning logs: its loss is no measure of progress.
_REINFORCED = ("reward", "objective/rlhf_reward", "policy/approxkl_avg", "rewards/mean")


def _claims(place: Place) -> bool:
    if place.is_dir:
        return _state_of(place) is not None
    start = place.text.lstrip()[:60_000]
    if not start.startswith("{"):
        return False
    return '"log_history"' in start or ('"global_step"' in start and '"best_metric"' in start)


def _checkpoints(place: Place) -> list[int]:
    found = (_CHECKPOINT.match(name) for name in place.names)
    return sorted(int(m.group(1)) for m in found if m and (place.path / m.group()).is_dir())


def _state_of(place: Place) -> Path | None:
    """The latest state of an output folder or of a checkpoint folder."""
    own = place.path / _STATE if place.has_file(_STATE) else None
    done = _global_step(own) if own is not None else -1
    for step in reversed(_checkpoints(place)):
        state = place.path / f"checkpoint-{step}" / _STATE
        if step > done and state.is_file():
            return state
    return own


def _global_step(state: Path) -> int:
    """The step that a state was written at; it stands before the log."""
    found = _GLOBAL_STEP.search(Place.at(state).text[:20_000])
    return int(found.group(1)) if found else 10**15


def _read(place: Place) -> list[History]:
    if not place.is_dir:
        return [_history(place.path, str(place.path), place.path.parent, None)]
    state = _state_of(place)
    if state is None:
        raise InputError(f"{place.path} lost its trainer_state.json while it was read: try again")
    is_checkpoint = _CHECKPOINT.match(place.path.resolve().name)
    checkpoints = None if is_checkpoint else tuple(_checkpoints(place))
    return [_history(state, str(place.path), place.path, checkpoints)]


def _history(state: Path, where: str, folder: Path, checkpoints: tuple[int, ...] | None) -> History:
    collected, stream = Collector(), ArrayStream(state, "log_history")
    ends: list[float] = []
    for entry in stream:
        step = number(entry.get("step")) if isinstance(entry, dict) else None
        if step is None:
            continue
        if "train_runtime" in entry:
            ends.append(step)
        collected.add_row(step, entry, _AT_END)
    latest = [folder / f"checkpoint-{step}" for step in (checkpoints or ())[-1:]]
    facts, unread = facts_beside(folder, state.parent, *latest)
    if stream.truncated:
        unread = (*unread, f"{state.name} breaks off; what stands before the break was read.")
    if not collected.names:
        raise InputError(
            f"{where}: the log_history of {state.name} is empty: set logging_steps below the"
            " number of steps, or give a later checkpoint"
        )
    reinforced = any(name in _REINFORCED for name in collected.names)
    if reinforced:
        unread = (*unread, "The loss of reinforcement learning is no measure of progress.")
    plan = join(_preference(collected, facts), facts, _state_plan(stream.rest))
    draft = assemble(
        where, "hf-trainer", collected, plan=plan, unread=unread, checkpoints=checkpoints,
        best_checkpoint=_best(stream.rest), finished=_finished(stream.rest, bool(ends)),
        no_losses=("loss", "eval_loss") if reinforced else (),
    )  # fmt: skip
    return _complete(replace(draft, resumes=_resumes(draft, ends)), stream.rest)


def _resumes(draft: History, ends: list[float]) -> tuple[int, ...]:
    """A run that ended and has later steps was taken up again."""
    last = draft.train_loss.steps[-1] if draft.train_loss is not None else 0.0
    return tuple(sorted({*draft.resumes, *(int(step) for step in ends if step < last)}))


def _preference(collected: Collector, facts: Plan) -> Plan:
    """TRL's preference trainers log the rewards of what was chosen."""
    if "rewards/chosen" not in collected.names:
        return Plan()
    lora = "lora" in facts.facts.method
    return make_plan({"method": "preference-lora" if lora else "preference-full"})


def _state_plan(state: Mapping[str, Any]) -> Plan:
    steps = count(state.get("max_steps"))
    return make_plan(
        {
            "steps": steps,
            "schedule_steps": steps,
            "epochs": positive(state.get("num_train_epochs")),
        }
    )


def _best(state: Mapping[str, Any]) -> int | None:
    if count(state.get("best_global_step")):
        return count(state.get("best_global_step"))
    name = state.get("best_model_checkpoint")
    found = _CHECKPOINT.match(re.split(r"[/\\]", name)[-1]) if isinstance(name, str) else None
    return int(found.group(1)) if found else None


def _finished(state: Mapping[str, Any], ended: bool) -> bool | None:
    """Trainer writes `train_runtime` at the end; earlier, only reaching max_steps is an end."""
    done, planned = count(state.get("global_step")), count(state.get("max_steps"))
    if done and planned and done >= planned:
        return True
    return False if ended and done and planned else None


def _complete(history: History, state: Mapping[str, Any]) -> History:
    """What only the finished series tell: the metric that was chosen by, the evaluation's size."""
    series = {k: v for k, v in history.others.items() if k.startswith("eval_")}
    if history.eval_loss is not None:
        series["eval_loss"] = history.eval_loss
    if history.score is not None and history.score_name is not None:
        series[history.score_name] = history.score
    plan = history.plan
    values: dict[str, Any] = {}
    if plan.evaluates is None and (series or history.finished):
        values["evaluates"] = bool(series)
    if plan.metric is None:
        values |= _chosen_by(series, number(state.get("best_metric")), _best(state))
    values["eval_examples"] = _evaluated(history.others)
    seen = history.eval_loss or history.score
    if plan.eval_every_steps is None and seen is not None and len(seen) > 2:
        values["eval_every_steps"] = int(np.median(np.diff(seen.steps)))
    return replace(history, plan=join(plan, make_plan(values)))


def _chosen_by(
    series: Mapping[str, Series], best: float | None, step: int | None
) -> dict[str, Any]:
    """The metric whose value at the best step is the best value, and which way it went."""
    if best is None:
        return {}
    hits = []
    for name, s in series.items():
        at = s.values[s.steps == step] if step is not None else s.values[s.values == best]
        if at.size and at[0] == best:
            hits.append((name, s.finite.values))
    if len(hits) != 1 or np.ptp(hits[0][1]) == 0:
        return {}
    name, values = hits[0]
    mode = "min" if best <= values.min() else "max" if best >= values.max() else None
    return {"metric": name.removeprefix("eval_"), "metric_mode": mode} if mode else {}


def _evaluated(others: Mapping[str, Series]) -> int | None:
    """Size of the validation set: its run time by its examples a second (both are rounded)."""
    time, rate = others.get("eval_runtime"), others.get("eval_samples_per_second")
    if time is None or rate is None or len(time) != len(rate):
        return None
    found = np.median(time.values * rate.values)
    return round(float(found)) if np.isfinite(found) and 1 <= found < 1e12 else None


FORMAT = Format(
    name="hf-trainer",
    what="trainer_state.json, a checkpoint folder or an output folder of HF Trainer or TRL",
    claims=_claims,
    read=_read,
)
