"""The command line: `lrpilot COMMAND ...`. One file a command, loaded only when it is called.

A command module holds `HELP` (one line), `EPILOG` (examples), `add_arguments(parser)` and
`run(args) -> int` (the exit status: 0 done, 1 findings or a failed goal, 2 bad input).
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from lrpilot.errors import LrpilotError

COMMANDS = {
    "recommend": "a starting learning rate, with its band and its sources",
    "tune": "fine-tune a pretrained model, steered from validation",
    "doctor": "what went wrong in a run or a plan, and what to set instead",
    "bench": "measure policies on real fine-tuning, and draw the table",
    "report": "one HTML file that shows a run and why it went so",
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise SystemExit(_fail(f"{message} (see {self.prog} --help)"))


def _fail(message: str) -> int:
    print(f"lrpilot: {' '.join(str(message).split())}", file=sys.stderr)
    return 2


def _parser(command: str | None) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="lrpilot", description="The learning-rate autopilot for fine-tuning pretrained models."
    )
    from lrpilot import __version__

    parser.add_argument("--version", action="version", version=f"lrpilot {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        sub = commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name == command:
            module = importlib.import_module(f"lrpilot.cli.{name}")
            sub.epilog = module.EPILOG
            module.add_arguments(sub)
            sub.set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: Arguments without the program's name; `sys.argv[1:]` when left out.

    Returns:
        The exit status: 0 done, 1 findings or a failed goal, 2 wrong usage or bad input.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    command = next((word for word in given if word in COMMANDS), None)
    try:
        args = _parser(command).parse_args(given)
        return int(args.run(args))
    except LrpilotError as error:
        return _fail(str(error))
    except BrokenPipeError:
        sys.stderr.close()
        return 0
