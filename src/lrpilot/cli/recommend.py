"""`lrpilot recommend`: a starting learning rate, with its band and its sources."""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import replace
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

from lrpilot.errors import InputError
from lrpilot.facts import Recommendation, RunFacts

if TYPE_CHECKING:
    from rich.console import Console

HELP = "a starting learning rate, with its band and its sources"
EPILOG = """\
examples:
  lrpilot recommend --model bert --task sentiment
  lrpilot recommend --model bert-base-uncased --task sentiment --train-examples 5000 \\
                    --batch-size 32 --epochs 3
  lrpilot recommend --model meta-llama/Llama-3.1-8B --method lora --lora-rank 16 --task chat
  lrpilot recommend --model ./my-model --data train.csv --task text-classification
  lrpilot recommend --model vit-base --task image-classification --optimizer sgd \\
                    --planned-lr 0.1 --format json

--model is a name, or a folder or file of your own: config.json, adapter_config.json,
training_args.bin (read without unpickling) and the header of model.safetensors are understood.
The answer costs no training. Exit status: 0 done, 2 bad or contradictory input.
"""

_UNITS = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    what = parser.add_argument_group("the model and the task")
    what.add_argument("--model", metavar="NAME", help="a model's name, or its folder or config")
    what.add_argument("--task", metavar="TASK", help="sentiment, image-classification, chat, ...")
    what.add_argument("--family", metavar="NAME", help="lineage, if the name does not tell")
    what.add_argument("--architecture", metavar="KIND", help="encoder, decoder, encoder-decoder,"
                      " vit, cnn, diffusion, speech, multimodal, ...")  # fmt: skip
    what.add_argument("--pretraining", metavar="KIND", help="self-supervised, supervised,"
                      " instruction-tuned, contrastive, ...")  # fmt: skip
    what.add_argument("--params", metavar="N", help="parameters: 110M, 7B, 2.5e8")
    what.add_argument("--classes", type=int, metavar="N", help="classes of a classification")
    what.add_argument("--distance", choices=("near", "medium", "far"),
                      help="how far the task lies from the pretraining data")  # fmt: skip
    how = parser.add_argument_group("the training")
    how.add_argument("--method", default="full", metavar="NAME",
                     help="full (default), lora, qlora, adapter, prompt, ...")  # fmt: skip
    how.add_argument("--lora-rank", type=int, metavar="R")
    how.add_argument("--optimizer", default="adamw", metavar="NAME", help="adamw (default), sgd,"
                     " lion, adafactor (absolute rate, as in transformers' Trainer),"
                     " adafactor-relative (scale_parameter=True), ...")  # fmt: skip
    how.add_argument("--data", metavar="PATH", help="a .csv, .tsv, .jsonl or .parquet file, to"
                     " count its examples and labels")  # fmt: skip
    how.add_argument("--train-examples", type=int, metavar="N")
    how.add_argument("--batch-size", type=int, metavar="N", help="examples an optimizer step")
    how.add_argument("--epochs", type=float, metavar="N")
    how.add_argument("--steps", type=int, metavar="N", help="optimizer steps of the whole run")
    how.add_argument("--initial-lr", type=float, metavar="LR", help="peak rate of the pretraining")
    how.add_argument("--planned-lr", type=float, metavar="LR", help="a rate of yours, to be judged")
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(args: argparse.Namespace) -> int:
    """Carry the command out; return the exit status."""
    from lrpilot.recommend import recommend

    facts, labels = _facts(args)
    found = recommend(facts)
    if args.format == "json":
        print(json.dumps({"facts": facts.known(), **found.to_json()}, indent=2))
        return 0
    from rich.console import Console

    _show(Console(highlight=False, soft_wrap=False), found, labels)
    return 0


def _facts(args: argparse.Namespace) -> tuple[RunFacts, int | None]:
    """The facts of the options and of the files they name, and the number of labels if counted."""
    names = ("model", "task", "family", "architecture", "pretraining", "classes", "distance",
             "method", "lora_rank", "optimizer", "train_examples", "batch_size", "epochs", "steps",
             "initial_lr", "planned_lr")  # fmt: skip
    given: dict[str, Any] = {name: getattr(args, name) for name in names}
    if args.params is not None:
        given["params"] = read_count(args.params)
    labels = None
    if args.data is not None:
        from lrpilot.recommend import facts_from_data

        data = facts_from_data(args.data)
        labels = data.labels
        counted = {"train_examples": data.examples, "classes": data.labels}
        given.update({name: value for name, value in counted.items() if given[name] is None})
    facts = RunFacts(**given)
    if args.model and _is_place(args.model):
        from lrpilot.recommend import facts_from_files

        facts = facts_from_files(Path(args.model).expanduser(), replace(facts, model=None))
    return facts, labels


def _is_place(model: str) -> bool:
    """Whether --model is a place on disk; a folder that merely shares a name holds no config."""
    if model[:1] in "./~" or model.endswith((".json", ".bin", ".yaml", ".yml")):
        return True
    return any((Path(model) / name).is_file() for name in ("config.json", "adapter_config.json"))


def read_count(text: str) -> float:
    """A number with a unit: "110M" is 1.1e8.

    Raises:
        InputError: It is no positive number.
    """
    found = re.fullmatch(r"([\d.]+(?:e[+-]?\d+)?)\s*([kmbt]?)", text.strip().lower())
    try:
        value = float(found[1]) * _UNITS[found[2]] if found else 0.0
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise InputError(f"params is {text!r}: give a number such as 110M, 7B or 2.5e8")
    return value


def _show(console: Console, found: Recommendation, labels: int | None) -> None:
    from rich.markup import escape

    def line(text: str, style: str = "", *, indent: int = 2) -> None:
        width = max(40, console.width)
        body = fill(text, width, initial_indent=" " * indent, subsequent_indent=" " * (indent + 2))
        console.print(escape(body), style=style or None, soft_wrap=True)

    cover = f", an {found.coverage:.0%} band" if found.coverage else ""
    console.print(f"[bold]learning rate {found.peak_lr:g}[/bold]")
    line(f"{found.low:g} to {found.high:g}{cover}; confidence {found.confidence} ({found.basis})")
    decay = f", layer-wise decay {found.layerwise_decay:g}" if found.layerwise_decay else ""
    rise = f"warm-up {found.warmup_frac:.0%} of the steps" if found.warmup_frac else "no warm-up"
    line(f"{rise}, then {found.schedule}{decay}")
    if labels is not None:
        line(f"the data has {labels} labels")
    for warning in found.warnings:
        line(f"! {warning}", "yellow", indent=0)
    for title, texts in (
        ("because", [reason.text for reason in found.reasons]),
        ("the rest of the recipe", [part.text for part in found.advice]),
        ("surer with", list(found.missing)),
    ):
        if texts:
            console.print(f"\n[bold]{title}[/bold]")
        for text in texts:
            line(f"- {text}")
    if found.sources:
        console.print("\n[bold]sources, the nearest first[/bold]")
    for source in found.sources:
        rate = f"{source.peak_lr:g}: " if source.peak_lr else ""
        note = f" ({source.note})" if source.note else ""
        line(f"- {rate}{source.title}{note}")
        console.print(f"    {escape(source.where)}", soft_wrap=True, style="dim")
