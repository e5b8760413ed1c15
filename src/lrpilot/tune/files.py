"""What a tune run writes while it trains: its recommendation, and checkpoints now and then."""

from __future__ import annotations

import json
import shutil
import time
import warnings
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from lrpilot.integrations.transformers import AutopilotCallback

INTERVAL_S = 60.0  # assumed: a crash costs a minute, writing costs a few percent


class RunFiles(TrainerCallback):
    """Writes a run's files; comes after the autopilot in the list of callbacks.

    A checkpoint is whole or not there at all, and only the latest is kept. A full disk costs the
    checkpoint, not the run.

    Args:
        folder: The run's folder.
        pilot: The callback that holds the run's state.
        interval_s: Seconds between two checkpoints.
    """

    def __init__(
        self, folder: Path, pilot: AutopilotCallback, *, interval_s: float = INTERVAL_S
    ) -> None:
        self._folder = folder
        self._pilot = pilot
        self._interval_s = interval_s
        self._last = time.monotonic()

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Write `recommendation.json`."""
        data = self._pilot.session.recommendation.to_json()
        path = self._folder / "recommendation.json"
        path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Save when it is time, or when the run stops before its end."""
        session = self._pilot.session  # whose budget may have become smaller, for lack of time
        stops = control.should_training_stop and session.step_count < session.budget.steps
        if not stops and time.monotonic() - self._last < self._interval_s:
            return
        folder = self._folder / "checkpoints"
        try:
            self._pilot.save(folder / f"step-{state.global_step}", trainer_state=state)
        except OSError as error:
            warnings.warn(f"no checkpoint at step {state.global_step}: {error}", stacklevel=2)
        else:
            for old in checkpoints(folder)[:-1]:
                shutil.rmtree(old, ignore_errors=True)
        self._last = time.monotonic()


def checkpoints(folder: Path) -> list[Path]:
    """The whole checkpoints in a folder, oldest first."""
    found = [p for p in folder.glob("step-*") if p.is_dir() and p.suffix != ".part"]
    return sorted(found, key=lambda p: int(p.name.removeprefix("step-")))
