"""The live view of a training run: a few lines on a terminal, plain lines in a log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live as RichLive
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from lrpilot.integrations._doctor import sentence
from lrpilot.integrations._progress import Progress

if TYPE_CHECKING:
    from lrpilot.tune.run import Result

_STYLES = {"error": "red", "warning": "yellow", "info": "dim"}
_SMOOTHING = 0.9  # assumed: shows the trend of the last ten losses


class Live:
    """Shows stages, steps, validations and decisions.

    Args:
        stream: Where to write; a terminal is redrawn in place, anything else gets lines.
    """

    def __init__(self, stream: TextIO) -> None:
        from lrpilot.tune.run import Events

        self.console = Console(file=stream, highlight=False)
        self.pilot: Any = None
        self.stopping = False
        self.events = Events(stage=self._stage, progress=self._progress, pilot=self._pilot)
        self._live: RichLive | None = None
        self._now: Progress | None = None
        self._loss: float | None = None
        self._said: Any = None
        self._train_s = (0, 0.0)

    def __enter__(self) -> Live:
        if self.console.is_terminal:
            self._live = RichLive(console=self.console, refresh_per_second=4, transient=True)
            self._live.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        if self._live is not None:
            self._live.__exit__(*error)

    # -- events -----------------------------------------------------------------------------

    def _stage(self, text: str) -> None:
        self._now = None
        self.console.print(Text(f"• {text}", style="bold"))

    def _pilot(self, pilot: Any) -> None:
        self.pilot = pilot
        self._loss = self._said = None
        self._train_s = (0, time.perf_counter())

    def _progress(self, progress: Progress) -> None:
        loss = progress.train_loss
        if loss is not None:
            old = self._loss
            self._loss = loss if old is None else _SMOOTHING * old + (1 - _SMOOTHING) * loss
        decision = progress.decision
        if decision is not None and decision is not self._said:
            self._said = decision
            if decision.action != "hold" or not self.console.is_terminal:
                self.console.print(self._line(progress))
        for finding in progress.findings:
            self.console.print(Text(f"  {sentence(finding)}", _STYLES[finding.severity]))
        self._now = progress
        if self._live is not None:
            self._live.update(self._view(progress))

    # -- views ------------------------------------------------------------------------------

    def _line(self, progress: Progress) -> Text:
        decision = progress.decision
        assert decision is not None
        style = {"raise": "green", "cut": "yellow", "rollback": "red", "stop": "red"}
        action: str = decision.action
        if decision.rule == "trial" and action == "rollback":
            action = "trial"
        return Text.assemble(
            f"  step {progress.step:>5}/{progress.steps}  ",
            (f"{action:<8}", style.get(action, "")),
            f"  lr {progress.lr:.2e}  {self._losses(progress)}  {decision.reason}",
        )

    def _losses(self, progress: Progress) -> str:
        text = "" if self._loss is None else f"loss {self._loss:.4g}  "
        if progress.validation is not None:
            error = progress.validation.standard_error
            text += f"validation {progress.validation.mean:.4g}"
            text += "" if error is None else f" ± {error:.2g}"
        return text

    def _view(self, progress: Progress) -> RenderableType:
        head = Table.grid(padding=(0, 2))
        head.add_row(
            ProgressBar(total=progress.steps, completed=progress.step, width=30),
            f"step {progress.step}/{progress.steps}",
            f"lr {progress.lr:.2e}",
            self._losses(progress),
            self._time_left(progress),
        )
        rows: list[RenderableType] = [head]
        if progress.decision is not None:
            rows.append(Text(f"{progress.decision.action}: {progress.decision.reason}", "dim"))
        if self.stopping:
            rows.append(Text("stopping at the next step with a checkpoint ...", "yellow"))
        return Group(*rows)

    def _time_left(self, progress: Progress) -> str:
        first, start = self._train_s
        if first == 0 and progress.step > 0:
            self._train_s = first, start = progress.step, time.perf_counter()
        done = progress.step - first
        if done < 3:
            return ""
        left = (time.perf_counter() - start) / done * (progress.steps - progress.step)
        return f"{int(left // 60)}:{int(left % 60):02d} left"

    # -- the end ----------------------------------------------------------------------------

    def summary(self, result: Result, licences: str) -> None:
        """What the run came to, and where its files are."""
        say = self.console.print
        outcome = result.outcome
        say(Text(f"{outcome.status}: {outcome.cause}", "bold"))
        if outcome.status == "interrupted":
            say(f"go on with: lrpilot tune --output {result.folder} --resume")
            return
        if outcome.best_value is not None:
            say(f"best validation loss {outcome.best_value:.4g} at step {outcome.best_step}")
        for line in _score_lines(result):
            say(line)
        for name, what in (("model", "for from_pretrained"), ("run.jsonl", "the record")):
            say(f"{result.folder / name}  ({what})", soft_wrap=True)
        if result.report is not None:
            say(f"{result.report}  (open in a browser)", soft_wrap=True)
        else:
            say('no report: pip install "lrpilot[report]", then lrpilot report', result.folder)
        if licences:
            say(Text(licences, "dim"))


def _score_lines(result: Result) -> Iterator[str]:
    for score in result.scores:
        error = "" if score.standard_error is None else f" ± {score.standard_error:.3f}"
        yield f"test {score.metric} {score.value:.3f}{error} ({score.n} examples)  {score.name}"
